# SPDX-License-Identifier: Apache-2.0
"""Checks of one clip: numbers, lengths and sound; whatever is wrong raises a BadClip.

Motion and sound of a take are rarely cut on the same sample: a small difference is cropped away,
a larger one means a wrong rate or a wrong pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lsf_backend.audio import open_audio
from lsf_backend.errors import LsfError
from lsf_backend.timing import (
    MOTION_FPS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    frames_from_samples,
    samples_from_frames,
    seconds_from_samples,
)
from training.data.clips import N_BETAS, N_EXPRESSION, N_MOTION, BadClip, Found, Track

LONGEST_S = 3600.0
LONGEST_FRAMES = int(LONGEST_S * MOTION_FPS)
# Three times what any coefficient of 3DMEAD reaches; a jaw beyond 1.5 rad is broken or in degrees.
_LARGEST_COEFFICIENT = 30.0
_LARGEST_JAW_RAD = 1.5
_USUAL_FPS = (15.0, 24.0, 30.0, 48.0, 50.0, 60.0, 100.0, 120.0)


class Sample(NamedTuple):
    """A clip as it is stored: ``motion`` [T, 53] float32, ``betas`` [300] float32, ``audio`` [N].

    Audio is int16 at 16 kHz with floor(N / 640) = T, so that it is heard as an engine hears it.
    """

    motion: np.ndarray
    betas: np.ndarray
    audio: np.ndarray
    motion_frames: int
    audio_frames: int
    notes: tuple[str, ...]


def complete(found: Found) -> None:
    """Raise where a half of the pair is missing."""
    if found.fault:
        raise BadClip(*found.fault)
    if found.motion is None:
        raise BadClip("motion_missing", f"{found.stem} has sound but no motion file.")
    if found.audio is None:
        raise BadClip("audio_missing", f"{found.stem} has motion but no sound file.")


def as_float32(array: np.ndarray) -> np.ndarray:
    """Numbers of any kind as float32; what does not fit becomes infinite and is told later."""
    with np.errstate(over="ignore"):
        return np.asarray(array, np.float32)


def check_fps(path: Path, fps: float) -> None:
    """Raise unless a stated rate is the model's."""
    if not abs(fps - MOTION_FPS) < 1e-3:
        raise BadClip("wrong_fps", f"{path.name} is at {fps:g} fps; {MOTION_FPS} are needed.")


def check_track(path: Path, motion: np.ndarray, betas: np.ndarray | None) -> None:
    """Check motion [T, 53] and betas [T or 1, 300] that came from ``path``."""
    if motion.ndim != 2 or motion.shape[1] != N_MOTION:
        raise BadClip(
            "motion_columns", f"{path.name} holds {list(motion.shape)} instead of [T, {N_MOTION}]."
        )
    if not len(motion):
        raise BadClip("motion_empty", f"{path.name} has no frames.")
    if len(motion) > LONGEST_FRAMES:
        raise BadClip("too_long", f"{path.name} is longer than {LONGEST_S / 60:g} minutes.")
    bad = np.flatnonzero(~np.isfinite(motion).all(axis=1))
    if len(bad):
        raise BadClip(
            "motion_not_finite",
            f"{path.name} holds NaN or infinity in {len(bad)} frames, first in frame {bad[0]}.",
        )
    jaw = float(np.abs(motion[:, N_EXPRESSION:]).max())
    if jaw > _LARGEST_JAW_RAD:
        raise BadClip(
            "motion_range", f"{path.name} turns the jaw by {jaw:.3g} rad; is it in degrees?"
        )
    largest = float(np.abs(motion[:, :N_EXPRESSION]).max())
    if largest > _LARGEST_COEFFICIENT:
        raise BadClip("motion_range", f"{path.name} has an expression coefficient of {largest:.3g}")
    if betas is not None:
        _check_betas(path, betas)


def _check_betas(path: Path, betas: np.ndarray) -> None:
    if betas.ndim != 2 or betas.shape[1] != N_BETAS:
        raise BadClip(
            "betas_columns", f"{path.name} holds a shape of {list(betas.shape)}, not [T, {N_BETAS}]"
        )
    if not np.isfinite(betas).all():
        raise BadClip("betas_not_finite", f"{path.name} holds NaN or infinity in its shape.")
    if float(np.abs(betas).max()) > _LARGEST_COEFFICIENT:
        raise BadClip("betas_range", f"{path.name} has a shape of {float(np.abs(betas).max()):.3g}")


def read_audio(path: Path) -> np.ndarray:
    """Sound of any format -> [N] int16, 16 kHz mono; silence and damage raise."""
    try:
        reader = open_audio(path)
        if reader.duration_s > LONGEST_S:
            raise BadClip("too_long", f"{path.name} is longer than {LONGEST_S / 60:g} minutes.")
        blocks, at = [], 0
        while at < reader.n_samples:
            block = reader.read(at, 30 * SAMPLE_RATE_HZ)
            blocks.append(np.clip(np.rint(block * 32768.0), -32768, 32767).astype(np.int16))
            at += block.size
        reader.finish()
    except LsfError as error:
        raise BadClip(error.code, error.message) from error
    return np.concatenate(blocks)


def fit(
    found: Found, track: Track, audio: np.ndarray, tolerance_s: float, which_betas: str
) -> Sample:
    """Crop motion and sound to their common length, or raise where they differ too much."""
    heard, seen = frames_from_samples(audio.size), len(track.motion)
    # A tenth at most, so that 30 fps are found out in the shortest clip.
    allowed = min(tolerance_s * MOTION_FPS, max(1.0, 0.1 * heard))
    if abs(heard - seen) > allowed:
        raise _mismatch(found, seen, seconds_from_samples(audio.size))
    count = min(heard, seen)
    notes = list(track.notes)
    if count > 1 and not np.ptp(track.motion, axis=0).any():
        notes.append(f"{found.stem} does not move at all.")
    if track.betas is None:
        betas = np.zeros(N_BETAS, np.float32)
        notes.append(f"{found.stem} has no shape; the mean face was taken.")
    else:
        betas = track.betas[0] if which_betas == "first" else track.betas.mean(axis=0)
    return Sample(
        np.ascontiguousarray(track.motion[:count], np.float32),
        np.ascontiguousarray(betas, np.float32),
        audio[: samples_from_frames(count) + SAMPLES_PER_FRAME - 1],
        seen,
        heard,
        tuple(notes),
    )


def _mismatch(found: Found, seen: int, seconds: float) -> BadClip:
    fps = seen / seconds
    nearest = min(_USUAL_FPS, key=lambda usual: abs(usual - fps))
    said = f"{found.stem} has {seen} frames for {seconds:.2f} s of sound"
    if abs(fps / nearest - 1.0) < 0.02:
        return BadClip(
            "wrong_fps", f"{said}, as {nearest:g} fps would give; {MOTION_FPS} are needed."
        )
    wanted = int(seconds * MOTION_FPS + 1e-6)
    return BadClip("length_mismatch", f"{said} instead of {wanted}: the pair does not belong.")
