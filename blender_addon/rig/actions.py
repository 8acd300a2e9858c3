# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of a take, and the one place that knows how Blender's versions differ about them.

Before 4.4 an Action holds F-curves itself: one Action per mesh. From 4.4 on it holds slots: one
Action per take, one slot per mesh. ``Action.fcurves`` is gone in 5.0, so slots are used where they
exist. Names are kept, not references: undo frees what a reference points to.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

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


def new_action(name: str, key: bpy.types.Key) -> bpy.types.Action:
    """Make (or, with slots, extend) the Action of a take so that it can drive ``key``."""
    if not SLOTS:
        return bpy.data.actions.new(name)
    action = bpy.data.actions.get(name)
    if action is None:
        action = bpy.data.actions.new(name)
        action.layers.new("Layer").strips.new(type="KEYFRAME")
    action.slots.new(id_type="KEY", name=key.name)
    return action


def slot_for(action: bpy.types.Action, key: bpy.types.Key) -> Any:
    """Slot of ``action`` that drives ``key``, None where there are no slots or no such slot."""
    if not SLOTS:
        return None
    wanted = [slot for slot in action.slots if slot.target_id_type == "KEY"]
    named = [slot for slot in wanted if slot.name_display == key.name]
    return (named or wanted or [None])[0]


def assign(action: bpy.types.Action | None, key: bpy.types.Key, slot: Any = None) -> None:
    """Make ``action`` the active one of ``key``."""
    data = key.animation_data or key.animation_data_create()
    data.action = action
    if SLOTS and action is not None:
        slot = slot or slot_for(action, key)
        if slot is not None:
            data.action_slot = slot


def fcurves(action: bpy.types.Action, key: bpy.types.Key) -> Any:
    """F-curves of ``action`` that drive ``key`` (a collection with new, find, remove)."""
    if not SLOTS:
        return action.fcurves
    strip = action.layers[0].strips[0]
    return strip.channelbag(slot_for(action, key), ensure=True).fcurves


def data_path(shape_key: str) -> str:
    """RNA path of a shape key's value."""
    return f'key_blocks["{bpy.utils.escape_identifier(shape_key)}"].value'


def write_keys(
    action: bpy.types.Action,
    key: bpy.types.Key,
    shape_keys: list[str],
    frames: np.ndarray,
    values: np.ndarray,
) -> int:
    """Set the keys of ``shape_keys`` to frames [T] (scene, fractional) and values [T, C] float32.

    Overwrites what this Action held before; gives the number of keys.
    """
    curves = fcurves(action, key)
    points = np.empty((len(frames), 2), dtype=np.float32)
    points[:, 0] = frames
    linear = np.full(len(frames), LINEAR, dtype=np.int32)
    handles = np.full(len(frames), AUTO_CLAMPED, dtype=np.int32)
    for column, name in enumerate(shape_keys):
        path = data_path(name)
        curve = curves.find(path) or curves.new(path)
        keys = curve.keyframe_points
        if len(keys) < len(frames):
            keys.add(len(frames) - len(keys))
        points[:, 1] = values[:, column]
        keys.foreach_set("co", points.ravel())
        keys.foreach_set("interpolation", linear)
        keys.foreach_set("handle_left_type", handles)
        keys.foreach_set("handle_right_type", handles)
        curve.update()
    return len(frames) * len(shape_keys)


def driven_paths(action: bpy.types.Action, key: bpy.types.Key) -> set[str]:
    """RNA paths that ``action`` animates on ``key``."""
    if SLOTS:
        slot = slot_for(action, key)
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


def takes_of(key: bpy.types.Key) -> list[str]:
    """Names of all takes that were made for ``key``, oldest first."""
    found = [action.name for action in bpy.data.actions if drives(action, key)]
    return sorted(found, key=_take_order)


def drives(action: bpy.types.Action, key: bpy.types.Key) -> bool:
    """True for a take that was made for ``key`` (before 4.4: the take's Action for this mesh)."""
    told = metadata(action)
    own = told.get("own", "")
    return key.name in told.get("keys", "").split("\n") and (not own or own == key.name)


def _take_order(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition(" ")
    return (stem, int(number)) if number.isdigit() else (name, 0)
