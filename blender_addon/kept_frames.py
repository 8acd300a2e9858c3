# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames that a take was keyed from, kept on its Action: another map needs no engine.

Lossless float32, bytes of a place together (neighbours in time are alike), zlib, base 85 text: a
custom property that survives every version of Blender, a fraction of what the keys themselves take.
"""

from __future__ import annotations

import base64
import dataclasses
import zlib
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .bridge.backend import Done, Event, Frames
from .rig import actions
from .take_settings import TakeSettings

PROPERTY = "lsf_frames"
# What is said anew of every take, and not taken over from the one before it.
OWN_FIELDS = ("take", "owners", "own", "settings")


@dataclasses.dataclass(frozen=True)
class Kept:
    """``values`` [T, C] float32 of ``channels`` at ``fps`` in a face space, as they arrived."""

    values: np.ndarray
    channels: tuple[str, ...]
    fps: float
    face_space: str


def keep(action: bpy.types.Action, kept: Kept) -> None:
    """Put frames on an Action."""
    values = np.ascontiguousarray(kept.values, dtype="<f4")
    planes = values.T.copy().view(np.uint8).reshape(-1, 4).T
    packed = base64.b85encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
    action[PROPERTY] = {
        "channels": "\n".join(kept.channels),
        "frames": len(values),
        "fps": kept.fps,
        "face_space": kept.face_space,
        "data": packed,
    }


def read(action: bpy.types.Action) -> Kept | None:
    """Read the frames of an Action; None where it has none that are whole."""
    group = action.get(PROPERTY)
    told: dict[str, Any] = group.to_dict() if hasattr(group, "to_dict") else {}
    try:
        channels = tuple(str(told["channels"]).split("\n"))
        count, fps = int(told["frames"]), float(told["fps"])
        raw = zlib.decompress(base64.b85decode(told["data"]))
        planes = np.frombuffer(raw, dtype=np.uint8).reshape(4, -1)
        values = planes.T.copy().view("<f4").reshape(len(channels), count).T
    except (KeyError, TypeError, ValueError, zlib.error):
        return None
    if not np.isfinite(values).all() or not 1.0 <= fps <= 1000.0:
        return None
    return Kept(np.ascontiguousarray(values), channels, fps, str(told.get("face_space", "head")))


def of_take(action: bpy.types.Action) -> Kept | None:
    """Read the frames of the take that an Action belongs to (before 4.4 it has several Actions)."""
    take = actions.metadata(action).get("take", action.name)
    parts = [part for part in bpy.data.actions if actions.metadata(part).get("take") == take]
    return next((kept for kept in map(read, parts) if kept is not None), None)


class Replay:
    """Stands in for the backend of a take: gives kept frames back, at once."""

    busy = False

    def __init__(self, kept: Kept, metadata: dict[str, Any]) -> None:
        self._kept, self._metadata = kept, metadata
        self._done = False

    def submit(self, request: object, betas: object = None) -> None:
        """Begin; there is nothing to ask for."""

    def step(self, wait_s: float = 0.0) -> list[Event]:
        """Give all frames, then the end."""
        if self._done:
            return []
        self._done, kept = True, self._kept
        return [
            Frames(0, kept.values, kept.channels, kept.fps, kept.face_space),
            Done(False, len(kept.values), (), self._metadata),
        ]

    def cancel(self) -> None:
        """It is done before anybody could."""

    def close(self) -> None:
        """Nothing runs."""


def again(action: bpy.types.Action) -> tuple[Replay, TakeSettings]:
    """Return what makes the take of an Action once more, for other targets or another map."""
    kept = of_take(action)
    assert kept is not None
    told = actions.metadata(action)
    old = told.get("settings", {})
    names = {field.name for field in dataclasses.fields(TakeSettings)}
    usual = {key: value for key, value in old.items() if key in names and value != ""}
    usual["audio"] = audio if Path(audio := str(old.get("audio", ""))).is_file() else ""
    turns = float("head_x_rad" in kept.channels)
    finishing = {**(usual.get("finishing") or {}), "head": turns}
    settings = TakeSettings(**{**usual, "finishing": finishing, "name": "", "again": True})
    return Replay(kept, {key: told[key] for key in told if key not in OWN_FIELDS}), settings
