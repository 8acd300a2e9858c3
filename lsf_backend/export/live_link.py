# SPDX-License-Identifier: Apache-2.0
"""The columns of Apple's Live Link Face app, which Unreal, Faceit and others import.

63 columns: timecode, the number 61, 52 ARKit weights, 9 rotations of head and eyes (radians). The
app writes 60 rows per second and importers rely on that, so it is the default. The writer is
``lsf_backend.exchange.live_link_out``.
"""

from __future__ import annotations

import math

from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES, csv_name

CSV_FPS = 60.0
ROTATIONS = (
    *("HeadYaw", "HeadPitch", "HeadRoll"),
    *("LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll"),
    *("RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
)
HEADER = ("Timecode", "BlendShapeCount", *map(csv_name, ARKIT_NAMES), *ROTATIONS)


def check_csv_fps(fps: float) -> None:
    """Raise ``request_invalid`` for a rate that no timecode can count."""
    if not (math.isfinite(fps) and 1 <= fps <= 240):
        raise LsfError(
            "request_invalid",
            f"A CSV file cannot have {fps:g} rows per second.",
            "Choose from 1 to 240.",
        )
