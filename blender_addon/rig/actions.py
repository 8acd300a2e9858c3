# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of a take, and the one place that knows how Blender's versions differ about them.

Before 4.4 an Action holds F-curves itself: one Action per datablock. From 4.4 on it holds slots:
one Action per take, one slot per datablock (face and rig in one clip). ``Action.fcurves`` is gone
in 5.0, so slots are used where they exist. A datablock is one that :class:`Owner` names.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from .target import Curve, Owner

SLOTS = bpy.app.version >= (4, 4, 0)
METADATA = "lsf"
LINEAR, AUTO_CLAMPED = 1, 4
NAME_BYTES = 48  # Blender before 5.0 cuts names at 63 bytes


def take_name(stem: str) -> str:
    """``<stem> take N`` with the first free N."""
    stem = stem.strip().encode()[:NAME_BYTES].decode("utf-8", "ignore") or "speech"
    number = 1
    while any(name.startswith(f"{stem} take {number}") for name in bpy.data.actions.keys()):
        number += 1
    return f"{stem} take {number}"


def new_action(name: str, owner: Owner) -> bpy.types.Action:
    """Make (or, with slots, extend) the Action of a take so that it can drive ``owner``."""
    if not SLOTS:
        return bpy.data.actions.new(name)
    action = bpy.data.actions.get(name)
    if action is None:
        action = bpy.data.actions.new(name)
        action.layers.new("Layer").strips.new(type="KEYFRAME")
    action.slots.new(id_type=owner.id_type, name=owner.name)
    return action


def slot_for(action: bpy.types.Action, owner: Owner) -> Any:
    """Slot of ``action`` that drives ``owner``, None where there are no slots or no such slot."""
    if not SLOTS:
        return None
    wanted = [slot for slot in action.slots if slot.target_id_type == owner.id_type]
    named = [slot for slot in wanted if slot.name_display == owner.name]
    return (named or wanted or [None])[0]


def assign(action: bpy.types.Action | None, owner: Owner, slot: Any = None) -> None:
    """Make ``action`` the active one of ``owner``."""
    datablock = owner.datablock()
    data = datablock.animation_data or datablock.animation_data_create()
    data.action = action
    if SLOTS and action is not None:
        slot = slot or slot_for(action, owner)
        if slot is not None:
            data.action_slot = slot


def active(owner: Owner) -> bpy.types.Action | None:
    """Return the Action that ``owner`` shows now."""
    datablock = owner.datablock()
    data = datablock.animation_data if datablock is not None else None
    return data.action if data is not None else None


def push_down(action: bpy.types.Action, owner: Owner) -> str:
    """Put an Action that ``owner`` shows into an NLA track of its own; gives the track's name.

    It goes on below the Action that is shown next, in the channels that this one does not have.
    """
    data = owner.datablock().animation_data
    slot = data.action_slot if SLOTS else None
    start = int(action.frame_range[0])
    track = data.nla_tracks.new()
    track.name = action.name
    strip = track.strips.new(action.name, start, action)
    if SLOTS and slot is not None:
        strip.action_slot = slot
    return track.name


def remove_track(owner: Owner, name: str) -> None:
    """Take such a track away again."""
    data = owner.datablock().animation_data
    data.nla_tracks.remove(data.nla_tracks[name])


def fcurves(action: bpy.types.Action, owner: Owner) -> Any:
    """F-curves of ``action`` that drive ``owner`` (a collection with new, find, remove)."""
    if not SLOTS:
        return action.fcurves
    strip = action.layers[0].strips[0]
    return strip.channelbag(slot_for(action, owner), ensure=True).fcurves


def write_curves(action: bpy.types.Action, frames: np.ndarray, curves: list[Curve]) -> int:
    """Set the keys of ``curves`` at frames [T] (scene, fractional); gives the number of keys.

    Overwrites what this Action held before. The curves are of one owner, or there are slots.
    """
    points = np.empty((len(frames), 2), dtype=np.float32)
    points[:, 0] = frames
    linear = np.full(len(frames), LINEAR, dtype=np.int32)
    handles = np.full(len(frames), AUTO_CLAMPED, dtype=np.int32)
    places = {owner: fcurves(action, owner) for owner in {curve.owner for curve in curves}}
    for curve in curves:
        place, where = places[curve.owner], {"index": curve.index}
        found = place.find(curve.data_path, **where) or place.new(curve.data_path, **where)
        keys = found.keyframe_points
        if len(keys) < len(frames):
            keys.add(len(frames) - len(keys))
        points[:, 1] = curve.values
        keys.foreach_set("co", points.ravel())
        keys.foreach_set("interpolation", linear)
        keys.foreach_set("handle_left_type", handles)
        keys.foreach_set("handle_right_type", handles)
        found.update()
    return len(frames) * len(curves)


def driven_paths(action: bpy.types.Action, owner: Owner) -> set[str]:
    """RNA paths that ``action`` animates on ``owner``."""
    if SLOTS:
        slot = slot_for(action, owner)
        if slot is None or not action.layers or not action.layers[0].strips:
            return set()
        bag = action.layers[0].strips[0].channelbag(slot)
        return {curve.data_path for curve in bag.fcurves} if bag else set()
    return {curve.data_path for curve in action.fcurves}


def set_metadata(action: bpy.types.Action, values: dict[str, Any]) -> None:
    """Store how the take was made on the Action (custom property group ``lsf``)."""
    action[METADATA] = {key: _storable(value) for key, value in values.items()}


def metadata(action: bpy.types.Action) -> dict[str, Any]:
    """What ``set_metadata`` stored; empty for somebody else's Action."""
    group = action.get(METADATA)
    return group.to_dict() if hasattr(group, "to_dict") else {}


def _storable(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict):
        return {str(key): _storable(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**31:
        return str(value)  # Blender's custom integers have 32 bits
    if isinstance(value, bool | int | float | str):
        return value
    return str(value)


def takes_of(*owners: Owner) -> list[str]:
    """Names of all takes that were made for any of ``owners``, oldest first."""
    found = []
    for action in bpy.data.actions:
        theirs = owners_of(action)
        own = metadata(action).get("own", "")
        # Before 4.4 a take has an Action per owner; the first one stands for it.
        if set(owners) & set(theirs) and own in ("", str(theirs[0])):
            found.append(action.name)
    return sorted(found, key=_take_order)


def owners_of(action: bpy.types.Action) -> list[Owner]:
    """Everything that the take of an Action drives."""
    lines = metadata(action).get("owners", "").split("\n")
    return [Owner.parse(line) for line in lines if line]


def drives(action: bpy.types.Action, owner: Owner) -> bool:
    """True for a take that was made for ``owner`` (before 4.4: the take's Action for it)."""
    own = metadata(action).get("own", "")
    return owner in owners_of(action) and own in ("", str(owner))


def _take_order(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition(" ")
    return (stem, int(number)) if number.isdigit() else (name, 0)
