# SPDX-License-Identifier: Apache-2.0
"""Read a neutral mesh for identity: Wavefront ``.obj``, or numpy's ``.npy`` / ``.npz``.

Vertices keep the order of the file, because identity in the face's own topology depends on it;
polygons are cut into fans of triangles.
"""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import LsfError
from .performance import MAX_FILE_BYTES, invalid, read_text


@dataclasses.dataclass(frozen=True)
class Mesh:
    """``vertices`` [N, 3] float64 in the file's unit, ``triangles`` [M, 3] int64 (may be none)."""

    vertices: np.ndarray
    triangles: np.ndarray


def read_mesh(path: str | Path) -> Mesh:
    """Read a mesh, or raise LsfError with one sentence that names the line."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".obj":
        return _read_obj(path)
    if suffix in (".npy", ".npz"):
        return _read_numpy(path)
    raise LsfError(
        "request_invalid", f"{path.name} is not a mesh that can be read.", "Use .obj, .npy or .npz."
    )


def _read_obj(path: Path) -> Mesh:
    vertices: list[tuple[float, float, float]] = []
    triangles: list[tuple[int, int, int]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        kind, *cells = line.split() or [""]
        try:
            if kind == "v":
                x, y, z = (float(cell) for cell in cells[:3])
                vertices.append((x, y, z))
            elif kind == "f":
                corners = [_corner(cell, len(vertices)) for cell in cells]
                if len(corners) < 3:
                    raise ValueError
                triangles += [
                    (corners[0], second, third)
                    for second, third in zip(corners[1:], corners[2:], strict=False)
                ]
        except ValueError as error:
            raise invalid(
                path, f"cannot be read in line {number}: {line.strip()[:40]!r}"
            ) from error
    return _checked(
        path, np.array(vertices or np.zeros((0, 3))), np.array(triangles or _NO_TRIANGLES)
    )


def _corner(cell: str, count: int) -> int:
    """Vertex of ``7/1/2`` (from 1) or of ``-1`` (from the end), counted from 0."""
    index = int(cell.split("/")[0])
    if index == 0:
        raise ValueError
    return index - 1 if index > 0 else count + index


def _read_numpy(path: Path) -> Mesh:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise invalid(path, f"has more than {MAX_FILE_BYTES >> 20} MB")
        if path.suffix.lower() == ".npy":
            return _checked(path, np.load(path, allow_pickle=False), _NO_TRIANGLES)
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_FILE_BYTES:
                raise invalid(path, f"unpacks to more than {MAX_FILE_BYTES >> 20} MB")
        with np.load(path, allow_pickle=False) as stored:
            found = {key: stored[key] for key in ("vertices", "triangles") if key in stored.files}
    except OSError as error:
        raise LsfError("request_invalid", f"{path} could not be read: {error.strerror}.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise invalid(path, "is not an array of points") from error
    if "vertices" not in found:
        raise invalid(path, "has no vertices")
    return _checked(path, found["vertices"], found.get("triangles", _NO_TRIANGLES))


def _checked(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> Mesh:
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices):
        raise invalid(path, f"holds no points [N, 3] but {list(vertices.shape)}")
    if vertices.dtype.kind not in "fiu" or triangles.dtype.kind not in "iu":
        raise invalid(path, "holds something else than numbers")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise invalid(path, "holds polygons that are not triangles [M, 3]")
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise invalid(path, "has a polygon with a vertex that does not exist")
    return Mesh(vertices.astype(np.float64), triangles.astype(np.int64))


_NO_TRIANGLES = np.zeros((0, 3), dtype=np.int64)
