# SPDX-License-Identifier: Apache-2.0
"""Every conversion of time: seconds, 16 kHz samples, 50 Hz features, 25 fps motion, scene frames.

A sound of ``seconds`` has ``T = floor(25 * seconds)`` frames; frame i shows the face at i / 25 s.
"""

from __future__ import annotations

import math

import numpy as np

SAMPLE_RATE_HZ = 16_000
MOTION_FPS = 25
FEATURE_HZ = 50
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // MOTION_FPS
SAMPLES_PER_FEATURE = SAMPLE_RATE_HZ // FEATURE_HZ
FEATURES_PER_FRAME = FEATURE_HZ // MOTION_FPS

# Far below any real difference of time, far above what floats lose: 2.32 s is 58 frames, not 57.
_ROUNDING = 1e-6


def frames_from_seconds(seconds: float) -> int:
    """Whole motion frames inside ``seconds``: T = floor(25 * seconds)."""
    return math.floor(seconds * MOTION_FPS + _ROUNDING)


def frames_from_samples(n_samples: int) -> int:
    """Whole motion frames inside ``n_samples`` of 16 kHz sound."""
    return n_samples // SAMPLES_PER_FRAME


def seconds_from_frames(frames: float) -> float:
    """Time in seconds of a motion frame, or length of a count of frames."""
    return frames / MOTION_FPS


def samples_from_seconds(seconds: float) -> int:
    """16 kHz samples nearest to ``seconds``."""
    return round(seconds * SAMPLE_RATE_HZ)


def seconds_from_samples(n_samples: int) -> float:
    """Length in seconds of ``n_samples`` of 16 kHz sound."""
    return n_samples / SAMPLE_RATE_HZ


def samples_from_frames(frames: int) -> int:
    """First 16 kHz sample of a motion frame, or the length of a count of frames."""
    return frames * SAMPLES_PER_FRAME


def features_from_frames(frames: int) -> int:
    """First 50 Hz feature of a motion frame, or their number."""
    return frames * FEATURES_PER_FRAME


def features_from_samples(n_samples: int) -> int:
    """50 Hz features from a 400-sample window and a hop of 320: floor((N - 400) / 320) + 1."""
    return 0 if n_samples < 400 else (n_samples - 400) // SAMPLES_PER_FEATURE + 1


def scene_frame_from_frame(
    frame: float, start_frame: float, fps: float, fps_base: float = 1.0
) -> float:
    """Scene frame, with its fraction, of a motion frame's key, at Blender's ``fps / fps_base``."""
    return start_frame + frame * (fps / fps_base) / MOTION_FPS


def frame_from_scene_frame(
    scene_frame: float, start_frame: float, fps: float, fps_base: float = 1.0
) -> float:
    """Motion frame (with its fraction) that a scene frame shows."""
    return (scene_frame - start_frame) * MOTION_FPS / (fps / fps_base)


def timecode_from_seconds(seconds: float, fps: float) -> str:
    """``HH:MM:SS:FF.mmm`` as Live Link Face writes it: FF counts frames, mmm thousandths of one."""
    thousandths = round(seconds * fps * 1000)
    frames, thousandth = divmod(thousandths, 1000)
    nominal = round(fps)
    whole_seconds, frame = divmod(frames, nominal)
    minutes, second = divmod(whole_seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}:{frame:02d}.{thousandth:03d}"


def resample_times_frames(n_frames: int, from_fps: float, to_fps: float) -> np.ndarray:
    """Where frames at ``to_fps`` fall, counted in frames at ``from_fps``: [floor(T to / from)]."""
    count = math.floor(n_frames * to_fps / from_fps + _ROUNDING)
    return np.arange(count) * (from_fps / to_fps)
