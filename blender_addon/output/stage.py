# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera, a light and a background for a head, in scenes that have no camera."""

from __future__ import annotations

import math

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

LENS_MM = 85.0  # a portrait lens: no big noses
SENSOR_MM = 36.0
MARGIN = 1.12
SPECK = 0.1  # of the picture's height
BACKGROUND = (0.06, 0.07, 0.085)
# The bundled head's (a rig's bone takes the name "jaw"); without them the whole mesh is shown.
FACE_GROUPS = ("upper_face", "jaw", "jaw_region")


def bounds(obj: bpy.types.Object) -> tuple[Vector, Vector]:
    """Lowest and highest corner of the face (or of the whole mesh) in the world."""
    names = FACE_GROUPS if FACE_GROUPS[0] in obj.vertex_groups else ()
    wanted = {group.index for group in obj.vertex_groups if group.name in names}
    points = [v.co for v in obj.data.vertices if any(g.group in wanted for g in v.groups)]
    points = points or [Vector(corner) for corner in obj.bound_box]
    corners = np.array([obj.matrix_world @ point for point in points])
    return Vector(corners.min(axis=0)), Vector(corners.max(axis=0))


def sees(scene: bpy.types.Scene, obj: bpy.types.Object) -> bool:
    """True where the scene's camera has the face in its picture, and not as a speck."""
    if scene.camera is None:
        return False
    low, high = bounds(obj)
    corners = [
        Vector((x, y, z)) for x in (low.x, high.x) for y in (low.y, high.y) for z in (low.z, high.z)
    ]
    seen = [world_to_camera_view(scene, scene.camera, corner) for corner in corners]
    centre = sum(seen, Vector()) / len(seen)
    tall = max(point.y for point in seen) - min(point.y for point in seen)
    return centre.z > 0 and 0 < centre.x < 1 and 0 < centre.y < 1 and tall > SPECK


def set_up(scene: bpy.types.Scene, obj: bpy.types.Object, side_px: int) -> list[bpy.types.ID]:
    """Add a camera that fills ``side_px`` x ``side_px`` with the face, a soft light, a world."""
    low, high = bounds(obj)
    centre = (low + high) / 2
    size = max(high.x - low.x, high.z - low.z)
    distance = size * MARGIN * LENS_MM / SENSOR_MM + (high.y - low.y) / 2
    camera = bpy.data.cameras.new("LSF Camera")
    camera.lens, camera.sensor_width, camera.sensor_fit = LENS_MM, SENSOR_MM, "AUTO"
    camera.clip_start, camera.clip_end = distance / 100, distance * 100
    eye = bpy.data.objects.new("LSF Camera", camera)
    eye.location = centre + Vector((0.0, -distance, 0.0))
    eye.rotation_euler = (math.pi / 2, 0.0, 0.0)
    light = bpy.data.lights.new("LSF Light", type="AREA")
    light.size = size * 3
    light.energy = 60.0 * distance * distance
    lamp = bpy.data.objects.new("LSF Light", light)
    lamp.location = centre + Vector((-size, -distance, size * 1.5))
    lamp.rotation_euler = (centre - lamp.location).to_track_quat("-Z", "Y").to_euler()
    for new in (eye, lamp):
        scene.collection.objects.link(new)
    scene.camera = eye
    scene.render.resolution_x = scene.render.resolution_y = side_px
    scene.render.resolution_percentage = 100
    added: list[bpy.types.ID] = [eye, lamp, camera, light]
    if scene.world is None:
        scene.world = bpy.data.worlds.new("LSF World")
        scene.world.color = BACKGROUND
        added.append(scene.world)
    return added


def take_down(added: list[bpy.types.ID]) -> None:
    """Delete what ``set_up`` has added."""
    bpy.data.batch_remove(added)
