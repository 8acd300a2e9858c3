# SPDX-License-Identifier: GPL-3.0-or-later
"""Names taken apart: ``!ex-jawOpen``, ``Jaw_Open_L``, ``mouthsmileleft`` -> words. No bpy."""

from __future__ import annotations

import re

from ..rig.names import ARKIT_NAMES

_SIDES = {"l": "left", "r": "right", "lf": "left", "rt": "right"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_VOCABULARY = frozenset(
    word.lower() for name in ARKIT_NAMES for word in re.findall(r"[A-Z]?[a-z]+", name)
)


def words(name: str) -> tuple[str, ...]:
    """Lower-case words of a name; sides spelled out: ``Mouth_Smile_L`` -> (mouth, smile, left)."""
    found: list[str] = []
    for word in _WORDS.findall(name):
        found += _known_words(word.lower()) or [word.lower()]
    return tuple(_SIDES.get(word, word) for word in found)


def plain(name: str) -> str:
    """Letters and digits only, lower case: ``Fcl_MTH_A`` -> ``fclmtha``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def split_side(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Words without their last side word, and that side ("" where there is none)."""
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] in ("left", "right"):
            return parts[:index] + parts[index + 1 :], parts[index]
    return parts, ""


def _known_words(text: str) -> list[str]:
    """Words of ARKit's names that are written without a space; [] where it is no such text."""
    if not text:
        return []
    for end in range(len(text), 1, -1):
        if text[:end] in _VOCABULARY:
            rest = _known_words(text[end:])
            if rest or end == len(text):
                return [text[:end], *rest]
    return ["left" if text == "l" else "right"] if text in ("l", "r") else []
