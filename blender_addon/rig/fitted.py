# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of bones fitted to a rest pose: how far this face's jaw, lips, brows, lids and eyes go."""

from __future__ import annotations

import dataclasses
import functools

import bpy
import numpy as np

from ..retarget import conventions, rigify
from ..retarget.bone_rows import first
from ..retarget.model import BONE, MOVES, Row
from ..retarget.tokens import plain
from . import bones, lip_gap


def fit(row: Row, meshes: list[bpy.types.Object]) -> Row:
    """Scale the rows of a jaw bone and of Rigify's controls to the character's rest pose."""
    place = row.target
    if place.kind != BONE:
        return row
    rig = bpy.data.objects[place.owner]
    if place.component in MOVES:
        return _fit_control(row, rig)
    if place.component != "turn_x_deg" or row.high != conventions.JAW_OPEN_DEG:
        return row
    rest = tuple(rig.data.bones[place.name].head_local)
    sizes = tuple((mesh.name, len(mesh.data.vertices)) for mesh in meshes)
    degrees = _jaw_degrees(rig.name, place.name, rest, sizes)
    return row if degrees is None else _scaled(row, degrees / conventions.JAW_OPEN_DEG)


def _scaled(row: Row, share: float) -> Row:
    sources = tuple((name, gain * share) for name, gain in row.sources)
    return dataclasses.replace(row, sources=sources, low=row.low * share, high=row.high * share)


def _fit_control(row: Row, rig: bpy.types.Object) -> Row:
    """Scale a control's moves from the bundled head's mm to this face's."""
    there = spelled(rig)
    face = rigify.face_of(there)
    if face is None:
        return row
    name = row.target.name
    unit = rigify.unit_of(face, plain(name), name)
    mm = functools.partial(bones.apart_mm, rig)
    scales = {"": 1.0}
    if unit == "gaze":
        ball = face.balls[face.targets.index(name)]
        scales[unit] = float(np.linalg.norm(mm(name, ball))) / rigify.EYE_TARGET_MM
    elif unit == "mouth" and face.corners:
        scales[unit] = float(np.linalg.norm(mm(*face.corners))) / rigify.MOUTH_MM
    elif face.balls:
        scales[unit] = float(np.linalg.norm(mm(*face.balls))) / rigify.EYES_MM
    fitted = _scaled(row, scales.get(unit, 1.0))
    blink = next((shape for shape, _ in row.sources if shape.startswith("eyeBlink")), "")
    lower = there.get(plain(name).replace("lidt", "lidb"), "")
    if not blink or row.target.component != "move_y_mm" or not lower:
        return fitted
    way = -float(mm(name, lower)[1])  # the upper lid goes down to the lower one
    sources = {**dict(fitted.sources), blink: way}
    return dataclasses.replace(fitted, sources=tuple(sources.items()), low=min(way, 0.0))


def spelled(rig: bpy.types.Object) -> dict[str, str]:
    """Bones of an armature by their names without case and separators."""
    return {plain(name): name for name in reversed(rig.data.bones.keys())}


@functools.lru_cache(maxsize=64)
def _jaw_degrees(
    rig_name: str, jaw: str, rest: tuple[float, ...], sizes: tuple[tuple[str, int], ...]
) -> float | None:
    """Measured once for a rest pose: it looks at every vertex, and a panel asks at every redraw."""
    rig = bpy.data.objects[rig_name]
    there = spelled(rig)
    face = rigify.face_of(there)
    eyes = face.balls if face is not None else ()
    found = eyes or tuple(first(there, names) for names in conventions.EYE_BONES.values())
    opening = bones.wanted_opening(rig, tuple(filter(None, found)))
    if opening is None:
        return None
    if "lipb" in there and face is not None:  # its lips follow by constraints, not as children
        return bones.lip_degrees(rig, jaw, there["lipb"], opening)
    for name, _ in sizes:
        usual = conventions.JAW_OPEN_DEG
        angle = lip_gap.jaw_angle(rig, jaw, opening, bpy.data.objects[name], usual)
        if angle is not None:
            return angle
    return bones.jaw_degrees(rig, jaw, opening)


def forget() -> None:
    """Measure rest poses anew: a take begins, a map is built, another file is loaded."""
    _jaw_degrees.cache_clear()
