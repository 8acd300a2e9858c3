# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights by geometry, for meshes in the bundled head's topology whose shapes are their own.

The head's 52 shapes say how each vertex should move; the mesh's keys are mixed, within 0..1 and
smoothly in time, so that they come closest. Names play no part.
"""

from __future__ import annotations

import functools

import bpy
import numpy as np

from ..retarget.solve import key_report_mm, weights_for_geometry
from .head_file import HeadMesh, load_head
from .names import ARKIT_NAMES

CALM = 0.05
_STILL_M = 1e-6


@functools.lru_cache(maxsize=1)
def _head() -> HeadMesh:
    return load_head()


@functools.lru_cache(maxsize=1)
def _corners() -> np.ndarray:
    return np.concatenate(_head().polygons)


def has_topology(obj: bpy.types.Object) -> bool:
    """Whether a mesh has the bundled head's vertices and polygons, in its order."""
    mesh = obj.data
    if obj.type != "MESH" or len(mesh.vertices) != len(_head().vertices):
        return False
    if len(mesh.loops) != len(_corners()):
        return False
    own = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", own)
    return bool((own == _corners()).all())


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
    return weights_for_geometry(_wanted(obj), arkit, _shapes(obj, names), CALM)


def report(obj: bpy.types.Object, names: list[str]) -> str:
    """How closely the keys can do each ARKit shape, in mm on this mesh; the worst are named."""
    scenes = obj.users_scene
    unit = scenes[0].unit_settings.scale_length if scenes else 1.0
    scale = float(np.mean(np.abs(obj.matrix_world.to_scale()))) * unit
    fits = key_report_mm(scale * _wanted(obj), scale * _shapes(obj, names), ARKIT_NAMES)
    worst = sorted(fits, key=lambda name: -fits[name])[:3]
    mean = sum(fits.values()) / len(fits)
    listed = ", ".join(f"{name} {fits[name]:.2f} mm" for name in worst)
    return f"{len(names)} keys meet ARKit's 52 shapes to {mean:.2f} mm on average; worst: {listed}."


def _wanted(obj: bpy.types.Object) -> np.ndarray:
    """The head's shapes [52, V, 3] at this mesh's size, in its own space."""
    head = _head()
    own = _points(obj.data.shape_keys.key_blocks[0].data)
    size = np.linalg.norm(own - own.mean(axis=0)) / np.linalg.norm(
        head.vertices - head.vertices.mean(axis=0)
    )
    return size * np.stack([head.shapes[name] for name in ARKIT_NAMES]).astype(np.float64)


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
