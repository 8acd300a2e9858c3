# SPDX-License-Identifier: Apache-2.0
"""Requests about faces rather than sounds: convert a FLAME file, find the identity of a mesh."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.exchange.mesh_in import Mesh
from lsf_backend.face.face_model import BUNDLED_HEAD, FaceModel
from lsf_backend.face.flame_file import convert_flame, read_flame
from lsf_backend.face.flame_transfer import shapes_file
from lsf_backend.face.identity import fit_identity
from lsf_backend.face.landmarks import detected_landmarks, head_landmarks
from lsf_backend.face.registration import fit_other_topology

Points = dict[str, tuple[float, float, float]]


@dataclasses.dataclass(frozen=True)
class FoundIdentity:
    """``betas`` [300] float32 in ``space`` (head or flame), errors in mm, and a sentence."""

    betas: np.ndarray
    space: str
    mean_mm: float
    max_mm: float
    sentence: str


def convert_face(path: str, version: str = "") -> dict[str, Any]:
    """Convert a FLAME file once; gives where the safe copy is and what it is."""
    safe = convert_flame(path, version)
    found = read_flame(safe)
    known = f"FLAME {found.version}" if found.version != "unknown" else "FLAME, version unknown"
    vertices = len(found.arrays["v_template"])
    return {
        "path": str(safe),
        "version": found.version,
        "sentence": f"{found.source_name}: {known} ({found.evidence}), {vertices:,} vertices.",
    }


def find_identity(
    mesh: Mesh, face_path: str = "", landmarks: Points | None = None
) -> FoundIdentity:
    """Identity of a neutral mesh in the bundled head's space, or in that of a FLAME file.

    A mesh of the face's own topology needs no landmarks; another one needs four or more, by the
    names of ``landmarks.head_landmarks``. Raises LsfError where the result would be poor.
    """
    face = FaceModel.load(convert_flame(face_path) if face_path else BUNDLED_HEAD)
    space = "flame" if face_path else "head"
    if len(mesh.vertices) == face.n_vertices:
        try:
            fit = fit_identity(face, mesh.vertices)
            return FoundIdentity(fit.betas, space, fit.mean_mm, fit.max_mm, fit.sentence())
        except LsfError:
            if not landmarks:
                raise
    places = detected_landmarks(face) if face_path else head_landmarks(face)
    if not landmarks:
        raise LsfError(
            "identity_invalid",
            f"The mesh has {len(mesh.vertices):,} vertices, the face has {face.n_vertices:,}: "
            "another topology, which needs landmarks.",
            f"Place four or more of: {', '.join(sorted(places))}.",
        )
    unknown = sorted(set(landmarks) - set(places))
    if unknown:
        raise LsfError(
            "identity_invalid",
            f"There is no landmark {unknown[0]!r}.",
            f"Known: {', '.join(sorted(places))}.",
        )
    pins = {places[name]: np.array(point) for name, point in landmarks.items()}
    found = fit_other_topology(face, mesh.vertices, mesh.triangles, pins)
    return FoundIdentity(found.betas, space, found.mean_mm, found.max_mm, found.sentence())


def answer(verb: str, header: dict[str, Any], array: np.ndarray | None) -> dict[str, Any]:
    """Fields of the ``done`` event of a request; ``betas`` among them go as its payload."""
    face = header.get("face", "")
    if not isinstance(face, str):
        raise LsfError("request_invalid", "The field face is the path of a FLAME file, or empty.")
    if verb == "convert_face":
        version = header.get("version", "")
        if not face or not isinstance(version, str):
            raise LsfError("request_invalid", "convert_face needs the path of a FLAME file.")
        return convert_face(face, version)
    if verb == "face_shapes":
        if not face:
            raise LsfError("request_invalid", "face_shapes needs the path of a FLAME file.")
        return {"path": str(shapes_file(face))}
    if array is None or array.ndim != 2 or array.shape[1] != 3:
        raise LsfError("identity_invalid", "identity needs the points [N, 3] of a mesh.")
    count = header.get("vertices", len(array))
    if type(count) is not int or not 0 < count <= len(array):
        raise LsfError("request_invalid", "The field vertices says how many rows are points.")
    mesh = Mesh(array[:count].astype(np.float64), array[count:].astype(np.int64))
    found = find_identity(mesh, face, _points(header.get("landmarks")))
    return dataclasses.asdict(found)


def read_landmarks(path: Path) -> Points:
    """Read landmarks of a JSON file: {"nose_tip": [x, y, z], ...} in the mesh's own unit."""
    import json

    try:
        return _points(json.loads(path.read_text(encoding="utf-8"))) or {}
    except (OSError, ValueError, RecursionError) as error:
        raise LsfError(
            "identity_invalid",
            f"The landmarks {path} cannot be read: {error}.",
            'They are JSON: {"nose_tip": [x, y, z], ...}.',
        ) from error


def _points(value: Any) -> Points | None:
    if value is None:
        return None
    found: Points = {}
    entries: dict[Any, Any] = value if isinstance(value, dict) else {"": None}
    for name, point in entries.items():
        plain = isinstance(point, list) and len(point) == 3
        if not plain or not all(type(part) in (int, float) for part in point):
            raise LsfError(
                "request_invalid", 'Landmarks are names with points: {"nose_tip": [x, y, z]}.'
            )
        found[str(name)] = (float(point[0]), float(point[1]), float(point[2]))
    return found
