# SPDX-License-Identifier: GPL-3.0-or-later
"""The retarget map: rows of target <- sum of source x gain + offset, clamped; versioned JSON.

A target is a shape key of a mesh (``value``), a bone's turn in degrees about the character's own
axes (x to its left: positive nods down and opens a jaw; y up: positive turns to its left; z
forward), or a bone's move in mm along them. Sources are ARKit names, visemes such as ``oculus:aa``
or channels beside the face; several may feed one target, one may feed many, and rows may name many
meshes.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from .channels import is_channel

FORMAT = "lsf-retarget"
VERSION = 1
KEY, BONE = "shape_key", "bone"
TURNS = ("turn_x_deg", "turn_y_deg", "turn_z_deg")
MOVES = ("move_x_mm", "move_y_mm", "move_z_mm")
COMPONENTS = {KEY: ("value",), BONE: (*TURNS, *MOVES)}
LARGEST = 1000.0
MAX_ROWS = 10_000


class MapError(ValueError):
    """A map that cannot be used, in one sentence."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What a row moves: ``name`` is a shape key or a bone of the object ``owner``."""

    owner: str
    name: str
    kind: str = KEY
    component: str = "value"


@dataclasses.dataclass(frozen=True)
class Row:
    """``clamp(offset + sum(gain * source), low, high)`` goes to ``target``."""

    target: Target
    sources: tuple[tuple[str, float], ...]
    offset: float = 0.0
    low: float = 0.0
    high: float = 1.0
    enabled: bool = True


@dataclasses.dataclass(frozen=True)
class RetargetMap:
    """Rows with the name of the convention they were found by, and a note for people."""

    rows: tuple[Row, ...] = ()
    convention: str = "manual"
    note: str = ""

    def owners(self) -> tuple[str, ...]:
        """Objects that the map moves, in order of appearance."""
        return tuple(dict.fromkeys(row.target.owner for row in self.rows))

    def renamed(self, owners: dict[str, str]) -> RetargetMap:
        """Return the map for another character's objects: {old owner: new owner}."""
        rows = tuple(
            dataclasses.replace(
                row,
                target=dataclasses.replace(
                    row.target, owner=owners.get(row.target.owner, row.target.owner)
                ),
            )
            for row in self.rows
        )
        return dataclasses.replace(self, rows=rows)

    def to_json(self) -> str:
        """Return the map as text: one row a line, readable and easy to compare."""
        head = {"format": FORMAT, "version": VERSION, "convention": self.convention}
        if self.note:
            head["note"] = self.note
        lines = [json.dumps(_row_to_dict(row), ensure_ascii=False) for row in self.rows]
        start = json.dumps(head, ensure_ascii=False)[:-1]
        body = ",\n  ".join(lines)
        return f'{start}, "rows": [\n  {body}\n]}}\n' if lines else f'{start}, "rows": []}}\n'


def from_json(text: str) -> RetargetMap:
    """Read a map; raises :class:`MapError` with one sentence that names the row."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MapError("This is not a retarget map: it is not JSON.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise MapError(f"This is not a retarget map: its format is not {FORMAT!r}.")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise MapError("The retarget map does not say its version.")
    if version > VERSION:
        raise MapError(
            f"The retarget map has version {version}; this add-on reads up to {VERSION}. Update it."
        )
    rows = content.get("rows")
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise MapError("The retarget map has no list of rows.")
    found = tuple(_row_from_dict(row, number) for number, row in enumerate(rows, start=1))
    check(found)
    convention, note = content.get("convention", "manual"), content.get("note", "")
    if not isinstance(convention, str) or not isinstance(note, str):
        raise MapError("The retarget map's convention and note must be texts.")
    return RetargetMap(found, convention, note)


def check(rows: tuple[Row, ...]) -> None:
    """Raise :class:`MapError` where rows contradict each other or ask for what does not exist."""
    seen: dict[Target, int] = {}
    for number, row in enumerate(rows, start=1):
        if row.target in seen:
            raise MapError(
                f"Rows {seen[row.target]} and {number} both move {row.target.name!r} of "
                f"{row.target.owner!r}; put their sources into one row."
            )
        seen[row.target] = number
        if row.low > row.high:
            raise MapError(f"Row {number} has a clamp from {row.low:g} to {row.high:g}.")
        for channel, _ in row.sources:
            if not is_channel(channel):
                raise MapError(f"Row {number} has an unknown source {channel!r}.")


def _row_to_dict(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"owner": row.target.owner, "name": row.target.name}
    if row.target.kind != KEY:
        found["kind"], found["component"] = row.target.kind, row.target.component
    found["sources"] = {channel: gain for channel, gain in row.sources}
    defaults = {"offset": 0.0, "low": 0.0, "high": 1.0, "enabled": True}
    found |= {k: getattr(row, k) for k, usual in defaults.items() if getattr(row, k) != usual}
    return found


def _row_from_dict(row: Any, number: int) -> Row:
    if not isinstance(row, dict):
        raise MapError(f"Row {number} of the retarget map is not an object.")
    kind = row.get("kind", KEY)
    component = row.get("component", "value")
    if kind not in COMPONENTS or component not in COMPONENTS[kind]:
        raise MapError(f"Row {number} moves {str(component)[:20]!r} of a {str(kind)[:20]!r}.")
    owner, name = row.get("owner"), row.get("name")
    if not (isinstance(owner, str) and isinstance(name, str) and owner and name):
        raise MapError(f"Row {number} does not say which key or bone of which object it moves.")
    sources = row.get("sources")
    if not isinstance(sources, dict):
        raise MapError(f"Row {number} has no sources.")
    pairs = tuple((str(key), _number(gain, number, "gain")) for key, gain in sources.items())
    enabled = row.get("enabled", True)
    if not isinstance(enabled, bool):
        raise MapError(f"Row {number} has enabled = {enabled!r}; it must be true or false.")
    return Row(
        Target(owner, name, kind, component),
        pairs,
        *(_number(row.get(key, usual), number, key) for key, usual in _USUAL.items()),
        enabled=enabled,
    )


_USUAL = {"offset": 0.0, "low": 0.0, "high": 1.0}


def _number(value: Any, row: int, name: str) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not math.isfinite(value) or abs(value) > LARGEST:
        raise MapError(f"Row {row} has {name} = {value!r}; it must be a number up to {LARGEST:g}.")
    return float(value)
