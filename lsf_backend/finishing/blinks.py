# SPDX-License-Identifier: Apache-2.0
"""Blinks: at most one in 0.7 s, more often while talking, and most often where a phrase ends.

Rates: 17 a minute at rest, 26 in conversation (Bentivoglio et al. 1997, Movement Disorders 12).
Place: speakers blink at the ends of and pauses in speech (Nakano & Kitazawa 2010, Exp. Brain Res.
205). Course: closing about 0.1 s, opening about twice that (VanderWerf et al. 2003, J.
Neurophysiol. 89). Both eyes together; the strength of a blink varies a little.
"""

from __future__ import annotations

import numpy as np

from .randomness import thinned, uniform
from .speech import SpeechTrack, starts_and_ends

GAP_FRAMES = 18
TALK_FRAMES = 25
# Candidates per second before thinning; with the gap above they leave the rates of the literature.
REST_HZ = 0.33
TALK_HZ = 0.52
PHRASE_END_CHANCE = 0.45
# Lid closure around the closed frame: two frames down, four up.
COURSE = {-2: 0.30, -1: 0.85, 0: 1.0, 1: 0.92, 2: 0.60, 3: 0.28, 4: 0.08}
_TAIL = max(COURSE)
_LEAD = -min(COURSE)


def blink_events(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Frames at which the eyes are shut: [count] bool. Looks about 0.8 s ahead in the activity."""
    start, size = first - GAP_FRAMES, count + 2 * GAP_FRAMES
    active = speech.active(start - TALK_FRAMES, size + 2 * TALK_FRAMES)
    _, ends = starts_and_ends(active)
    talking = near(active, TALK_FRAMES)[TALK_FRAMES:-TALK_FRAMES]
    # A blink begins two to four frames after the last sound.
    lagged = np.zeros_like(ends)
    lagged[3:] = ends[:-3]
    lagged = lagged[TALK_FRAMES:-TALK_FRAMES]

    rank = uniform(seed, "blink/rank", start, size)
    chance = uniform(seed, "blink/chance", start, size)
    rate = np.where(talking, TALK_HZ, REST_HZ) / 25.0
    marks = np.where(chance < rate, rank, 0.0)
    at_end = lagged & (chance < PHRASE_END_CHANCE)
    marks = np.where(at_end, 1.0 + rank, marks)
    return thinned(marks, GAP_FRAMES)[GAP_FRAMES:-GAP_FRAMES]


def blink_closure(seed: int, first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """How far the lids are shut by blinks: [count] 0..1."""
    start, size = first - _TAIL, count + _TAIL + _LEAD
    events = blink_events(seed, start, size, speech)
    depth = 0.9 + 0.1 * uniform(seed, "blink/depth", start, size)
    closure = np.zeros(size)
    for frame in np.flatnonzero(events):
        for offset, share in COURSE.items():
            if 0 <= frame + offset < size:
                place = frame + offset
                closure[place] = max(closure[place], share * depth[frame])
    return closure[_TAIL : _TAIL + count]


def near(active: np.ndarray, frames: int) -> np.ndarray:
    """Whether there is speech within ``frames``: [n] bool -> [n] bool."""
    found = active.copy()
    for shift in range(1, frames + 1):
        found[shift:] |= active[:-shift]
        found[:-shift] |= active[shift:]
    return found
