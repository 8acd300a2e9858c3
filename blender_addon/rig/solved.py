# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights by geometry, for meshes of the bundled head's or FLAME's topology with their own shapes.

The 52 shapes of that face say how each vertex should move; the mesh's keys are mixed, within 0..1
and smoothly in time, so that they come closest. Names play no part. FLAME's shapes come from a file
that the backend makes of the user's own FLAME file (``face_shapes``).
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import bpy
import numpy as np

from ..retarget.solve import key_report_mm, weights_for_geometry
from .head_file import UNREADABLE, load_head
from .names import ARKIT_NAMES

CALM = 0.05
FLAME_VERTICES = 5023
_STILL_M = 1e-6


@dataclasses.dataclass(frozen=True)
class Known:
    """A face whose shapes are known: ``shapes`` [52, N, 3] m of its vertices ``rows`` [N].

    ``rest`` [V, 3] m; ``faces`` are its corners, polygon by polygon, [C] (as a mesh's loops).
    """

    rest: np.ndarray
    faces: np.ndarray
    rows: np.ndarray
    shapes: np.ndarray


@functools.lru_cache(maxsize=1)
def _head() -> Known:
    head = load_head()
    shapes = np.stack([head.shapes[name] for name in ARKIT_NAMES]).astype(np.float64)
    faces = np.concatenate(head.polygons)
    return Known(head.vertices.astype(np.float64), faces, np.arange(len(head.vertices)), shapes)


@functools.lru_cache(maxsize=2)
def _of_file(path: str) -> Known | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            rest, shapes = (stored[name].astype(np.float64) for name in ("vertices", "shapes"))
            return Known(rest, stored["triangles"].reshape(-1), stored["rows"], shapes)
    except (*UNREADABLE, KeyError):
        return None


def known_of(obj: bpy.types.Object, path: str = "") -> Known | None:
    """Return the face whose vertices and polygons a mesh has, in its order; None: neither's.

    ``path`` names the file of a FLAME face's shapes; by default the one that the mesh keeps.
    """
    if obj.type != "MESH":
        return None
    path = path or obj.lsf_character.solve_file
    for face in (_head(), _of_file(path) if path and Path(path).is_file() else None):
        same = face is not None and len(obj.data.vertices) == len(face.rest)
        if same and len(obj.data.loops) == len(face.faces) and _same_faces(obj, face.faces):
            return face
    return None


def _same_faces(obj: bpy.types.Object, faces: np.ndarray) -> bool:
    own = np.empty(len(obj.data.loops), dtype=np.int32)
    obj.data.loops.foreach_get("vertex_index", own)
    if (own == faces).all():
        return True
    if len(own) != 3 * len(obj.data.polygons):
        return False
    # Triangles may come in another order, and begin at another corner.
    one, other = (np.sort(corners.reshape(-1, 3), axis=1) for corners in (own, faces))
    order, known = (np.lexsort(triangles.T) for triangles in (one, other))
    return bool((one[order] == other[known]).all())


def usable_keys(obj: bpy.types.Object) -> list[str]:
    """Shape keys that can take part: not muted, not driven, and moving something."""
    key = obj.data.shape_keys
    if key is None:
        return []
    drivers = key.animation_data.drivers if key.animation_data is not None else ()
    driven = {driver.data_path for driver in drivers}
    names = [block.name for block in key.key_blocks[1:] if not block.mute]
    escape = bpy.utils.escape_identifier
    free = [name for name in names if f'key_blocks["{escape(name)}"].value' not in driven]
    moved = np.abs(_shapes(obj, free)).max(axis=(1, 2), initial=0.0)
    return [name for name, most in zip(free, moved, strict=True) if most > _STILL_M]


def weights(obj: bpy.types.Object, names: list[str], arkit: np.ndarray) -> np.ndarray:
    """Weights [T, K] in 0..1 of the named keys for ARKit weights [T, 52]."""
    rows, wanted = _wanted(obj)
    return weights_for_geometry(wanted, arkit, _shapes(obj, names)[:, rows], CALM)


def report(obj: bpy.types.Object, names: list[str]) -> str:
    """How closely the keys can do each ARKit shape, in mm on this mesh; the worst are named."""
    scenes = obj.users_scene
    unit = scenes[0].unit_settings.scale_length if scenes else 1.0
    scale = float(np.mean(np.abs(obj.matrix_world.to_scale()))) * unit
    rows, wanted = _wanted(obj)
    fits = key_report_mm(scale * wanted, scale * _shapes(obj, names)[:, rows], ARKIT_NAMES)
    worst = sorted(fits, key=lambda name: -fits[name])[:3]
    mean = sum(fits.values()) / len(fits)
    listed = ", ".join(f"{name} {fits[name]:.2f} mm" for name in worst)
    return f"{len(names)} keys meet ARKit's 52 shapes to {mean:.2f} mm on average; worst: {listed}."


def _wanted(obj: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [N] and how the 52 shapes move them, [52, N, 3], at this mesh's size and turn."""
    face = known_of(obj)
    if face is None:
        raise ValueError(f"'{obj.name}' has no known topology")
    own = _points(obj.data.shape_keys.key_blocks[0].data).astype(np.float64)
    own, rest = own - own.mean(axis=0), face.rest - face.rest.mean(axis=0)
    left, _, right = np.linalg.svd(rest.T @ own)
    left[:, -1] *= np.sign(np.linalg.det(left @ right))  # a turn, not a mirror
    size = np.linalg.norm(own) / np.linalg.norm(rest)
    return face.rows, size * face.shapes @ (left @ right)


def _shapes(obj: bpy.types.Object, names: list[str]) -> np.ndarray:
    blocks = [obj.data.shape_keys.key_blocks[name] for name in names]
    if not blocks:
        return np.zeros((0, len(obj.data.vertices), 3))
    ways = [_points(block.data) - _points(block.relative_key.data) for block in blocks]
    return np.stack(ways).astype(np.float64)


def _points(data: object) -> np.ndarray:
    points = np.empty(len(data) * 3, dtype=np.float32)  # type: ignore[arg-type]
    data.foreach_get("co", points)  # type: ignore[attr-defined]
    return points.reshape(-1, 3)
