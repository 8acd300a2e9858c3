# SPDX-License-Identifier: Apache-2.0
"""Files that need no Blender: a take as .npz, and as the .csv of Live Link Face."""

from __future__ import annotations

from pathlib import Path

from lsf_backend.export.files import replace_when_written
from lsf_backend.export.live_link import CSV_FPS, write_csv
from lsf_backend.export.npz import write_npz
from lsf_backend.export.take import Take

OWN_FORMATS = (".npz", ".csv")

__all__ = ["CSV_FPS", "OWN_FORMATS", "Take", "write_csv", "write_npz", "write_take"]


def write_take(path: Path, take: Take, csv_fps: float = CSV_FPS) -> None:
    """Write a take in the format of the path's ending; the file appears whole or not at all."""
    assert path.suffix.lower() in OWN_FORMATS, path
    with replace_when_written(path) as part:
        if path.suffix.lower() == ".csv":
            write_csv(part, take, csv_fps)
        else:
            write_npz(part, take)
