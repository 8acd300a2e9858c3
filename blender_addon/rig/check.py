# SPDX-License-Identifier: GPL-3.0-or-later
"""The post-check: did the mesh really move, by how many mm, and why not where it did not."""

from __future__ import annotations

import bpy
import numpy as np

from .targets import Target, concerns

LIP_SHAPES = ("mouthPucker", "mouthFunnel", "mouthClose", "jawOpen")
STILL_MM = 0.05


def frames_to_compare(values: np.ndarray, channels: tuple[str, ...]) -> tuple[int, int]:
    """Motion frames with the quietest and the busiest mouth, from values [T, C]."""
    mouth = [i for i, name in enumerate(channels) if name.startswith(("mouth", "jaw"))]
    amount = np.abs(values[:, mouth or slice(None)]).sum(axis=1)
    return int(np.argmin(amount)), int(np.argmax(amount))


def moved_mm(
    scene: bpy.types.Scene, target: Target, frame_a: float, frame_b: float
) -> tuple[float, bool]:
    """Largest way in mm that a lip vertex goes between two scene frames; False: not lips alone."""
    obj = target.object()
    if obj is None:
        return 0.0, False
    points = [evaluated_points(scene, obj, frame) for frame in (frame_a, frame_b)]
    if len(points[0]) != len(points[1]) or not len(points[0]):
        return 0.0, False
    lips = lip_vertices(obj, target)
    usable = len(lips) > 0 and len(points[0]) == len(obj.data.vertices)
    a, b = (p[lips] if usable else p for p in points)
    mm = 1000.0 * scene.unit_settings.scale_length
    return float(np.linalg.norm(b - a, axis=1).max() * mm), usable


def evaluated_points(scene: bpy.types.Scene, obj: bpy.types.Object, frame: float) -> np.ndarray:
    """World positions [V, 3] float32 of the mesh as the scene shows it at ``frame``."""
    whole = int(np.floor(frame))
    scene.frame_set(whole, subframe=float(frame - whole))
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    evaluated.to_mesh_clear()
    matrix = np.array(obj.matrix_world, dtype=np.float32)
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def lip_vertices(obj: bpy.types.Object, target: Target) -> np.ndarray:
    """Vertices of the lips: the head's own region, else what the lip shapes move most. [n] int."""
    group = obj.vertex_groups.get("lips")
    if group is not None:
        index = group.index
        inside = [v.index for v in obj.data.vertices if any(g.group == index for g in v.groups)]
        return np.array(inside, dtype=np.int64)
    key = obj.data.shape_keys
    for name in LIP_SHAPES:
        if name in target.mapping:
            block = key.key_blocks[target.mapping[name]]
            way = np.linalg.norm(_points(block) - _points(block.relative_key), axis=1)
            if way.max() > 0:
                return np.flatnonzero(way > 0.5 * way.max())
    return np.zeros(0, dtype=np.int64)


def _points(block: bpy.types.ShapeKey) -> np.ndarray:
    points = np.empty(len(block.data) * 3, dtype=np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)


def verdict(keys: int, shapes: int, moved: tuple[float, bool], target: Target) -> tuple[bool, str]:
    """Whether the take shows, and the sentence that says so."""
    mm, lips = moved
    done = f"{keys:,} keys on {shapes} shape keys"
    if mm > STILL_MM:
        return True, f"{done}; {'lips' if lips else 'the mesh'} moved {mm:.1f} mm."
    why = concerns(target)
    obj = target.object()
    data = target.key().animation_data if target.key() else None
    if data is not None and any(not track.mute for track in data.nla_tracks):
        why.append("NLA tracks lie over the new Action.")
    if obj is not None and (obj.hide_viewport or obj.hide_get()):
        why.append(f"'{obj.name}' is hidden.")
    reason = " ".join(why) or "The sound gave no motion, or something else holds the mesh still."
    return False, f"{done}, but the mesh does not move. {reason}"
