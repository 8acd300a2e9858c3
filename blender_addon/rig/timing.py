# SPDX-License-Identifier: GPL-3.0-or-later
"""Every conversion between motion frames, seconds and scene frames. No bpy."""

from __future__ import annotations

import math

import numpy as np

MOTION_FPS = 25


def scene_frames_from_motion(
    first: int,
    count: int,
    start_frame: float,
    scene_fps: float,
    motion_fps: float = MOTION_FPS,
) -> np.ndarray:
    """Scene frames (with fractions) of motion frames first..first+count -> [count] float64.

    ``scene_fps`` is fps / fps_base, so that 29.97 stays 30 / 1.001. The model's motion has 25 fps,
    a recorded performance its own rate.
    """
    return start_frame + np.arange(first, first + count, dtype=np.float64) * scene_fps / motion_fps


def last_scene_frame(duration_s: float, start_frame: float, scene_fps: float) -> int:
    """Last whole scene frame that a take (or its sound) of ``duration_s`` touches."""
    return max(math.ceil(start_frame + duration_s * scene_fps - 1e-6) - 1, math.ceil(start_frame))


def seconds_from_scene_frame(frame: float, start_frame: float, scene_fps: float) -> float:
    """Seconds since the start of the take."""
    return (frame - start_frame) / scene_fps
