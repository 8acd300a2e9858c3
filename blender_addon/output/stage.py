# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera and a light in front of a head, for scenes that have none."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Vector

LENS_MM = 85.0  # a portrait lens: no big noses
SENSOR_MM = 36.0
MARGIN = 1.12


def bounds(obj: bpy.types.Object) -> tuple[Vector, Vector]:
    """Lowest and highest corner of an object in the world."""
    corners = np.array([obj.matrix_world @ Vector(corner) for corner in obj.bound_box])
    return Vector(corners.min(axis=0)), Vector(corners.max(axis=0))


def set_up(scene: bpy.types.Scene, obj: bpy.types.Object) -> list[bpy.types.Object]:
    """Add a camera that fills the picture with ``obj`` and a soft light; gives both."""
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
    return [eye, lamp]


def take_down(objects: list[bpy.types.Object]) -> None:
    """Delete what ``set_up`` has added."""
    for obj in objects:
        data = obj.data
        bpy.data.objects.remove(obj)
        room = bpy.data.cameras if isinstance(data, bpy.types.Camera) else bpy.data.lights
        room.remove(data)
