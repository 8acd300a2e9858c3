# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the rows that are kept on a mesh and the retarget map that a take applies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..retarget.model import BONE, KEY, MapError, RetargetMap, Row, Target, check
from ..retarget.text import sources_from_text, sources_to_text


def stored(obj: bpy.types.Object) -> RetargetMap | None:
    """Return the map kept on a mesh, without the rows that say nothing; None: it has none."""
    character = obj.lsf_character
    if not len(character.rows):
        return None
    rows = []
    for entry in character.rows:
        try:
            rows.append(_row(entry))
        except MapError:
            continue
    return RetargetMap(tuple(rows), character.convention or "manual", character.note)


def problems(obj: bpy.types.Object) -> list[str]:
    """What is wrong with the kept rows, in sentences; rows that are off may say anything."""
    found, rows = [], []
    solve = obj.lsf_character
    if solve.solve and solve.solve_file and not Path(solve.solve_file).is_file():
        found.append(
            f"The shapes that '{obj.name}' was solved with are no longer in the cache: switch "
            "Solve by Geometry off and on again."
        )
    for number, entry in enumerate(obj.lsf_character.rows, start=1):
        try:
            row = _row(entry)
            if row.enabled:
                rows.append(row)
        except MapError as error:
            if entry.enabled:
                found.append(f"Row {number} of the map of '{obj.name}': {error}")
    try:
        check(tuple(rows))
    except MapError as error:
        found.append(f"The map of '{obj.name}': {error}")
    return found


def keep(obj: bpy.types.Object, retarget: RetargetMap) -> None:
    """Put a map on a mesh, in place of the one that it had."""
    character = obj.lsf_character
    character.rows.clear()
    character.convention, character.note = retarget.convention, retarget.note
    character.active = 0
    for row in retarget.rows:
        fill(character.rows.add(), row)


def fill(entry: Any, row: Row) -> None:
    """Write a row into its property group."""
    entry.owner = bpy.data.objects.get(row.target.owner)
    entry.owner_name, entry.target = row.target.owner, row.target.name
    entry.component = row.target.component
    entry.sources, entry.gain = sources_to_text(row.sources)
    entry.offset, entry.low, entry.high = row.offset, row.low, row.high
    entry.enabled = row.enabled


def clear(obj: bpy.types.Object) -> None:
    """Take the map away: names decide again."""
    obj.lsf_character.rows.clear()


def _row(entry: Any) -> Row:
    owner = entry.owner.name if entry.owner is not None else entry.owner_name
    if not owner or not entry.target:
        raise MapError("it does not say which key or bone of which object it moves.")
    kind = KEY if entry.component == "value" else BONE
    gain, offset, low, high = map(_short, (entry.gain, entry.offset, entry.low, entry.high))
    if low > high:
        raise MapError(f"its clamp goes from {low:g} to {high:g}.")
    sources = sources_from_text(entry.sources, gain)
    place = Target(owner, entry.target, kind, entry.component)
    return Row(place, sources, offset, low, high, entry.enabled)


def _short(value: float) -> float:
    """Undo what 32 bits do to a decimal number, so that a map is the same after its file."""
    return float(f"{value:.6g}")
