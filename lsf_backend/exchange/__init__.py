# SPDX-License-Identifier: Apache-2.0
"""Performances in and out: Live Link Face CSV, ARKit JSON and our .npz, at any frame rate."""

from __future__ import annotations

from pathlib import Path

from ..errors import LsfError
from .arkit_json import read_arkit_json, write_arkit_json
from .live_link_in import read_live_link
from .live_link_out import write_live_link
from .npz_in import read_npz_performance, read_take
from .performance import Performance

__all__ = [
    "Performance",
    "read_arkit_json",
    "read_live_link",
    "read_npz_performance",
    "read_performance",
    "read_take",
    "write_arkit_json",
    "write_live_link",
]

_READERS = {
    ".csv": read_live_link,
    ".json": read_arkit_json,
    ".npz": read_npz_performance,
}


def read_performance(path: str | Path) -> Performance:
    """Read a performance in the format of the path's ending, or raise with one sentence."""
    reader = _READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise LsfError(
            "request_invalid",
            f"{Path(path).name} is none of {', '.join(_READERS)}.",
            "Choose a Live Link Face CSV, an ARKit JSON or a take of ours.",
        )
    return reader(path)
