# SPDX-License-Identifier: Apache-2.0
"""Small head motion and breathing, livelier in speech, with nods on loud syllables.

The head moves nearly all the time in speech and is calmer in pauses (Hadar et al. 1983, Language
and Speech 26); it follows the voice's level and pitch (Munhall et al. 2004, Psychological Science
15). Breath is taken quickly in pauses of speech and let out slowly (Conrad & Schoenle 1979, Arch.
Psychiatr. Nervenkr. 226), 12 to 16 times a minute at rest. Angles in radians about the face's x
(nod down positive), y (turn to the character's left positive) and z (tilt) axes.
"""

from __future__ import annotations

import numpy as np

from .randomness import smooth_noise, thinned, uniform, windowed
from .speech import SpeechTrack, starts_and_ends

# Degrees at full strength, per axis and period of the noise in frames.
SWAY_DEG = {"x": 1.5, "y": 2.2, "z": 1.1}
PERIODS_FRAMES = {67.0: 0.6, 31.0: 0.3, 13.0: 0.1}
REST_SHARE = 0.35
NOD_DEG = 1.6
_CALM = 20
_NOD_GAP = 12
_NOD_FRAMES = 12
_NOD_LOUDER_DB = 3.0

BREATH_GAP = 45
BREATH_HZ = 0.55
BREATH_PITCH_DEG = -0.5
_BREATH_FRAMES = 125
_INHALE_FRAMES = 18


def head_rotation(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Rotation of the head: [count, 3] rad (x, y, z). Looks about 4 s ahead in the sound."""
    energy = _talk_share(first, count, speech)[:, None]
    sway = np.zeros((count, 3))
    for axis, (name, degrees) in enumerate(SWAY_DEG.items()):
        for period, share in PERIODS_FRAMES.items():
            noise = smooth_noise(seed, f"head/{name}/{period}", first, count, period)
            sway[:, axis] += np.radians(degrees) * share * noise
    sway *= REST_SHARE + (1.0 - REST_SHARE) * energy
    sway[:, 0] += np.radians(NOD_DEG) * _nods(seed, first, count, speech)
    return sway


def breath(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Filling of the chest: [count] 0..1. Looks 1.8 s ahead in the activity."""
    start, size = first - _BREATH_FRAMES, count + _BREATH_FRAMES
    wide, wide_size = start - BREATH_GAP, size + 2 * BREATH_GAP
    active = speech.active(wide - 1, wide_size + 8)
    _, ends = starts_and_ends(active)
    pause = np.ones(wide_size, dtype=bool)
    for shift in range(8):  # still silent 0.3 s later
        pause &= ~active[1 + shift : 1 + shift + wide_size]
    ends = ends[1 : 1 + wide_size]
    rank = uniform(seed, "breath/rank", wide, wide_size)
    chance = uniform(seed, "breath/chance", wide, wide_size)
    marks = np.where((chance < BREATH_HZ / 25.0) & pause, rank, 0.0)
    marks = np.where(ends & pause, 1.0 + rank, marks)
    events = thinned(marks, BREATH_GAP)[BREATH_GAP : BREATH_GAP + size]
    depth = 0.6 + 0.4 * uniform(seed, "breath/depth", start, size)
    filled = np.zeros(size)
    for frame in np.flatnonzero(events):
        span = filled[frame : frame + _BREATH_FRAMES]
        np.maximum(span, depth[frame] * _BREATH_COURSE[: len(span)], out=span)
    return filled[_BREATH_FRAMES:]


def _breath_course() -> np.ndarray:
    age = np.arange(_BREATH_FRAMES)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.minimum(age / _INHALE_FRAMES, 1.0))
    fade = 0.5 + 0.5 * np.cos(
        np.pi * np.clip((age - _INHALE_FRAMES) / (_BREATH_FRAMES - _INHALE_FRAMES), 0.0, 1.0)
    )
    return rise * fade


_BREATH_COURSE = _breath_course()


def _talk_share(first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Share of speech in the 1.6 s around each frame, without corners: [count] 0..1."""
    active = speech.active(first - _CALM, count + 2 * _CALM).astype(np.float64)
    window = np.hanning(2 * _CALM + 3)[1:-1]
    return windowed(active, window / window.sum())


def _nods(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Nods on syllables that stand out of the second around them: [count] 0..1."""
    margin = _NOD_GAP + _NOD_FRAMES
    start, size = first - margin, count + 2 * margin
    level = np.maximum(speech.level_db(start - 15, size + 30), -60.0)
    smooth = windowed(level, np.array([0.25, 0.5, 0.25]))[14:-14]
    around = windowed(level, np.full(31, 1.0 / 31.0))
    louder = smooth - around
    active = speech.active(start, size)
    chance = uniform(seed, "nod/chance", start, size)
    marks = np.where(active & (louder > _NOD_LOUDER_DB) & (chance < 0.5), louder + chance, 0.0)
    events = thinned(marks, _NOD_GAP)
    depth = 0.4 + 0.6 * uniform(seed, "nod/depth", start, size)
    course = np.hanning(2 * (_NOD_FRAMES // 2) + 3)[1:-1]
    nods = np.zeros(size + len(course))
    for frame in np.flatnonzero(events):
        # The head leads the syllable a little: the middle of the nod is one frame before it.
        low = max(frame - len(course) // 2 - 1, 0)
        nods[low : low + len(course)] += depth[frame] * course
    return nods[margin : margin + count]
