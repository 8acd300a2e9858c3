# SPDX-License-Identifier: Apache-2.0
"""Files that need no Blender: a take as .npz, as Live Link Face .csv and as ARKit .json."""

from __future__ import annotations

from pathlib import Path

from lsf_backend.export.files import replace_when_written
from lsf_backend.export.live_link import CSV_FPS, check_csv_fps
from lsf_backend.export.npz import write_npz
from lsf_backend.export.take import Take

OWN_FORMATS = (".npz", ".csv", ".json")

__all__ = ["CSV_FPS", "OWN_FORMATS", "Take", "write_npz", "write_take"]


def write_take(path: Path, take: Take, csv_fps: float = CSV_FPS) -> None:
    """Write a take in the format of the path's ending; the file appears whole or not at all."""
    assert path.suffix.lower() in OWN_FORMATS, path
    if path.suffix.lower() == ".npz":
        with replace_when_written(path) as part:
            write_npz(part, take)
        return
    from lsf_backend.exchange import Performance, write_arkit_json, write_live_link

    check_csv_fps(csv_fps)
    performance = Performance.from_take(take)
    if path.suffix.lower() == ".json":
        write_arkit_json(path, performance, take.metadata)
    else:
        write_live_link(path, performance, csv_fps)
