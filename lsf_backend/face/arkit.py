# SPDX-License-Identifier: Apache-2.0
"""The names of Apple ARKit's 52 face shapes, in the order of the Live Link Face CSV file.

The one place where this order is written down. Names are ARKit's own (camelCase); the CSV file
writes them with a capital first letter (``csv_name``). "Left" is the character's left.
"""

from __future__ import annotations

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")

ARKIT_NAMES: tuple[str, ...] = (
    *(f"eye{shape}Left" for shape in _EYE),
    *(f"eye{shape}Right" for shape in _EYE),
    "jawForward",
    "jawRight",
    "jawLeft",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthRight",
    "mouthLeft",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)

# The three shapes that the jaw joint makes; all others are expression shapes.
JAW_NAMES: tuple[str, ...] = ("jawOpen", "jawLeft", "jawRight")

# Face space "head": 49 expression shapes and one coefficient kept free, so that there are 50 as in
# FLAME's first 50.
EXPRESSION_NAMES: tuple[str, ...] = (
    *(name for name in ARKIT_NAMES if name not in JAW_NAMES),
    "reserved",
)


def csv_name(name: str) -> str:
    """Return an ARKit name as the Live Link Face CSV header writes it: jawOpen -> JawOpen."""
    return name[0].upper() + name[1:]
