# SPDX-License-Identifier: Apache-2.0
"""Gaze: held on the listener, broken by looks away and small shifts, moved by saccades.

Holds and looks away last 3.1 s and 0.93 s while talking, 7.9 s and 0.43 s while listening; a
saccade of A degrees takes 25 ms + 2.4 ms A; large ones are rare, A = -6.9 ln p with p in 0..1
(Lee, Badler & Badler 2002, "Eyes Alive", ACM TOG 21; here 3 degrees more, so that a look away is
seen, and 14 at most). Speakers look away as they begin and back as they end (Kendon 1967, Acta
Psychologica 26). Angles in radians about the face's x (down positive) and y (to the character's
left positive) axes, the same for both eyes.
"""

from __future__ import annotations

import numpy as np

from .blinks import near
from .randomness import normal, thinned, uniform
from .speech import SpeechTrack, starts_and_ends

LARGEST_DEG = 14.0
SHIFT_DEG = (0.7, 1.1)
_AWAY_GAP = 30
_AWAY_LONGEST = 60
_SHIFT_GAP = 8
_SHIFT_CELL = 50
_TALK_FRAMES = 25
_ONSET_FRAMES = 10
# Candidates per second before thinning.
TALK_AWAY_HZ = 0.40
REST_AWAY_HZ = 0.14
ONSET_CHANCE = 0.35
SHIFT_HZ = 1.6
TALK_AWAY_S = 0.93
REST_AWAY_S = 0.43

# Weight 1 of an eyeLook shape turns the eyeball of the bundled head by so much (measured on it).
LOOK_RAD = {"Down": 0.184, "Up": 0.163, "In": 0.249, "Out": 0.239}


def gaze_target(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Where the eyes look: [count, 2] rad (x down, y left), with the saccades' course.

    Looks back 2.4 s for a look away and up to 4 s for a shift, ahead 1.6 s in the activity.
    """
    wanted = _away(seed, first - 1, count + 1, speech) + _shifts(seed, first - 1, count + 1)
    step = wanted[1:] - wanted[:-1]
    size_deg = np.degrees(np.hypot(step[:, 0], step[:, 1]))
    duration_s = 0.025 + 0.0024 * size_deg
    done = np.minimum(1.0, 0.04 / duration_s)
    done = done**3 * (done * (done * 6.0 - 15.0) + 10.0)  # minimum jerk
    return wanted[:-1] + step * done[:, None]


def look_weights(gaze: np.ndarray) -> dict[str, np.ndarray]:
    """ARKit's eight eyeLook weights for gaze [T, 2] rad: name -> [T] in 0..1."""
    down, left = gaze[:, 0], gaze[:, 1]
    sides = {"Left": {"Out": left, "In": -left}, "Right": {"In": left, "Out": -left}}
    return {
        f"eyeLook{way}{side}": np.clip(angle / LOOK_RAD[way], 0.0, 1.0)
        for side, ways in sides.items()
        for way, angle in {**ways, "Down": down, "Up": -down}.items()
    }


def _away(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Looks away from the listener, held: [count, 2] rad."""
    start, size = first - _AWAY_LONGEST, count + _AWAY_LONGEST
    events, talking = _away_events(seed, start, size, speech)
    length_s = np.where(talking, TALK_AWAY_S, REST_AWAY_S) * -np.log(
        1.0 - uniform(seed, "gaze/length", start, size)
    )
    frames = np.clip(np.rint(length_s * 25.0), 4, _AWAY_LONGEST).astype(int)
    degrees = -6.9 * np.log(1.0 - uniform(seed, "gaze/size", start, size)) + 3.0
    angle = np.radians(np.minimum(degrees, LARGEST_DEG))
    # Sideways and obliquely, little up or down: lids do not follow, and white would show.
    way = 2.0 * np.pi * uniform(seed, "gaze/way", start, size)
    targets = np.stack([0.4 * angle * np.sin(way), angle * np.cos(way)], axis=1)
    held = np.zeros((size, 2))
    for frame in np.flatnonzero(events):
        held[frame:] = 0.0  # a new look ends the one before
        held[frame : frame + frames[frame]] = targets[frame]
    return held[_AWAY_LONGEST:]


def _away_events(
    seed: int, first: int, count: int, speech: SpeechTrack
) -> tuple[np.ndarray, np.ndarray]:
    """Frames at which a look away begins, and whether the person is talking: bool, bool [count]."""
    start, size = first - _AWAY_GAP, count + 2 * _AWAY_GAP
    margin = _TALK_FRAMES
    active = speech.active(start - margin, size + 2 * margin)
    starts, ends = starts_and_ends(active)
    inner = slice(margin, margin + size)
    talking = near(active, _TALK_FRAMES)[inner]
    # Nobody looks away within 0.4 s before a phrase ends: the look comes back to the listener.
    ending = np.zeros_like(ends)
    for shift in range(1, _ONSET_FRAMES + 1):
        ending[:-shift] |= ends[shift:]
    rank = uniform(seed, "gaze/rank", start, size)
    chance = uniform(seed, "gaze/chance", start, size)
    rate = np.where(talking, TALK_AWAY_HZ, REST_AWAY_HZ) / 25.0
    marks = np.where((chance < rate) & ~ending[inner], rank, 0.0)
    marks = np.where(starts[inner] & (chance < ONSET_CHANCE), 1.0 + rank, marks)
    kept = slice(_AWAY_GAP, _AWAY_GAP + count)
    return thinned(marks, _AWAY_GAP)[kept], talking[kept]


def _shifts(seed: int, first: int, count: int) -> np.ndarray:
    """Small shifts between points of the listener's face, held: [count, 2] rad."""
    lead = 2 * _SHIFT_CELL
    start, size = first - lead, count + lead
    wide, wide_size = start - _SHIFT_GAP, size + 2 * _SHIFT_GAP
    rank = uniform(seed, "shift/rank", wide, wide_size)
    marks = np.where(uniform(seed, "shift/chance", wide, wide_size) < SHIFT_HZ / 25.0, rank, 0.0)
    # One in every cell for certain, so that the last one is never further back than two cells.
    index = np.arange(wide, wide + wide_size)
    cell = np.floor_divide(index, _SHIFT_CELL)
    cells = uniform(seed, "shift/cell", int(cell[0]), int(cell[-1] - cell[0]) + 1)
    place = (_SHIFT_CELL // 4 + np.floor(cells * (_SHIFT_CELL // 2))).astype(int)
    forced = index - cell * _SHIFT_CELL == place[cell - cell[0]]
    marks = np.where(forced, 1.0 + rank, marks)
    events = thinned(marks, _SHIFT_GAP)[_SHIFT_GAP : _SHIFT_GAP + size]
    targets = np.radians(
        [
            SHIFT_DEG[axis] * normal(seed, f"shift/{axis}", start, size).clip(-2.5, 2.5)
            for axis in (0, 1)
        ]
    ).T
    last = np.maximum.accumulate(np.where(events, np.arange(size), -1))
    return targets[last][lead:]
