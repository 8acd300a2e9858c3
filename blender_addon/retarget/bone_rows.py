# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows for bones by their names: jaw, eyes and lids of any rig, and Rigify's whole face. No bpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from . import conventions, rigify
from .model import BONE, Row, Target
from .tokens import plain


def bone_rows(bones: Mapping[str, tuple[str, ...]], reached: set[str]) -> list[Row]:
    """Rows for the bones of armatures (armature -> names) where no key does the same."""
    rows: list[Row] = []
    for armature, names in bones.items():
        spelled: dict[str, str] = {}
        for name in names:
            spelled.setdefault(plain(name), name)
        rows += _jaw(armature, spelled, reached)
        rows += rigify.rows(armature, spelled, reached)
        face = rigify.face_of(spelled)
        if face is None or not face.targets:
            rows += _eyes(armature, spelled, reached)
        rows += _lids(armature, spelled, reached)
    return rows


def first(spelled: Mapping[str, str], choices: tuple[str, ...]) -> str:
    """Name of the first bone of some that is there; "" where none is."""
    return next((spelled[choice] for choice in choices if choice in spelled), "")


def _row(owner: str, bone: str, component: str, sources: dict[str, float]) -> Row:
    limit = max(abs(gain) for gain in sources.values())
    return Row(Target(owner, bone, BONE, component), tuple(sources.items()), low=-limit, high=limit)


def _jaw(owner: str, spelled: Mapping[str, str], reached: set[str]) -> list[Row]:
    jaw = first(spelled, conventions.JAW_BONES)
    # Character Creator has both: its jaw key only shapes what the bone moves.
    if not jaw or ("jawOpen" in reached and "ccbase" not in plain(jaw)):
        return []
    opening = _row(owner, jaw, "turn_x_deg", {"jawOpen": conventions.JAW_OPEN_DEG})
    side = conventions.JAW_SIDE_DEG
    sideways = _row(owner, jaw, "turn_y_deg", {"jawLeft": side, "jawRight": -side})
    return [dataclasses.replace(opening, low=0.0), sideways]


def _eyes(owner: str, spelled: Mapping[str, str], reached: set[str]) -> list[Row]:
    rows = []
    degrees = conventions.EYE_DEG
    for side, arkit, left, right in (
        ("left", "Left", "Out", "In"),
        ("right", "Right", "In", "Out"),
    ):
        eye = first(spelled, conventions.EYE_BONES[side])
        if not eye or f"eyeLookUp{arkit}" in reached:
            continue
        up_down = {"Down": degrees["Down"], "Up": -degrees["Up"]}
        sideways = {left: degrees[left], right: -degrees[right]}
        for component, ways in (("turn_x_deg", up_down), ("turn_y_deg", sideways)):
            sources = {f"eyeLook{way}{arkit}": gain for way, gain in ways.items()}
            rows.append(_row(owner, eye, component, sources))
    return rows


def _lids(owner: str, spelled: Mapping[str, str], reached: set[str]) -> list[Row]:
    rows = []
    for side, arkit in (("left", "Left"), ("right", "Right")):
        lid = first(spelled, conventions.LID_BONES[side])
        if lid and f"eyeBlink{arkit}" not in reached:
            rows.append(_row(owner, lid, "turn_x_deg", {f"eyeBlink{arkit}": conventions.LID_DEG}))
    return rows
