# SPDX-License-Identifier: GPL-3.0-or-later
"""The clip of one take: an Action on every target, filled while frames arrive."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import actions
from .rollback import Rollback
from .targets import Target

SLIDER_LIMIT = 10.0  # Blender's own


class ClipError(RuntimeError):
    """The clip cannot be written any more; the text is for the user."""


class Clip:
    """New Actions, assigned to the targets; whatever was assigned before is kept aside."""

    def __init__(self, name: str, targets: list[Target], rollback: Rollback) -> None:
        self.targets = targets
        self.notes: list[str] = []
        self._actions: dict[str, str] = {}
        self._rollback = rollback
        self.name = name if bpy.data.actions.get(name) is None else actions.take_name(name)
        for target in targets:
            self._begin(target)
        self.set_metadata({})

    def _begin(self, target: Target) -> None:
        key = target.key()
        if key is None:
            raise ClipError(f"'{target.object_name}' was removed.")
        self._rollback.animation(target.object_name)
        old = key.animation_data.action if key.animation_data else None
        if old is not None:
            old.use_fake_user = True
            self._note_loss(old, key, target)
        alone = not self._actions or actions.SLOTS
        wanted = self.name if alone else f"{self.name} {target.object_name}"
        known = set(bpy.data.actions.keys())
        action = actions.new_action(wanted, key)
        if action.name not in known:
            self._rollback.new_action(action.name)
        if not self._actions:
            self.name = action.name
        action.use_fake_user = True
        self._actions[target.object_name] = action.name
        actions.assign(action, key)

    def _note_loss(self, old: bpy.types.Action, key: bpy.types.Key, target: Target) -> None:
        ours = {actions.data_path(name) for name in target.mapping.values()}
        lost = actions.driven_paths(old, key) - ours
        if lost and not actions.metadata(old):
            self.notes.append(
                f"The Action '{old.name}' is kept but put aside; it also animated {len(lost)} "
                f"other channels of '{target.object_name}'."
            )

    def action(self, target: Target) -> bpy.types.Action | None:
        """Return the target's Action, None where it was removed."""
        return bpy.data.actions.get(self._actions[target.object_name])

    def write(self, frames: np.ndarray, values: np.ndarray, channels: tuple[str, ...]) -> int:
        """Set all keys: frames [T] (scene), values [T, C] -> number of keys."""
        column = {name: i for i, name in enumerate(channels)}
        count = 0
        for target in self.targets:
            key, action = target.key(), self.action(target)
            if key is None or action is None:
                raise ClipError("The head or the take was removed while it was being made.")
            pairs = [(c, k) for c, k in target.mapping.items() if c in column]
            names = [name for _, name in pairs]
            chosen = values[:, [column[channel] for channel, _ in pairs]]
            self._fit_sliders(target, names, chosen)
            count += actions.write_keys(action, key, names, frames, chosen)
        return count

    def _fit_sliders(self, target: Target, names: list[str], values: np.ndarray) -> None:
        """Widen slider ranges where values would be clamped: Blender's default is 0..1."""
        lowest, highest = values.min(axis=0), values.max(axis=0)
        for name, low, high in zip(names, lowest, highest, strict=True):
            block = target.key().key_blocks[name]  # type: ignore[union-attr]

            def owner(target: Target = target, name: str = name) -> Any:
                return target.key().key_blocks[name]  # type: ignore[union-attr]

            if low < block.slider_min:
                self._rollback.attribute(owner, "slider_min")
                block.slider_min = max(float(low), -SLIDER_LIMIT)
            if high > block.slider_max:
                self._rollback.attribute(owner, "slider_max")
                block.slider_max = min(float(high), SLIDER_LIMIT)

    def set_metadata(self, values: dict[str, Any]) -> None:
        """Store how the take was made on every Action of it."""
        keys = "\n".join(target.key().name for target in self.targets if target.key())
        for target in self.targets:
            action, key = self.action(target), target.key()
            if action is not None and key is not None:
                own = "" if actions.SLOTS else key.name
                told = {"take": self.name, "keys": keys, "own": own, **values}
                actions.set_metadata(action, told)
