# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of pose bones about the character's own axes, whatever the bones' rest pose and mode.

A turn is a rotation vector in degrees about x (to the character's left: positive nods down and
opens a jaw), y (up: positive turns to its left) and z (forward). Left is where the bones of the
left side are; up is the world's, as a character stands in its rest pose.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion, Vector

from ..retarget.tokens import split_side, words
from .target import Curve, Owner, bone_path

ATTRIBUTES = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
_EYE_TO_LIP_OPENING = 0.467  # jawOpen's opening over the distance of the eyes, bundled head
_JAW_DEG = (10.0, 45.0)


def axes_of(rig: bpy.types.Object) -> np.ndarray:
    """Left, up and forward of a character as columns [3, 3], in its armature's own space."""
    to_own = np.array(rig.matrix_world.inverted_safe().to_3x3())
    up = _unit(to_own @ (0.0, 0.0, 1.0))
    pairs: dict[tuple[str, ...], dict[str, np.ndarray]] = {}
    for bone in rig.data.bones:
        rest, side = split_side(words(bone.name))
        if side:
            pairs.setdefault(rest, {})[side] = np.array(bone.head_local)
    across = [sides["left"] - sides["right"] for sides in pairs.values() if len(sides) == 2]
    left = np.sum(across, axis=0) if across else np.zeros(3)
    left = left - (left @ up) * up
    if np.linalg.norm(left) < 1e-6:
        left = to_own @ (1.0, 0.0, 0.0)
        left = left - (left @ up) * up
    left = _unit(left)
    return np.stack([left, up, np.cross(left, up)], axis=1)


def rotation_path(rig: bpy.types.Object, bone: str) -> str:
    """RNA path of what turns a pose bone in its own rotation mode."""
    mode = rig.pose.bones[bone].rotation_mode
    return bone_path(bone, ATTRIBUTES.get(mode, "rotation_euler"))


def turn_curves(rig: bpy.types.Object, bone: str, turn_deg: np.ndarray) -> list[Curve]:
    """Curves that turn a pose bone: turn_deg [T, 3] about the character's axes."""
    pose = rig.pose.bones[bone]
    rest = np.array(pose.bone.matrix_local.to_3x3())
    own = np.radians(turn_deg) @ axes_of(rig).T @ rest  # into the bone's frame: rest^-1 a
    angle = np.linalg.norm(own, axis=1)
    share = 0.5 * np.sinc(angle / (2.0 * np.pi))  # sin(a / 2) / a
    quaternions = np.column_stack([np.cos(0.5 * angle), own * share[:, None]])
    if pose.rotation_mode == "QUATERNION":
        parts = quaternions
    elif pose.rotation_mode == "AXIS_ANGLE":
        parts = _axis_angles(own, angle)
    else:
        parts = _eulers(quaternions, pose.rotation_mode)
    owner, path = Owner.of(rig), rotation_path(rig, bone)
    return [
        Curve(owner, path, np.ascontiguousarray(part, dtype=np.float32), index)
        for index, part in enumerate(parts.T)
    ]


def shares(rig: bpy.types.Object, bone: str, mesh: bpy.types.Object) -> np.ndarray:
    """How much each vertex [V] 0..1 follows a bone or the bones below it."""
    found = np.zeros(len(mesh.data.vertices))
    below = {bone, *(child.name for child in rig.data.bones[bone].children_recursive)}
    inside_of = {  # groups without a deforming bone of their name move nothing
        group.index: group.name in below
        for group in mesh.vertex_groups
        if group.name in rig.data.bones and rig.data.bones[group.name].use_deform
    }
    if not any(inside_of.values()):
        return found
    for vertex in mesh.data.vertices:
        weights = [(inside_of[g.group], g.weight) for g in vertex.groups if g.group in inside_of]
        total = sum(weight for _, weight in weights)
        if total > 0.0:
            found[vertex.index] = sum(weight for inside, weight in weights if inside) / total
    return found


def matrix_of(turn_rad: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] of a rotation vector [3]."""
    way = Vector(turn_rad)
    return np.array(Matrix.Rotation(way.length, 3, way) if way.length > 1e-9 else np.eye(3))


def move_curves(
    rig: bpy.types.Object, bone: str, move_mm: np.ndarray, unit_m: float
) -> list[Curve]:
    """Curves that move a pose bone: move_mm [T, 3] along the character's axes."""
    rest = np.array(rig.pose.bones[bone].bone.matrix_local.to_3x3())
    scale = float(np.mean(np.abs(rig.matrix_world.to_scale()))) * unit_m * 1000.0
    own = move_mm @ axes_of(rig).T @ rest / max(scale, 1e-12)
    owner, path = Owner.of(rig), bone_path(bone, "location")
    return [
        Curve(owner, path, np.ascontiguousarray(part, dtype=np.float32), index)
        for index, part in enumerate(own.T)
    ]


def apart_mm(rig: bpy.types.Object, upper: str, lower: str, unit_m: float) -> float:
    """How far one bone's head is above another's, in mm of the world."""
    between = np.array(rig.data.bones[upper].head_local - rig.data.bones[lower].head_local)
    scale = float(np.mean(np.abs(rig.matrix_world.to_scale()))) * unit_m * 1000.0
    return float(between @ axes_of(rig)[:, 1]) * scale


def _axis_angles(turn: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Angle and axis [T, 4]; the axis does not jump where the angle goes through zero."""
    found, axis = np.empty((len(turn), 4)), np.array([0.0, 0.0, 1.0])
    for index, (vector, size) in enumerate(zip(turn, angle, strict=True)):
        if size > 1e-7:
            sign = -1.0 if vector @ axis < 0.0 and index else 1.0
            axis, size = sign * vector / size, sign * size
        found[index] = (size, *axis)
    return found


def _eulers(quaternions: np.ndarray, order: str) -> np.ndarray:
    found, last = [], Euler((0.0, 0.0, 0.0), order)
    for values in quaternions.tolist():
        last = Quaternion(values).to_euler(order, last)
        found.append(tuple(last))
    return np.array(found)


def wanted_opening(rig: bpy.types.Object, eyes: tuple[str, ...]) -> float | None:
    """How far jawOpen should part the lips, in the armature's unit; None where eyes are missing."""
    bones = rig.data.bones
    if len(eyes) != 2:
        return None
    between = np.array(bones[eyes[0]].head_local - bones[eyes[1]].head_local)
    return _EYE_TO_LIP_OPENING * float(np.linalg.norm(between)) or None


def jaw_degrees(rig: bpy.types.Object, jaw: str, opening: float) -> float | None:
    """Angle at which the tip of a jaw bone goes as far as the lips should part (their stand-in)."""
    bone = rig.data.bones[jaw]
    out = np.array(bone.tail_local - bone.head_local) @ axes_of(rig)
    lever = float(np.hypot(out[1], out[2]))
    if lever < 1e-6:
        return None
    half = min(0.5 * opening / lever, 0.9)
    return clipped_jaw(math.degrees(2.0 * math.asin(half)))


def clipped_jaw(degrees: float) -> float:
    """Within what jaws do, whatever a rest pose says."""
    return float(np.clip(degrees, *_JAW_DEG))


def carried_way(
    rig: bpy.types.Object,
    bone: str,
    turn_deg: np.ndarray,
    mesh: bpy.types.Object,
    points: np.ndarray,
    share: np.ndarray,
) -> np.ndarray:
    """Where a turned bone takes points [n, 3] of a mesh (its space) that follow it by a share."""
    to_rig = np.array(rig.matrix_world.inverted_safe() @ mesh.matrix_world)
    arm = points @ to_rig[:3, :3].T + to_rig[:3, 3] - np.array(rig.data.bones[bone].head_local)
    turn = np.radians(turn_deg) @ axes_of(rig).T
    turned = arm @ matrix_of(turn).T - arm
    return np.asarray(share[:, None] * (turned @ np.linalg.inv(to_rig[:3, :3]).T))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def concerns(rig: bpy.types.Object, names: list[str]) -> list[str]:
    """What keeps keys on these bones of an armature from showing."""
    held = [
        name
        for name in names
        if any(not c.mute and c.influence > 0 for c in rig.pose.bones[name].constraints)
    ]
    data, found = rig.animation_data, []
    driven = {p for n in names for p in (rotation_path(rig, n), bone_path(n, "location"))}
    drivers = [d for d in (data.drivers if data else ()) if d.data_path in driven]
    if held:
        found.append(f"Constraints may hold {len(held)} bones of '{rig.name}': {', '.join(held)}.")
    if drivers:
        found.append(f"{len(drivers)} turns of bones of '{rig.name}' have drivers.")
    if rig.data.pose_position == "REST":
        found.append(f"'{rig.name}' shows its rest pose; switch it to Pose Position.")
    return found
