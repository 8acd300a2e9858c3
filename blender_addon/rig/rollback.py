# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes back what a failed take had already changed, newest change first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Any

import bpy

from . import actions
from .target import Owner

log = logging.getLogger(__name__)


class Rollback:
    """A list of functions that undo. They look datablocks up by name: undo frees references."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], None]] = []

    def add(self, step: Callable[[], None]) -> None:
        """Remember how to take one change back."""
        self._steps.append(step)

    def keep(self) -> None:
        """Forget everything: the take has succeeded."""
        self._steps.clear()

    def run(self) -> None:
        """Take everything back; one step's failure does not stop the others."""
        while self._steps:
            try:
                self._steps.pop()()
            except (ReferenceError, RuntimeError, AttributeError, KeyError) as error:
                log.warning("could not take a change back: %s", error)

    def attribute(self, owner: Callable[[], object], name: str) -> None:
        """Remember the present value of an attribute of ``owner()``."""
        value = getattr(owner(), name)
        self.add(lambda: setattr(owner(), name, value))

    def animation(self, owner: Owner, paths: Collection[str]) -> None:
        """Remember which Action drives a datablock, and the values of what will be driven."""
        datablock = owner.datablock()
        data = datablock.animation_data
        action = data.action.name if data and data.action else None
        fake = data.action.use_fake_user if action else False
        slot = data.action_slot.identifier if action and actions.SLOTS and data.action_slot else ""
        had_data = data is not None
        before = {path: _value(datablock, path) for path in paths}

        def restore() -> None:
            datablock = owner.datablock()
            if action is None:
                if had_data:
                    actions.assign(None, owner)
                else:
                    datablock.animation_data_clear()
            else:
                old = bpy.data.actions[action]
                actions.assign(old, owner, old.slots.get(slot) if slot else None)
                old.use_fake_user = fake
            for path, value in before.items():
                parent, _, name = path.rpartition(".")
                setattr(datablock.path_resolve(parent) if parent else datablock, name, value)

        self.add(restore)

    def new_object(self, obj: bpy.types.Object) -> None:
        """Remember to delete a mesh with its materials, or an armature."""
        name, data, is_mesh = obj.name, obj.data.name, obj.type == "MESH"
        materials = [m.name for m in obj.data.materials if m] if is_mesh else []

        def remove() -> None:
            bpy.data.objects.remove(bpy.data.objects[name])
            datablocks = bpy.data.meshes if is_mesh else bpy.data.armatures
            datablocks.remove(datablocks[data])
            for material in materials:
                bpy.data.materials.remove(bpy.data.materials[material])

        self.add(remove)

    def new_action(self, name: str) -> None:
        """Remember to delete an Action."""
        self.add(lambda: bpy.data.actions.remove(bpy.data.actions[name]))


def _value(datablock: bpy.types.ID, path: str) -> Any:
    value = datablock.path_resolve(path)
    return value if isinstance(value, float | int | bool) else tuple(value)
