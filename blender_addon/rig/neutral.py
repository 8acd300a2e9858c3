# SPDX-License-Identifier: GPL-3.0-or-later
"""A neutral mesh as the backend wants it for its identity, with the landmarks placed on it.

Landmarks are empties: the artist drags them (snapping to faces) to where their names say.
"""

from __future__ import annotations

import bpy
import numpy as np

from .head_file import HeadError

LANDMARK = "lsf_landmark"
SIZE_SHARE = 0.02
# Where they lie in the box around a head that looks along -y: shares of width, depth and height.
PLACES = {
    "eye_outer_right": (0.22, 0.17, 0.64),
    "eye_inner_right": (0.43, 0.13, 0.62),
    "eye_inner_left": (0.57, 0.13, 0.62),
    "eye_outer_left": (0.78, 0.17, 0.64),
    "nose_tip": (0.5, 0.0, 0.5),
    "mouth_right": (0.37, 0.12, 0.4),
    "mouth_left": (0.63, 0.12, 0.4),
    "chin": (0.5, 0.1, 0.32),
}
FLAME_PLACES = ("mouth_right", "mouth_left", "nose_tip", "chin")


def neutral_points(scene: bpy.types.Scene, obj: bpy.types.Object) -> tuple[np.ndarray, int]:
    """Rows for the request ``identity``: points [N, 3] in metres, then triangles [M, 3]; and N.

    The mesh as it is without modifiers and in its basis shape, placed in the world.
    """
    obj.update_from_editmode()
    mesh = obj.data
    if not len(mesh.vertices) or not len(mesh.polygons):
        raise HeadError(f"'{obj.name}' has no faces.")
    key = mesh.shape_keys
    source = key.reference_key.data if key is not None else mesh.vertices
    points = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    source.foreach_get("co", points)
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), dtype=np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    world = _placed(scene, obj, points.reshape(-1, 3))
    rows = np.concatenate([world, triangles.reshape(-1, 3).astype(np.float32)])
    return rows, len(world)


def left_out(obj: bpy.types.Object) -> str:
    """Say which modifiers and shapes that the artist sees ``neutral_points`` does not count."""
    seen = [f"the modifier '{m.name}'" for m in obj.modifiers if m.show_viewport]
    key = obj.data.shape_keys
    for block in key.key_blocks if key is not None else ():
        if block != key.reference_key and block.value and not block.mute:
            seen.append(f"the shape key '{block.name}'")
    if not seen:
        return ""
    named = seen[:4] + ([f"{len(seen) - 4} more"] if len(seen) > 4 else [])
    text = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    return f" '{obj.name}' was read in its basis shape; left out: {text}."


def _placed(scene: bpy.types.Scene, obj: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    matrix = np.array(obj.matrix_world, dtype=np.float64)
    placed = points @ matrix[:3, :3].T + matrix[:3, 3]
    return (placed * scene.unit_settings.scale_length).astype(np.float32)


def landmarks(scene: bpy.types.Scene, obj: bpy.types.Object) -> dict[str, list[float]]:
    """Places of the empties that belong to ``obj``, in metres."""
    scale = scene.unit_settings.scale_length
    return {
        str(child[LANDMARK]): [float(part) * scale for part in child.matrix_world.translation]
        for child in obj.children
        if child.type == "EMPTY" and LANDMARK in child
    }


def add_landmarks(
    scene: bpy.types.Scene, obj: bpy.types.Object, names: tuple[str, ...]
) -> list[bpy.types.Object]:
    """Add the empties that are missing, roughly where a face has them."""
    corners = np.array(obj.bound_box)
    low, high = corners.min(axis=0), corners.max(axis=0)
    there, found = landmarks(scene, obj), []
    for name in names:
        if name in there:
            continue
        empty = bpy.data.objects.new(f"{obj.name} {name}", None)
        scene.collection.objects.link(empty)
        empty.empty_display_type = "SPHERE"
        empty.empty_display_size = SIZE_SHARE * float((high - low).max())
        empty.show_name, empty.show_in_front = True, True
        empty[LANDMARK] = name
        empty.parent = obj
        empty.location = low + (high - low) * np.array(PLACES[name])
        found.append(empty)
    return found
