# SPDX-License-Identifier: GPL-3.0-or-later
"""The clip of one take: an Action on every target, filled while frames arrive."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import bpy
import numpy as np

from . import actions
from .rollback import Rollback
from .target import Curve, Owner, Target, driven_by

SLIDER_LIMIT = 10.0  # Blender's own


class ClipError(RuntimeError):
    """The clip cannot be written any more; the text is for the user."""


class Clip:
    """New Actions, assigned to the targets; whatever was assigned before is kept aside."""

    def __init__(self, name: str, targets: list[Target], rollback: Rollback) -> None:
        self.targets = targets
        self.notes: list[str] = []
        self.driven: set[tuple[Owner, str]] = set()
        self._actions: dict[Owner, str] = {}
        self._rollback = rollback
        self.name = name if bpy.data.actions.get(name) is None else actions.take_name(name)
        for target in targets:
            if not target.paths():
                raise ClipError(f"'{target.name}' was removed.")
        for owner, driven in driven_by(targets).items():
            self._begin(owner, driven)
        self.set_metadata({})

    def _begin(self, owner: Owner, paths: Collection[str]) -> None:
        if owner.datablock() is None:
            raise ClipError(f"'{owner.name}' was removed.")
        self._rollback.animation(owner, paths)
        old = actions.active(owner)
        if old is not None:
            old.use_fake_user = True
            self._note_loss(old, owner, paths)
        alone = not self._actions or actions.SLOTS
        wanted = self.name if alone else f"{self.name} {owner.name}"
        known = set(bpy.data.actions.keys())
        action = actions.new_action(wanted, owner)
        if action.name not in known:
            self._rollback.new_action(action.name)
        if not self._actions:
            self.name = action.name
        action.use_fake_user = True
        self._actions[owner] = action.name
        actions.assign(action, owner)

    def _note_loss(self, old: bpy.types.Action, owner: Owner, paths: Collection[str]) -> None:
        lost = actions.driven_paths(old, owner) - set(paths)
        if lost and not actions.metadata(old):
            if owner.id_type == "OBJECT":
                track = actions.push_down(old, owner)
                self._rollback.add(lambda: actions.remove_track(owner, track))
                self.notes.append(
                    f"The Action '{old.name}' of '{owner.name}' goes on below the take, as an NLA "
                    f"strip: it animates {len(lost)} other channels."
                )
                return
            self.notes.append(
                f"The Action '{old.name}' is kept but put aside; it also animated {len(lost)} "
                f"other channels of '{owner.name}'."
            )

    def write(self, frames: np.ndarray, values: np.ndarray, channels: tuple[str, ...]) -> int:
        """Set all keys: frames [T] (scene), values [T, C] -> number of keys."""
        by_owner: dict[Owner, list[Curve]] = {owner: [] for owner in self._actions}
        there = {owner for target in self.targets for owner in target.paths()}
        gone = set(self._actions.values()) - set(bpy.data.actions.keys())
        if gone or there != set(by_owner):
            raise ClipError("The head or the take was removed while it was being made.")
        for target in self.targets:
            for curve in target.curves(values, channels):
                by_owner[curve.owner].append(curve)
        count = 0
        for owner, curves in by_owner.items():
            action = bpy.data.actions[self._actions[owner]]
            if owner.id_type == "KEY":
                self._fit_sliders(curves)
            count += actions.write_curves(action, frames, curves)
            self.driven |= {(owner, curve.data_path) for curve in curves}
        return count

    def amount(self) -> str:
        """How much is driven: ``52 shape keys and 1 bone``."""
        shapes = sum(owner.id_type == "KEY" for owner, _ in self.driven)
        bones = len({(o, p.rpartition(".")[0]) for o, p in self.driven if p.startswith("pose")})
        counts = ((shapes, "shape key"), (bones, "bone"))
        return " and ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counts if n) or "nothing"

    def _fit_sliders(self, curves: list[Curve]) -> None:
        """Widen slider ranges where values would be clamped: Blender's default is 0..1."""
        for curve in curves:
            low, high = float(curve.values.min()), float(curve.values.max())

            def block(curve: Curve = curve) -> Any:
                return curve.owner.datablock().path_resolve(  # type: ignore[union-attr]
                    curve.data_path.removesuffix(".value")
                )

            if low < block().slider_min:
                self._rollback.attribute(block, "slider_min")
                block().slider_min = max(low, -SLIDER_LIMIT)
            if high > block().slider_max:
                self._rollback.attribute(block, "slider_max")
                block().slider_max = min(high, SLIDER_LIMIT)

    def set_metadata(self, values: dict[str, Any]) -> None:
        """Store how the take was made on every Action of it."""
        owners = "\n".join(str(owner) for owner in self._actions)
        for owner, name in self._actions.items():
            action = bpy.data.actions.get(name)
            if action is not None:
                own = "" if actions.SLOTS else str(owner)
                actions.set_metadata(
                    action, {"take": self.name, "owners": owners, "own": own, **values}
                )
