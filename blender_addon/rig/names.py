# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shape key a channel drives: ARKit names, whatever their case and separators. No bpy.

The seam for richer retargeting: whatever comes later also ends as {channel: shape key name}.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Apple's order and spelling (the Live Link Face CSV); the backend's frames name their channels too.
ARKIT_NAMES = (
    "eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft "
    "eyeWideLeft eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight "
    "eyeSquintRight eyeWideRight jawForward jawRight jawLeft jawOpen mouthClose mouthFunnel "
    "mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight mouthFrownLeft "
    "mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight "
    "mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft "
    "mouthPressRight mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight "
    "browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff "
    "cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut"
).split()


def plain(name: str) -> str:
    """``name`` without case, separators or prefixes' punctuation; _L / .R become left / right."""
    sided = re.sub(r"[_.\- ]([LR])$", lambda m: {"L": "left", "R": "right"}[m[1]], name.strip())
    return re.sub(r"[^a-z0-9]", "", sided.lower())


def match(channels: Iterable[str], key_names: Iterable[str]) -> dict[str, str]:
    """``{channel: shape key}`` for every channel that has a shape key; the first spelling wins."""
    found: dict[str, str] = {}
    for key in key_names:
        found.setdefault(plain(key), key)
    return {channel: found[plain(channel)] for channel in channels if plain(channel) in found}
