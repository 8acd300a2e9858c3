# SPDX-License-Identifier: Apache-2.0
"""Characters made up for the tests: meshes with any keys, armatures with any bones."""

import bpy
import numpy as np
from mathutils import Matrix

from .conftest import make_face


def make_rig(bones: dict[str, tuple], name: str = "Rig", turned: Matrix | None = None):
    """An armature: bone -> (head, tail[, roll]) in the world, whatever its own axes ``turned``."""
    rig = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.scene.collection.objects.link(rig)
    rig.matrix_world = turned or Matrix()
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    inverse = rig.matrix_world.inverted()
    for bone, (head, tail, *roll) in bones.items():
        made = rig.data.edit_bones.new(bone)
        made.head, made.tail = inverse @ _vector(head), inverse @ _vector(tail)
        made.roll = roll[0] if roll else 0.0
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def _vector(values):
    from mathutils import Vector

    return Vector(values)


# A face that looks to -y, in metres: its jaw turns 80 mm behind the chin.
JAW = ((0, 0, 0), (0, -0.08, -0.03))
EYES = (((0.03, -0.05, 0.07), (0.03, -0.08, 0.07)), ((-0.03, -0.05, 0.07), (-0.03, -0.08, 0.07)))


def bind(mesh, rig, weights: dict[str, list[int]]):
    """Let vertices follow bones wholly; bones without vertices get empty groups."""
    for bone, vertices in weights.items():
        mesh.vertex_groups.new(name=bone).add(vertices, 1.0, "REPLACE")
    mesh.modifiers.new("Armature", "ARMATURE").object = rig


def world_points(obj, frame: int) -> np.ndarray:
    """Positions [V, 3] of a mesh as the scene shows it."""
    from blender_addon.rig.check import evaluated_points

    return evaluated_points(bpy.context.scene, obj, float(frame))


def keyed(obj, shape: str) -> np.ndarray:
    """Values of a shape key's curve."""
    from blender_addon.rig import actions
    from blender_addon.rig.target import Owner, shape_key_path

    owner = Owner.of(obj.data.shape_keys)
    curve = actions.fcurves(actions.active(owner), owner).find(shape_key_path(shape))
    points = np.empty(len(curve.keyframe_points) * 2, dtype=np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2)[:, 1]


__all__ = ["EYES", "JAW", "bind", "keyed", "make_face", "make_rig", "world_points"]
