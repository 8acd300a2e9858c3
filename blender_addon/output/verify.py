# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an exported file back and measure, in mm, how far its meshes are from the scene's.

What was read is removed again, and the scene's range and rate are as before.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy
import numpy as np

from ..rig.check import evaluated_points
from .files import OutputError

# Blender's FBX importer brings animation in one frame late.
LATE_FRAMES = {".fbx": 1}
FRAMES = 5
_READERS = {
    ".fbx": ("import_scene", "fbx"),
    ".glb": ("import_scene", "gltf"),
    ".abc": ("wm", "alembic_import"),
    ".usd": ("wm", "usd_import"),
}
_ROOMS = (
    *("objects", "collections", "meshes", "armatures", "materials", "images", "actions"),
    *("cameras", "lights", "worlds", "cache_files", "node_groups", "shape_keys"),
)
_CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Largest distance in mm over ``frames`` compared frames of ``meshes`` meshes."""

    max_mm: float
    mean_mm: float
    frames: int
    meshes: int

    def sentence(self) -> str:
        """The result as people read it."""
        meshes = f"{self.meshes} mesh{'es' * (self.meshes != 1)}"
        return (
            f"Read back: {meshes} within {self.max_mm:.3f} mm of the scene "
            f"(mean {self.mean_mm:.4f} mm, {self.frames} frames)."
        )


def verify(scene: bpy.types.Scene, objects: list[bpy.types.Object], path: Path) -> Verdict:
    """Import ``path`` and compare its meshes with ``objects`` at frames of the scene's range."""
    suffix = ".usd" if path.suffix.lower().startswith(".usd") else path.suffix.lower()
    room, name = _READERS[suffix]
    operators = getattr(bpy.ops, room)
    if name not in dir(operators):
        raise OutputError(f"This build of Blender cannot read {suffix} files back.")
    meshes = [obj for obj in objects if obj.type == "MESH"]
    last = max(scene.frame_end - LATE_FRAMES.get(suffix, 0), scene.frame_start)
    spread = np.linspace(scene.frame_start, last, FRAMES)
    frames = sorted({int(round(frame)) for frame in spread})
    here = (scene.frame_current, scene.frame_start, scene.frame_end)
    rate = (scene.render.fps, scene.render.fps_base)
    wanted = {obj.name: [evaluated_points(scene, obj, frame) for frame in frames] for obj in meshes}
    known = {room: set(getattr(bpy.data, room)) for room in _ROOMS if hasattr(bpy.data, room)}
    layer = bpy.context.view_layer
    chosen = [obj.name for obj in layer.objects if obj.select_get()]
    active = layer.objects.active.name if layer.objects.active else ""
    try:
        try:
            getattr(operators, name)(filepath=str(path))
        except RuntimeError as error:
            raise OutputError(f"{path.name} cannot be read back: {str(error).strip()}") from error
        scene.render.fps, scene.render.fps_base = rate
        new = [o for o in bpy.data.objects if o not in known["objects"] and o.type == "MESH"]
        return _compare(scene, wanted, new, frames, LATE_FRAMES.get(suffix, 0))
    finally:
        for room, before in known.items():
            extra = [data for data in getattr(bpy.data, room) if data not in before]
            if room != "shape_keys":
                bpy.data.batch_remove(extra)
        scene.frame_start, scene.frame_end = here[1:]
        scene.render.fps, scene.render.fps_base = rate
        scene.frame_set(here[0])
        for obj in layer.objects:
            obj.select_set(obj.name in chosen)
        layer.objects.active = layer.objects.get(active)


def _compare(
    scene: bpy.types.Scene,
    wanted: dict[str, list[np.ndarray]],
    new: list[bpy.types.Object],
    frames: list[int],
    late: int,
) -> Verdict:
    if len(new) < len(wanted):
        raise OutputError(f"The file holds {len(new)} of {len(wanted)} meshes.")
    mm = 1000.0 * scene.unit_settings.scale_length
    largest, total, count = 0.0, 0.0, 0
    found = {obj.name: [evaluated_points(scene, obj, f + late) for f in frames] for obj in new}
    for points in wanted.values():
        best: np.ndarray | None = None
        for other in found.values():  # names may have changed: the nearest mesh is the one
            away = _distances(points, other)
            if best is None or away.max() < best.max():
                best = away
        assert best is not None
        largest = max(largest, float(best.max()) * mm)
        total, count = total + float(best.sum()) * mm, count + best.size
    return Verdict(largest, total / max(count, 1), len(frames), len(wanted))


def _distances(wanted: list[np.ndarray], found: list[np.ndarray]) -> np.ndarray:
    """Way [T, V] from each vertex to the one that it has become: by order, or by all its places."""
    if len(found[0]) == len(wanted[0]):
        away = np.stack([np.linalg.norm(a - b, axis=1) for a, b in zip(wanted, found, strict=True)])
        if away[0].max() < 1e-3:
            return away
    # Corners may come back doubled and in another order: a vertex is where its whole path fits.
    a, b = np.concatenate(wanted, axis=1), np.concatenate(found, axis=1)
    partner = np.empty(len(a), dtype=np.int64)
    squares = (b * b).sum(axis=1)
    for first in range(0, len(a), _CHUNK):
        part = a[first : first + _CHUNK]
        partner[first : first + _CHUNK] = (squares - 2.0 * part @ b.T).argmin(axis=1)
    return np.stack(
        [np.linalg.norm(x - y[partner], axis=1) for x, y in zip(wanted, found, strict=True)]
    )
