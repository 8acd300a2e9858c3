# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns of pose bones about the character's own axes, whatever the bones' rest pose and mode.

A turn is a rotation vector in degrees about x (to the character's left: positive nods down and
opens a jaw), y (up: positive turns to its left) and z (forward). Left is where the bones of the
left side are; up is the world's, as a character stands in its rest pose.
"""

from __future__ import annotations

import functools
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
    lefts, rights = _pairs(tuple(rig.data.bones.keys()))
    heads = np.empty(3 * len(rig.data.bones), dtype=np.float32)
    rig.data.bones.foreach_get("head_local", heads)
    heads = heads.reshape(-1, 3).astype(np.float64)
    left = (heads[lefts] - heads[rights]).sum(axis=0)
    left = left - (left @ up) * up
    if np.linalg.norm(left) < 1e-6:
        left = to_own @ (1.0, 0.0, 0.0)
        left = left - (left @ up) * up
    left = _unit(left)
    return np.stack([left, up, np.cross(left, up)], axis=1)


@functools.lru_cache(maxsize=16)
def _pairs(names: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Bones of the left side and their partners; kept, as a rig may have a thousand names."""
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for index, name in enumerate(names):
        rest, side = split_side(words(name))
        if side:
            found.setdefault(rest, {})[side] = index
    both = [sides for sides in found.values() if len(sides) == 2]
    return [sides["left"] for sides in both], [sides["right"] for sides in both]


def rotation_path(rig: bpy.types.Object, bone: str) -> str:
    """RNA path of what turns a pose bone in its own rotation mode."""
    mode = rig.pose.bones[bone].rotation_mode
    return bone_path(bone, ATTRIBUTES.get(mode, "rotation_euler"))


def turn_curves(
    rig: bpy.types.Object, bone: str, turn_deg: np.ndarray, axes: np.ndarray | None = None
) -> list[Curve]:
    """Curves that turn a pose bone: turn_deg [T, 3] about the character's axes (``axes_of``)."""
    pose = rig.pose.bones[bone]
    rest = np.array(pose.bone.matrix_local.to_3x3())
    axes = axes_of(rig) if axes is None else axes
    own = np.radians(turn_deg) @ axes.T @ rest  # into the bone's frame: rest^-1 a
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
    rig: bpy.types.Object, bone: str, move_mm: np.ndarray, axes: np.ndarray
) -> list[Curve]:
    """Curves that move a pose bone: move_mm [T, 3] along the character's axes (``axes_of``)."""
    rest = np.array(rig.pose.bones[bone].bone.matrix_local.to_3x3())
    own = move_mm @ axes.T @ rest / max(_unit_mm(rig), 1e-12)
    owner, path = Owner.of(rig), bone_path(bone, "location")
    return [
        Curve(owner, path, np.ascontiguousarray(part, dtype=np.float32), index)
        for index, part in enumerate(own.T)
    ]


def unit_m(obj: bpy.types.Object) -> float:
    """Metres of one unit of the scene that an object is in."""
    scenes = obj.users_scene
    return float(scenes[0].unit_settings.scale_length) if scenes else 1.0


def apart_mm(rig: bpy.types.Object, bone: str, other: str) -> np.ndarray:
    """From another bone's head to a bone's, left, up and forward [3] in mm of the world."""
    between = np.array(rig.data.bones[bone].head_local - rig.data.bones[other].head_local)
    return between @ axes_of(rig) * _unit_mm(rig)


def _unit_mm(rig: bpy.types.Object) -> float:
    """Millimetres of one unit of an armature's own space."""
    return float(np.mean(np.abs(rig.matrix_world.to_scale()))) * unit_m(rig) * 1000.0


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


def lip_degrees(rig: bpy.types.Object, jaw: str, lip: str, opening: float) -> float:
    """Angle of a jaw bone at which the bone of the lower lip is lower by an opening."""
    between = np.array(rig.data.bones[lip].head_local - rig.data.bones[jaw].head_local)
    _, up, forward = between @ axes_of(rig)
    lever = max(float(np.hypot(up, forward)), 1e-12)
    angle = math.asin(min((opening - up) / lever, 0.97)) - math.atan2(-up, forward)
    return clipped_jaw(math.degrees(angle))


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
        if any(_holds(constraint) for constraint in rig.pose.bones[name].constraints)
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


def _holds(constraint: bpy.types.Constraint) -> bool:
    """Whether a constraint may replace what keys say; Rigify's own add to it, or keep it near."""
    if constraint.mute or not constraint.influence or constraint.type == "LIMIT_DISTANCE":
        return False
    return not getattr(constraint, "use_offset", False)
