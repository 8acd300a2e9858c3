# SPDX-License-Identifier: Apache-2.0
"""A take as the CSV file of Apple's Live Link Face app, which Unreal, Faceit and others import.

63 columns: timecode, the number 61, 52 ARKit weights, 9 head and eye rotations (radians; zero here,
the gaze is in the eyeLook weights). Timecodes are HH:MM:SS:FF.mmm and start at zero; FF counts
frames of the file's own rate. The app writes 60 per second and importers rely on that, so it is the
default; motion in between the model's 25 fps is interpolated linearly.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.export.take import Take
from lsf_backend.face.arkit import ARKIT_NAMES, csv_name
from lsf_backend.timing import MOTION_FPS, resample_times_frames, timecode_from_seconds

CSV_FPS = 60.0
ROTATIONS = (
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll"),
    *("RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
HEADER = ("Timecode", "BlendShapeCount", *map(csv_name, ARKIT_NAMES), *ROTATIONS)
_ROWS_AT_ONCE = 4096


def write_csv(path: Path, take: Take, fps: float = CSV_FPS) -> None:
    """Write the take at ``fps`` rows per second."""
    check_csv_fps(fps)
    arkit = take.arkit()
    times = resample_times_frames(len(arkit), MOTION_FPS, fps)
    count = f",{len(ARKIT_NAMES) + len(ROTATIONS)},"
    rotations = ",0.0" * len(ROTATIONS) + "\n"
    with path.open("w", encoding="ascii", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        for first in range(0, len(times), _ROWS_AT_ONCE):
            for index, row in enumerate(_rows(arkit, times[first : first + _ROWS_AT_ONCE]), first):
                weights = ",".join(f"{weight:.6f}" for weight in row)
                timecode = timecode_from_seconds(index / fps, fps)
                file.write(timecode + count + weights + rotations)


def check_csv_fps(fps: float) -> None:
    """Raise ``request_invalid`` for a rate that no timecode can count."""
    if not (math.isfinite(fps) and 1 <= fps <= 240):
        raise LsfError(
            "request_invalid",
            f"A CSV file cannot have {fps:g} rows per second.",
            "Choose from 1 to 240.",
        )


def _rows(arkit: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Weights at fractional frames, linearly between two and held at the end: [n, 52]."""
    below = np.minimum(times.astype(int), len(arkit) - 1)
    above = np.minimum(below + 1, len(arkit) - 1)
    share = (times - below)[:, None]
    return arkit[below] * (1 - share) + arkit[above] * share
