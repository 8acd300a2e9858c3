# SPDX-License-Identifier: Apache-2.0
"""Write a performance as the CSV of Live Link Face, with its rotations, at any usual rate.

Timecodes are HH:MM:SS:FF.mmm and start at zero; FF counts frames of the file's own rate.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import LsfError
from ..export.files import replace_when_written
from ..export.live_link import CSV_FPS, HEADER
from ..timing import timecode_from_seconds
from . import timecode
from .performance import Performance


def write_live_link(
    path: str | Path, performance: Performance, fps: float = CSV_FPS, *, drop_frame: bool = False
) -> None:
    """Write the performance at ``fps``; the file appears whole or not at all.

    ``drop_frame`` is for 29.97 and 59.94 fps. Six decimals; weights are not clipped.
    """
    base = round(fps)
    if drop_frame and (base not in (30, 60) or abs(fps - base) < 1e-6):
        raise LsfError(
            "request_invalid",
            f"Drop-frame timecode does not exist at {fps:g} fps.",
            "Choose 29.97 or 59.94 fps, or leave drop-frame off.",
        )
    steady = performance.resampled(fps)
    values = np.concatenate([steady.weights, steady.rotations], axis=1)
    count = f",{values.shape[1]},"
    with (
        replace_when_written(Path(path)) as part,
        part.open("w", encoding="ascii", newline="") as file,
    ):
        file.write(",".join(HEADER) + "\n")
        for index, row in enumerate(values.tolist()):
            code = (
                timecode.text_from(index, base, drop=True)
                if drop_frame
                else timecode_from_seconds(index / fps, fps)
            )
            file.write(code + count + ",".join(f"{value:.6f}" for value in row) + "\n")
