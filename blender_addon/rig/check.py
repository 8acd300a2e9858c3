# SPDX-License-Identifier: GPL-3.0-or-later
"""The post-check: did the mesh really move, by how many mm, and why not where it did not."""

from __future__ import annotations

import bpy
import numpy as np

from .target import Target

STILL_MM = 0.05


def frames_to_compare(values: np.ndarray, channels: tuple[str, ...]) -> tuple[int, int]:
    """Motion frames with the quietest mouth and the widest jaw, from values [T, C].

    A mouth can be busy while shut; without a moving jaw the busiest mouth stands in.
    """
    mouth = [i for i, name in enumerate(channels) if name.startswith(("mouth", "jaw"))]
    jaw = [i for i, name in enumerate(channels) if name.startswith("jaw")]
    amount = np.abs(values[:, mouth or slice(None)]).sum(axis=1)
    opening = np.abs(values[:, jaw]).sum(axis=1)
    return int(np.argmin(amount)), int(np.argmax(opening if opening.any() else amount))


def moved_mm(
    scene: bpy.types.Scene, target: Target, frame_a: float, frame_b: float
) -> tuple[float, bool]:
    """Largest way in mm that a lip vertex goes between two scene frames; False: not lips alone."""
    meshes = [obj for obj in target.objects() if obj.type == "MESH"]
    farthest = 0.0
    mm = 1000.0 * scene.unit_settings.scale_length
    for index, obj in enumerate(meshes):
        a, b = (evaluated_points(scene, obj, frame) for frame in (frame_a, frame_b))
        if len(a) != len(b) or not len(a):
            continue
        lips = target.lips() if index == 0 else np.zeros(0, dtype=np.int64)
        if len(lips) and len(a) == len(obj.data.vertices):
            return float(np.linalg.norm(b[lips] - a[lips], axis=1).max() * mm), True
        farthest = max(farthest, float(np.linalg.norm(b - a, axis=1).max() * mm))
    return farthest, False


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


def verdict(keys: int, amount: str, moved: tuple[float, bool], target: Target) -> tuple[bool, str]:
    """Whether the take shows, and the sentence that says so; ``amount`` is what is driven."""
    mm, lips = moved
    done = f"{keys:,} keys on {amount}"
    if mm > STILL_MM:
        return True, f"{done}; {'lips' if lips else 'the mesh'} moved {mm:.1f} mm."
    why = target.concerns()
    datas = [o.datablock().animation_data for o in target.paths() if o.datablock()]
    if any(not track.mute for data in datas if data for track in data.nla_tracks):
        why.append("NLA tracks lie over the new Action.")
    why += [f"'{o.name}' is hidden." for o in target.objects() if o.hide_viewport or o.hide_get()]
    reason = " ".join(why) or "The sound gave no motion, or something else holds the mesh still."
    return False, f"{done}, but the mesh does not move. {reason}"
