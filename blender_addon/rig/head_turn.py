# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the head's own small motion shows: neck and head bones, or else the whole head's place.

A second target beside the face, in takes that have the channels for it. Eyes that no shape turns
(a FLAME face's) follow the gaze here as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

import bpy
import numpy as np
from mathutils import Euler, Matrix, Vector

from lsf_backend.protocol import EXTRA_CHANNELS

from ..retarget.tokens import plain
from . import actions, bones, family
from .target import Curve, Owner, Target, reset

HEAD_BONES = (
    *("head", "headctrl", "mixamorighead", "ccbasehead", "jbipchead", "chead", "bip01head"),
    *("headfk", "cheadx", "defhead", "facialchead"),
)
NECK_BONES = (
    *("neck", "neckctrl", "mixamorigneck", "ccbasenecktwist01", "jbipcneck", "neck01", "bip01neck"),
    *("cneck", "neckfk", "defneck"),
)
EYE_BONES = ("left_eye", "right_eye")  # of a face in FLAME's format
NECK_SHARE = 0.4  # of the turn; the head takes the rest where there are both
_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
_PLACE = ("delta_location", "delta_rotation_euler", "delta_rotation_quaternion")


@dataclasses.dataclass(frozen=True)
class HeadTurn:
    """``bones``: (bone, share of the turn) of ``rig_name``; without a rig the object is moved."""

    name: str
    rig_name: str = ""
    bones: tuple[tuple[str, float], ...] = ()
    eyes: tuple[str, ...] = ()
    output: str = "arkit"

    def objects(self) -> list[bpy.types.Object]:
        """Return the mesh and the armature."""
        found = (bpy.data.objects.get(name) for name in (self.name, self.rig_name) if name)
        return [obj for obj in found if obj is not None]

    def paths(self) -> dict[Owner, set[str]]:
        """Give the rotations of the bones, or the object's place."""
        if self.rig_name:
            rig = bpy.data.objects.get(self.rig_name)
            names = [*(name for name, _ in self.bones), *self.eyes]
            if rig is None or any(name not in rig.pose.bones for name in names):
                return {}
            return {Owner.of(rig): {bones.rotation_path(rig, name) for name in names}}
        obj = bpy.data.objects.get(self.name)
        return {} if obj is None else {Owner.of(obj): {_PLACE[0], _delta_path(obj)}}

    def curves(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        """Turn the head's channels, and the gaze's where eyes have bones, into rotations."""
        found: list[Curve] = []
        turn = _columns(values, channels, EXTRA_CHANNELS["head"])
        rig = bpy.data.objects.get(self.rig_name) if self.rig_name else None
        if turn is not None and rig is not None:
            for name, share in self.bones:
                found += bones.turn_curves(rig, name, np.degrees(share * turn))
        elif turn is not None:
            found += _object_curves(bpy.data.objects[self.name], turn)
        gaze = _columns(values, channels, EXTRA_CHANNELS["gaze"]) if self.eyes else None
        if gaze is not None and rig is not None:
            turned = np.degrees(np.column_stack([gaze, np.zeros(len(gaze))]))
            for name in self.eyes:
                found += bones.turn_curves(rig, name, turned)
        return found

    def shows(self, channels: tuple[str, ...]) -> bool:
        """Whether frames with these channels move it at all."""
        needed = EXTRA_CHANNELS["head"] if self.bones or not self.rig_name else ()
        needed += EXTRA_CHANNELS["gaze"] if self.eyes else ()
        return any(name in channels for name in needed)

    def lips(self) -> np.ndarray:
        """Lips are the face's."""
        return np.zeros(0, dtype=np.int64)

    def summary(self) -> str:
        """Say what turns."""
        if self.bones or self.eyes:
            return ", ".join([*(name for name, _ in self.bones), *self.eyes]) + " turn"
        return "the head's place moves"

    def concerns(self) -> list[str]:
        """Nothing that the face does not say."""
        return []


def beside(target: Target, extra: tuple[str, ...]) -> HeadTurn | None:
    """Return what shows the extras ("head", "gaze") of a take, None where nothing does."""
    mesh = next(iter(target.objects()), None)
    if mesh is None:
        return None
    rig = family.armature_of(mesh)
    driven = {path for paths in target.paths().values() for path in paths}
    eyes: tuple[str, ...] = ()
    if "gaze" in extra and getattr(target, "space", "") == "flame" and rig is not None:
        eyes = tuple(name for name in EYE_BONES if name in rig.pose.bones)
    chosen: tuple[tuple[str, float], ...] = ()
    if "head" in extra and rig is not None:
        names = [n for n in _neck_and_head(rig) if bones.rotation_path(rig, n) not in driven]
        shares = (NECK_SHARE, 1.0 - NECK_SHARE) if len(names) == 2 else (1.0,)
        chosen = tuple(zip(names, shares, strict=False))
    if chosen or eyes:
        return HeadTurn(mesh.name, rig.name, chosen, eyes, target.output)
    if "head" in extra and rig is None and mesh.parent is None:
        return HeadTurn(mesh.name, output=target.output)
    return None


def left_over(
    faces: Iterable[Target], kept: Mapping[Owner, Collection[str]]
) -> dict[Owner, set[str]]:
    """Turns that another take shows on these characters, and one of ``kept`` would not replace."""
    found: dict[Owner, set[str]] = {}
    for face in faces:
        turn = beside(face, ("head", "gaze"))
        for owner, paths in turn.paths().items() if turn is not None else ():
            shown = actions.active(owner)
            if shown is not None and actions.metadata(shown):
                lost = actions.driven_paths(shown, owner) & paths - set(kept.get(owner, ()))
                found.update({owner: lost} if lost else {})
    return found


def put_away(turns: Mapping[Owner, Collection[str]], kept: Collection[Owner]) -> None:
    """Let go of such turns; an Action that moves something else as well stays where it is."""
    for owner, paths in turns.items():
        shown = actions.active(owner)
        if owner not in kept and shown is not None:
            if actions.driven_paths(shown, owner) - set(paths):
                continue
            shown.use_fake_user = True
            actions.assign(None, owner)
        reset(owner, paths)


def _neck_and_head(rig: bpy.types.Object) -> list[str]:
    spelled = {plain(name): name for name in reversed(rig.data.bones.keys())}
    kinds = (NECK_BONES, HEAD_BONES)
    found = (next((spelled[n] for n in names if n in spelled), "") for names in kinds)
    return [name for name in found if name]


def _columns(
    values: np.ndarray, channels: tuple[str, ...], names: tuple[str, ...]
) -> np.ndarray | None:
    if any(name not in channels for name in names):
        return None
    return values[:, [channels.index(name) for name in names]].astype(np.float64)


def _delta_path(obj: bpy.types.Object) -> str:
    return _PLACE[2] if obj.rotation_mode == "QUATERNION" else _PLACE[1]


def _object_curves(obj: bpy.types.Object, turn: np.ndarray) -> list[Curve]:
    """Turn an object about the middle of its lower end, above its own transform: turn [T, 3] rad.

    Its front is -y and up is z, as the bundled head's.
    """
    corners = np.array([corner[:] for corner in obj.bound_box])
    low = corners[np.argsort(corners[:, 2])[:4]].mean(axis=0)
    arm = np.array(obj.matrix_basis.to_3x3() @ Vector(low))  # from the origin to the pivot
    order = obj.rotation_mode if obj.rotation_mode in _ORDERS else "XYZ"
    places, turns, last = [], [], Euler((0.0, 0.0, 0.0), order)
    quaternion = obj.rotation_mode == "QUATERNION"
    for nod, left, tilt in turn.tolist():
        matrix = Matrix(bones.matrix_of(np.array([nod, -tilt, left])).tolist())
        places.append(arm - np.array(matrix) @ arm)
        if quaternion:
            turns.append(tuple(matrix.to_quaternion()))
        else:
            last = matrix.to_euler(order, last)
            turns.append(tuple(last))
    owner = Owner.of(obj)
    pairs = ((_PLACE[0], np.array(places)), (_delta_path(obj), np.array(turns)))
    return [
        Curve(owner, path, np.ascontiguousarray(part, dtype=np.float32), index)
        for path, parts in pairs
        for index, part in enumerate(parts.T)
    ]
