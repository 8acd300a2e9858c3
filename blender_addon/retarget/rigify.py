# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigify's face: which of its controls a shape moves, how far and where to. No bpy.

Names of both faces of Rigify: ``faces.super_face`` (lips.L) and the upgraded one of skin rigs
(lip_end.L.001). The controls between them follow by the rig's own constraints, so that lip corners,
the middles of the lips, ends and middles of brows and lids are enough.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from . import conventions
from .model import BONE, MOVES, Row, Target

# The bundled head's, from which the table below is measured: mouth corners, pupils.
MOUTH_MM, EYES_MM = 42.7, 62.5
_MARK = "jawmaster"
CORNERS = (("lipsl", "lipsr"), ("lipendl001", "lipendr001"))
EYE_TARGETS = ("eyel", "eyer")
EYE_BALLS = ("orgeyel", "orgeyer")
EYE_TARGET_MM = 180.0  # how far ahead a target is, where the rest pose does not tell
TONGUES = ("tonguemaster", "tongue")

# Control: shape x y z, in hundredths of the mouth's width; of the distance of the eyes below the
# line. x outwards, to the left for a middle control; y up; z forward. * is the control's own side
# (a middle control: both sides), / the other one.
_MOUTH = """
corner: mouthSmile* 15 22 -11, mouthFrown* 3 -12 0, mouthDimple* 12 6 -8, mouthStretch* 12 -6 -8,
    mouthPress* 12 8 -2, mouthFunnel -6 -1 7, mouthPucker -10 0 15, mouth* 14 8 -12,
    mouth/ -15 0 8, mouthUpperUp* -1 4 0, cheekPuff -7 0 11
lipt: mouthSmile* 3 5 0, mouthFunnel 0 10 13, mouthPucker 0 0 17, mouth* 18 0 -2,
    mouthRollUpper 0 -4 -14, mouthShrugUpper 0 10 1, mouthUpperUp* 1 5 0, cheekPuff 0 0 7
lipb: mouthSmile* 3 7 0, mouthPress* 3 4 0, mouthFunnel 0 -18 9, mouthPucker 0 0 17, mouth* 18 0 -2,
    mouthRollLower 0 6 -12, mouthShrugLower 0 11 9, mouthLowerDown* 1 -4 1, cheekPuff 0 0 8
lipt*001: mouthUpperUp* 3 7 0
lipb*001: mouthLowerDown* 2 -7 0
jawmaster: jawForward 0 0 20
tongue: tongueOut 0 0 50
"""
_EYES = """
browt*003: browDown* -5 -5 1, browInnerUp 0 4 0, noseSneer* -3 -5 0
browt*001: browDown* -2 -6 1, browOuterUp* 0 6 -1
browb*002: browDown* -2 -4 0, browOuterUp* 0 3 0, browInnerUp 0 2 0
browb*004: browDown* -3 -4 0, browInnerUp 0 3 0
lidt*002: eyeBlink* 0 -14 0, eyeWide* 0 5 0
lidb*002: eyeSquint* 0 5 2
cheekb*001: cheekPuff 5 0 19, cheekSquint* 1 12 -2
cheekt*001: cheekSquint* 1 6 -1
nose*001: noseSneer* 2 4 -1
"""
_SIDES = {"l": ("Left", "Right", 1.0), "r": ("Right", "Left", -1.0)}

Moves = dict[str, dict[str, tuple[float, float, float]]]


def _moves(table: str, unit_mm: float) -> Moves:
    """Control -> shape -> (left, up, forward) in mm of a life-size face."""
    found: Moves = {}
    for line in table.strip().replace(",\n", ",").splitlines():
        control, _, shapes = line.partition(":")
        sides = _SIDES if "*" in control or control == "corner" else {"": ("", "", 1.0)}
        for letter, (own, other, sign) in sides.items():
            name = f"corner{letter}" if control == "corner" else control.replace("*", letter)
            found[name] = {}
            for part in shapes.split(","):
                shape, *numbers = part.split()
                x, y, z = (0.01 * unit_mm * float(number) for number in numbers)
                if letter or "*" not in shape:
                    spelled = shape.replace("*", own).replace("/", other)
                    found[name][spelled] = (sign * x, y, z)
                    continue
                for word, _, way in _SIDES.values():
                    found[name][shape.replace("*", word)] = (way * x, y, z)
    return found


MOUTH_MOVES, EYE_MOVES = _moves(_MOUTH, MOUTH_MM), _moves(_EYES, EYES_MM)


@dataclasses.dataclass(frozen=True)
class Face:
    """Bones of a Rigify face as they are spelled, left before right; () or "" where missing."""

    corners: tuple[str, ...]
    tongue: str
    targets: tuple[str, ...]
    balls: tuple[str, ...]


def face_of(spelled: Mapping[str, str]) -> Face | None:
    """Find a Rigify face among bones (name without case and separators -> name); None: not one."""
    if _MARK not in spelled:
        return None

    def all_of(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(spelled[name] for name in names if all(one in spelled for one in names))

    tongue = next((spelled[name] for name in TONGUES if name in spelled), "")
    looks = EYE_TARGETS if all_of(EYE_TARGETS) and all_of(EYE_BALLS) else ()
    corners = all_of(CORNERS[0]) or all_of(CORNERS[1])
    return Face(corners, tongue, all_of(looks), all_of(EYE_BALLS))


def unit_of(face: Face, plain_name: str, bone: str) -> str:
    """What a control's moves grow with: ``mouth``, ``eyes``, ``gaze``; "" where with nothing."""
    if bone in face.targets:
        return "gaze"
    if bone in (*face.corners, face.tongue) or plain_name in MOUTH_MOVES:
        return "mouth"
    return "eyes" if plain_name in EYE_MOVES else ""


def rows(owner: str, spelled: Mapping[str, str], reached: set[str]) -> list[Row]:
    """Rows of a Rigify face but for the turns of its jaw, in mm of a life-size face.

    Shapes that are ``reached`` by keys are left to those.
    """
    face = face_of(spelled)
    if face is None:
        return []
    named = dict(zip(("cornerl", "cornerr"), face.corners, strict=False))
    named["tongue"] = face.tongue
    found = []
    for control, shapes in {**MOUTH_MOVES, **EYE_MOVES}.items():
        bone = named.get(control, spelled.get(control, ""))
        free = {shape: way for shape, way in shapes.items() if shape not in reached}
        for axis, component in enumerate(MOVES if bone else ()):
            gains = {shape: round(way[axis], 3) for shape, way in free.items() if way[axis]}
            found += _row(owner, bone, component, gains)
    for side, target in zip(("Left", "Right"), face.targets, strict=False):
        found += _gaze(owner, target, side) if f"eyeLookUp{side}" not in reached else []
    return found


def _gaze(owner: str, target: str, side: str) -> list[Row]:
    """The eyes look at their targets, so these are moved."""
    turns = conventions.EYE_DEG.items()
    reach = {way: round(EYE_TARGET_MM * math.tan(math.radians(turn)), 3) for way, turn in turns}
    left, right = ("Out", "In") if side == "Left" else ("In", "Out")
    across = {f"eyeLook{left}{side}": reach[left], f"eyeLook{right}{side}": -reach[right]}
    upright = {f"eyeLookUp{side}": reach["Up"], f"eyeLookDown{side}": -reach["Down"]}
    return [*_row(owner, target, MOVES[0], across), *_row(owner, target, MOVES[1], upright)]


def _row(owner: str, bone: str, component: str, gains: dict[str, float]) -> list[Row]:
    if not gains:
        return []
    low = sum(min(gain, 0.0) for gain in gains.values())
    high = sum(max(gain, 0.0) for gain in gains.values())
    target = Target(owner, bone, BONE, component)
    return [Row(target, tuple(gains.items()), low=round(low, 3), high=round(high, 3))]
