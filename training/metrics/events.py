# SPDX-License-Identifier: Apache-2.0
"""Where in a clip the mouth has a duty: bilabial sounds from a phone list, silence from the audio.

Not from the paper. Frames are at 25 fps; frame i shows the face at i / 25 s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lsf_backend.timing import MOTION_FPS, SAMPLES_PER_FRAME

# ARPAbet and IPA names of the sounds that need closed lips, without stress, length and the like.
BILABIALS = frozenset({"P", "B", "M", "EM", "p", "b", "m", "em"})
_MARKS = "012ːʰʲˠ̩̃"
_EDGE_FRAMES = 2


class Span(NamedTuple):
    """Frames ``first`` to ``stop`` - 1."""

    first: int
    stop: int


def bilabial_spans(phones: Iterable[tuple[str, float, float]], n_frames: int) -> tuple[Span, ...]:
    """Phones (name, start in s, end in s) -> the frames of each bilabial inside the clip."""
    spans = []
    for name, start_s, end_s in phones:
        if name.rstrip(_MARKS) not in BILABIALS:
            continue
        first = math.floor(start_s * MOTION_FPS)
        stop = min(n_frames, max(first + 1, math.ceil(end_s * MOTION_FPS)))
        if 0 <= first < stop:
            spans.append(Span(first, stop))
    return tuple(spans)


def silent_frames(
    audio: np.ndarray, n_frames: int, below_db: float = 40.0, at_least_frames: int = 5
) -> np.ndarray:
    """Audio [N] float, 16 kHz -> [n_frames] bool: quiet for ``at_least_frames`` and not at an edge.

    Quiet is ``below_db`` under the loud frames (95th percentile) of the same clip. Two frames at
    either end of a pause are left out, because the mouth moves before the sound does.
    """
    whole = np.zeros(n_frames * SAMPLES_PER_FRAME, dtype=np.float64)
    count = min(whole.size, audio.size)
    whole[:count] = audio[:count]
    level = np.sqrt(np.square(whole.reshape(n_frames, SAMPLES_PER_FRAME)).mean(axis=1))
    quiet = level <= np.percentile(level, 95) * 10 ** (-below_db / 20)
    silent = np.zeros(n_frames, dtype=bool)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.view(np.int8), [0]))))
    for first, stop in edges.reshape(-1, 2):
        if stop - first >= at_least_frames:
            # A pause that begins or ends the clip has no speech beyond that edge.
            inner_first = first if first == 0 else first + _EDGE_FRAMES
            inner_stop = stop if stop == n_frames else stop - _EDGE_FRAMES
            silent[inner_first:inner_stop] = True
    return silent
