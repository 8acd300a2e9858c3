# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a rig from a face in FLAME's format: the bundled head and a FLAME file take the same path.

``bones``: armature root-neck-jaw-eyes with the model's weights, expression shape keys, and pose
correctives as shape keys driven by the entries of R - I of their bone (simple expressions on bone
transforms, which Blender evaluates without Python). ``keys``: no armature; the jaw's R - I are
shape keys as well.
"""

from __future__ import annotations

import bpy
import numpy as np

from .face_file import AXES, JAW, JOINTS, FaceFile
from .head import add_mesh, add_shape, free_place

BONES, KEYS = "bones", "keys"
SPACE, MODE, VERSION, SOURCE = "lsf_face_space", "lsf_rig_mode", "lsf_flame_version", "lsf_face"
SHIFTS = "lsf_jaw_joint_shifts"
BONE_M = 0.03
SIGNED_LIMIT, ENTRY_LIMIT = 10.0, 2.0
# R - I of a unit quaternion (w, x, y, z), entry by entry.
ENTRIES = (
    ("-2*(y*y+z*z)", "2*(x*y-w*z)", "2*(x*z+w*y)"),
    ("2*(x*y+w*z)", "-2*(x*x+z*z)", "2*(y*z-w*x)"),
    ("2*(x*z-w*y)", "2*(y*z+w*x)", "-2*(x*x+y*y)"),
)


def create_rig(
    scene: bpy.types.Scene,
    face: FaceFile,
    mode: str = BONES,
    title: str = "LSF Face",
    betas: np.ndarray | None = None,
) -> bpy.types.Object:
    """Add the face to ``scene``; gives the mesh, whose parent is the armature if there is one."""
    obj = add_mesh(scene, face.mesh, title, betas)
    for block in obj.data.shape_keys.key_blocks[1:]:
        block.slider_min, block.slider_max = -SIGNED_LIMIT, SIGNED_LIMIT
    obj[SPACE], obj[MODE], obj[VERSION], obj[SOURCE] = face.space, mode, face.version, face.source
    if mode == KEYS:
        for entry, delta in face.swung(JAW).items():
            _limited(add_shape(obj, entry_name("jaw", entry), delta))
        obj.location = free_place(scene, obj)
        return obj
    place = free_place(scene, obj)
    obj[SHIFTS] = face.joint_shifts.ravel().tolist()
    rig = _armature(scene, face, f"{obj.name} Rig")
    for joint, name in enumerate(JOINTS):
        axes = np.array(rig.data.bones[name].matrix_local.to_3x3(), dtype=np.float32)
        for entry, delta in face.bent(joint, axes).items():
            block = _limited(add_shape(obj, entry_name(name, entry), delta))
            _drive(block, rig, name, ENTRIES[entry[0]][entry[1]])
    _weigh(obj, face.weights)
    obj.parent = rig
    modifier = obj.modifiers.new("Armature", "ARMATURE")
    modifier.object, modifier.use_bone_envelopes = rig, False
    rig.location = place
    return obj


def entry_name(joint: str, entry: tuple[int, int]) -> str:
    """Name of the shape key for an entry of a joint's R - I: ``jaw R12``."""
    return f"{joint} R{entry[0] + 1}{entry[1] + 1}"


def _limited(block: bpy.types.ShapeKey) -> bpy.types.ShapeKey:
    block.slider_min, block.slider_max = -ENTRY_LIMIT, ENTRY_LIMIT
    return block


def _armature(scene: bpy.types.Scene, face: FaceFile, title: str) -> bpy.types.Object:
    rig = bpy.data.objects.new(title, bpy.data.armatures.new(title))
    scene.collection.objects.link(rig)
    layer = bpy.context.view_layer
    before = layer.objects.active
    layer.update()  # an object that was linked a moment ago is not in the layer yet
    layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        for joint, name in enumerate(JOINTS):
            bone = rig.data.edit_bones.new(name)
            ahead = AXES[:, 2] if joint >= JAW else AXES[:, 1]  # jaw and eyes point to the front
            bone.head = face.joints[joint]
            bone.tail = face.joints[joint] + BONE_M * ahead
            if joint:
                bone.parent = rig.data.edit_bones[JOINTS[face.parents[joint]]]
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    for bone in rig.pose.bones:
        bone.rotation_mode = "QUATERNION"
    rig.show_in_front = True
    layer.objects.active = before
    return rig


def _weigh(obj: bpy.types.Object, weights: np.ndarray) -> None:
    for joint, name in enumerate(JOINTS):
        group = obj.vertex_groups.new(name=name)
        for vertex in np.flatnonzero(weights[:, joint]).tolist():
            group.add([vertex], float(weights[vertex, joint]), "REPLACE")


def _drive(block: bpy.types.ShapeKey, rig: bpy.types.Object, bone: str, expression: str) -> None:
    driver = block.driver_add("value").driver
    driver.type = "SCRIPTED"
    for part in "wxyz":
        variable = driver.variables.new()
        variable.name, variable.type = part, "TRANSFORMS"
        target = variable.targets[0]
        target.id, target.bone_target = rig, bone
        target.transform_type, target.rotation_mode = f"ROT_{part.upper()}", "QUATERNION"
        target.transform_space = "LOCAL_SPACE"
    driver.expression = expression
