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

FORMATS = (".csv", ".json", ".npz")


def read_performance(path: str | Path, fps: float | None = None) -> Performance:
    """Read a performance in the format of the path's ending, or raise with one sentence.

    ``fps`` states the rate where the file does not (JSON) or cannot (timecodes of 29.97).
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        return read_live_link(path, fps)
    if suffix == ".json":
        return read_arkit_json(path, fps)
    if suffix == ".npz":
        return read_npz_performance(path)
    raise LsfError(
        "request_invalid",
        f"{Path(path).name} is none of {', '.join(FORMATS)}.",
        "Choose a Live Link Face CSV, an ARKit JSON or a take of ours.",
    )
