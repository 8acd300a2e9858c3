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
    below = [bone, *(child.name for child in rig.data.bones[bone].children_recursive)]
    groups = {mesh.vertex_groups[name].index for name in below if name in mesh.vertex_groups}
    if not groups:
        return found
    for vertex in mesh.data.vertices:
        weights = [(g.group in groups, g.weight) for g in vertex.groups]
        total = sum(weight for _, weight in weights)
        if total > 0.0:
            found[vertex.index] = sum(weight for inside, weight in weights if inside) / total
    return found


def matrix_of(turn_rad: np.ndarray) -> np.ndarray:
    """Rotation matrix [3, 3] of a rotation vector [3]."""
    way = Vector(turn_rad)
    return np.array(Matrix.Rotation(way.length, 3, way) if way.length > 1e-9 else np.eye(3))


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


def jaw_degrees(
    rig: bpy.types.Object, jaw: str, eyes: tuple[str, ...], meshes: list[bpy.types.Object]
) -> float | None:
    """Angle that opens the mouth as far as the bundled head's, for its size; None: not known.

    The lever is the way from the jaw bone's head to the foremost vertex that it carries (its tail
    where it carries none), the size that of the face the distance between the eye bones.
    """
    bones = rig.data.bones
    if len(eyes) != 2:
        return None
    apart = float(np.linalg.norm(np.array(bones[eyes[0]].head_local - bones[eyes[1]].head_local)))
    axes, head = axes_of(rig), np.array(bones[jaw].head_local)
    points = np.concatenate([np.zeros((0, 3)), *(_carried(rig, jaw, mesh) for mesh in meshes)])
    if not len(points):
        points = np.array(bones[jaw].tail_local)[None]
    out = (points - head) @ axes
    front = out[out[:, 2].argmax()]
    lever = float(np.hypot(front[1], front[2]))
    if apart < 1e-6 or lever < 1e-6:
        return None
    half = min(0.5 * _EYE_TO_LIP_OPENING * apart / lever, 0.9)
    return float(np.clip(math.degrees(2.0 * math.asin(half)), *_JAW_DEG))


def _carried(rig: bpy.types.Object, bone: str, mesh: bpy.types.Object) -> np.ndarray:
    """Vertices [n, 3] of a mesh that mostly follow a bone, in the armature's space."""
    matrix = rig.matrix_world.inverted_safe() @ mesh.matrix_world
    inside = np.flatnonzero(shares(rig, bone, mesh) > 0.5)
    return np.array([matrix @ mesh.data.vertices[i].co for i in inside.tolist()]).reshape(-1, 3)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))
