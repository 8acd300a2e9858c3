# SPDX-License-Identifier: Apache-2.0
"""One FLAME file made ready to take motion over: ARKit's shapes on it, fitted once and kept.

So that a model in FLAME's space drives an ARKit character, and one in the head's space a FLAME rig.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

from ..errors import LsfError
from .face_model import BUNDLED_HEAD, FaceModel
from .flame_file import cache_folder, convert_flame
from .head_space import arkit_from_motion, motion_from_arkit
from .landmarks import detected_landmarks, head_landmarks
from .registration import fit_other_topology
from .transfer import (
    CarriedShapes,
    TransferError,
    arkit_from_flame,
    carry_shapes,
    flame_from_arkit,
)


def flame_face(path: str) -> tuple[FaceModel, str]:
    """The face of a FLAME file (converted on first use) and its version."""
    face = FaceModel.load(convert_flame(path))
    return face, str(face.extras.get("version", "unknown"))


class FlameTransfer:
    """Takes frames from FLAME's space to the head's and back; sums up the errors."""

    def __init__(self, face: FaceModel, folder: Path | None = None) -> None:
        self._face = face
        self._carried = _carried(face, folder or cache_folder())
        self._sums = np.zeros(3)
        self._largest_mm = 0.0

    def head_motion(self, motion: np.ndarray) -> np.ndarray:
        """FLAME motion [n, 53] -> the head's motion [n, 53]; each frame by itself."""
        weights, error = arkit_from_flame(self._carried, self._face, motion, calm=0.0)
        self._count(error, len(motion))
        return motion_from_arkit(weights)

    def flame_motion(self, motion: np.ndarray) -> np.ndarray:
        """The head's motion [n, 53] -> FLAME motion [n, 53]."""
        made, error = flame_from_arkit(self._carried, self._face, arkit_from_motion(motion))
        self._count(error, len(motion))
        return made

    def _count(self, error: TransferError, frames: int) -> None:
        self._sums += frames * np.array([error.mean_mm, error.moved_mm, 1.0])
        self._largest_mm = max(self._largest_mm, error.max_mm)

    def error(self) -> TransferError:
        """Return the error over all frames so far."""
        mean, moved, _ = self._sums / max(self._sums[2], 1.0)
        return TransferError(float(mean), self._largest_mm, float(moved))


def shapes_file(path: str) -> Path:
    """A .npz that says how ARKit's shapes move a FLAME file's face, made on first use.

    ``shapes`` [52, N, 3] m of its vertices ``rows`` [N], ``vertices`` [V, 3] and ``triangles``
    [F, 3] of the neutral face, in FLAME's axes.
    """
    face, folder = flame_face(path)[0], cache_folder()
    _carried(face, folder)
    found = place(face, folder)
    if not found.is_file():
        raise LsfError("cannot_write", f"The shapes of this face cannot be kept in {folder}.")
    return found


def place(face: FaceModel, folder: Path | None = None) -> Path:
    """Where the carried shapes of a face are kept."""
    folder = folder or cache_folder()
    mark = hashlib.sha256(BUNDLED_HEAD.read_bytes())
    for array in (face.v_template, face.faces, face.weights):
        mark.update(np.ascontiguousarray(array).tobytes())
    return folder / f"arkit-{mark.hexdigest()[:24]}.npz"


def _carried(face: FaceModel, folder: Path) -> CarriedShapes:
    """Read the carried shapes of this face from the cache, or fit the head to it (seconds)."""
    path = place(face, folder)
    try:
        with np.load(path, allow_pickle=False) as stored:
            shapes = stored["shapes"].astype(np.float64)
            rows = stored["rows"]
        if shapes.shape == (52, len(rows), 3) and rows.max() < face.n_vertices:
            return CarriedShapes(rows, shapes)
    except (OSError, ValueError, KeyError, EOFError):
        pass  # not there yet, or cut short: made again
    head = FaceModel.load()
    places, found = head_landmarks(head), detected_landmarks(face)
    pins = {places[name]: face.v_template[vertex] for name, vertex in found.items()}
    try:
        fit = fit_other_topology(head, face.v_template, face.faces, pins)
    except LsfError as error:
        raise LsfError(
            error.code, f"The bundled head does not fit this FLAME file: {error.message}"
        ) from error
    carried = carry_shapes(head, fit, face)
    keep(path, carried, face)
    return carried


def keep(path: Path, carried: CarriedShapes, face: FaceModel) -> None:
    """Write the cache; where that is not possible, it is made again next time."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.savez(
                stream,
                rows=carried.rows,
                shapes=carried.shapes.astype(np.float32),
                vertices=face.v_template.astype(np.float32),
                triangles=face.faces.astype(np.int32),
            )
        os.replace(temporary, path)
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
