# SPDX-License-Identifier: Apache-2.0
"""Guards of the lips, in mm on the actual mesh: they meet where they nearly do, and in silence.

The gap is linear in the ARKit weights (``lip_gap_mm``), so a guard solves for the weights exactly;
of a FLAME face ``flame_lips`` does the same.
Closures p, b, m are known from the engine (``closures``) or taken from the motion itself: a dip of
the gap that comes near zero and stands out of its surroundings. No phonemes are recognised here.
"""

from __future__ import annotations

import numpy as np

from ..face.arkit import ARKIT_NAMES
from ..face.face_model import FaceModel
from ..face.measure import lip_gap_mm
from .randomness import windowed
from .speech import SpeechTrack

CLOSURE_CONTEXT_FRAMES = 8
# Pull towards closed around a closure; three frames on each side keep the jaw from snapping.
_COURSE = {0: 1.0, 1: 0.7, 2: 0.3, 3: 0.08}
_DIP_FRAMES = 5
DIP_MM = 1.0
# Share of the jaw's opening that a closure may take away; the lips (mouthClose) do the rest.
JAW_GIVES = 0.35
_RAMP_FRAMES = 3
SILENCE_CONTEXT_FRAMES = 2 * _RAMP_FRAMES

_JAW = ARKIT_NAMES.index("jawOpen")
_CLOSE = ARKIT_NAMES.index("mouthClose")
_LIP_OPENERS = [
    ARKIT_NAMES.index(name)
    for name in (
        "mouthFunnel",
        "mouthLowerDownLeft",
        "mouthLowerDownRight",
        "mouthUpperUpLeft",
        "mouthUpperUpRight",
        "mouthShrugUpper",
    )
]


class ArkitLips:
    """Lips that ARKit weights [n, 52] move; ``per_weight_mm`` [52] is what each opens them by."""

    def __init__(self, per_weight_mm: np.ndarray) -> None:
        self._per_weight_mm = per_weight_mm

    def gap_mm(self, motion: np.ndarray) -> np.ndarray:
        """Gap less that of the resting face: [n, 52] -> [n] mm."""
        return gap_mm(motion, self._per_weight_mm)

    def closed(self, motion: np.ndarray, target_mm: np.ndarray, jaw_stays: bool) -> np.ndarray:
        """Bring the gap down to ``target_mm`` [n]: [n, 52] -> [n, 52]."""
        return closed_lips(motion, self._per_weight_mm, target_mm, jaw_stays)


def gap_per_weight_mm(face: FaceModel) -> np.ndarray:
    """Change of the lip gap by each ARKit shape at weight 1: [52] mm."""
    return np.asarray(lip_gap_mm(face, np.eye(len(ARKIT_NAMES))), dtype=np.float64)


def gap_mm(weights: np.ndarray, per_weight_mm: np.ndarray) -> np.ndarray:
    """Lip gap [n] mm of weights [n, 52]; equal to the last bit however frames are grouped."""
    return (np.ascontiguousarray(weights, dtype=np.float64) * per_weight_mm).sum(axis=1)


def closure_pull(
    gap: np.ndarray, closures: np.ndarray | None, near_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where the lips should meet: gap [n + 16] mm -> pull [n] 0..1 and centres [n] bool.

    ``closures`` [n + 16] in 0..1 is what the engine knows of p, b, m, or None.
    """
    margin = CLOSURE_CONTEXT_FRAMES
    size = len(gap)
    centres = np.zeros(size, dtype=bool)
    span = _DIP_FRAMES
    inner = slice(span, size - span)
    dip = np.ones(size - 2 * span, dtype=bool)
    before = after = gap[inner]
    for shift in range(1, span + 1):
        left, right = gap[span - shift : size - span - shift], gap[span + shift :][: len(dip)]
        if shift <= 2:  # the lowest of five frames; the first of equal ones
            dip &= (gap[inner] < left) & (gap[inner] <= right)
        before, after = np.maximum(before, left), np.maximum(after, right)
    stands_out = np.minimum(before, after) >= gap[inner] + DIP_MM
    centres[inner] = dip & stands_out & (gap[inner] <= near_mm)
    if closures is not None:
        centres |= closures >= 0.5
    pull = np.zeros(size)
    for offset, share in _COURSE.items():
        for shifted in {offset, -offset}:
            source = centres[max(0, -shifted) : size - max(0, shifted)]
            place = pull[max(0, shifted) : size - max(0, -shifted)]
            np.maximum(place, share * source, out=place)
    return pull[margin : size - margin], centres[margin : size - margin]


def silence_pull(first: int, count: int, speech: SpeechTrack) -> np.ndarray:
    """Where there is no speech: [count] 0..1, rising within the silence over 0.24 s."""
    margin = SILENCE_CONTEXT_FRAMES
    silent = ~speech.active(first - margin, count + 2 * margin)
    core = silent.copy()  # leaves the frames next to speech, where the mouth is on its way
    for shift in range(1, _RAMP_FRAMES + 1):
        core[shift:] &= silent[:-shift]
        core[:-shift] &= silent[shift:]
    ramp = np.hanning(2 * _RAMP_FRAMES + 3)[1:-1]
    pull = windowed(core.astype(np.float64), ramp / ramp.sum())
    lead = margin - _RAMP_FRAMES
    return np.minimum(pull[lead : lead + count], 1.0)


def closed_lips(
    weights: np.ndarray, per_weight_mm: np.ndarray, target_mm: np.ndarray, jaw_stays: bool
) -> np.ndarray:
    """Bring the lip gap down to ``target_mm`` [n] where it is wider: weights [n, 52] -> [n, 52].

    First the lips give way, then (``jaw_stays``) mouthClose closes them over an open jaw, as for
    p, b, m, then the jaw, then whatever else opens the mouth. What closes it is never lessened.
    """
    out = np.array(weights, dtype=np.float64)
    _shrink(out, per_weight_mm, target_mm, _LIP_OPENERS)
    if jaw_stays and per_weight_mm[_CLOSE] < 0.0:
        over = np.maximum(gap_mm(out, per_weight_mm) - target_mm, 0.0)
        jaw_part = np.minimum(JAW_GIVES * out[:, _JAW], over / max(per_weight_mm[_JAW], 1e-9))
        out[:, _JAW] -= jaw_part
        over = np.maximum(gap_mm(out, per_weight_mm) - target_mm, 0.0)
        room = np.maximum(out[:, _JAW] - out[:, _CLOSE], 0.0)
        out[:, _CLOSE] += np.minimum(over / -per_weight_mm[_CLOSE], room)
    _shrink(out, per_weight_mm, target_mm, [_JAW])
    _shrink(out, per_weight_mm, target_mm, list(np.flatnonzero(per_weight_mm > 0.0)))
    return out


def _shrink(
    out: np.ndarray, per_weight_mm: np.ndarray, target_mm: np.ndarray, shapes: list[int]
) -> None:
    """Scale the shapes that open the mouth, all by one factor, until the gap fits (in place)."""
    shapes = [shape for shape in shapes if per_weight_mm[shape] > 0.0]
    opened = gap_mm(out[:, shapes], per_weight_mm[shapes])
    over = gap_mm(out, per_weight_mm) - target_mm
    share = np.clip(1.0 - over / np.maximum(opened, 1e-9), 0.0, 1.0)
    out[:, shapes] *= np.where(over > 0.0, share, 1.0)[:, None]
