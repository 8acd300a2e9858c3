# SPDX-License-Identifier: Apache-2.0
"""Smoothing without delay: a Savitzky-Golay filter, which keeps the height of closures and peaks.

Seven frames, quadratic (Savitzky & Golay 1964): jitter at 10 Hz and over falls to a third or less,
while a syllable's curve passes. Jitter is reported in mm of the lips, on the real mesh.
"""

from __future__ import annotations

import numpy as np

from .randomness import windowed

SMOOTHING_CONTEXT_FRAMES = 3
_KERNEL = np.array([-2.0, 3.0, 6.0, 7.0, 6.0, 3.0, -2.0]) / 21.0


def smoothed(motion: np.ndarray, strength: float) -> np.ndarray:
    """Smooth [n + 6, K] -> [n, K] float64: three frames of context on each side are used up."""
    middle = motion[SMOOTHING_CONTEXT_FRAMES:-SMOOTHING_CONTEXT_FRAMES].astype(np.float64)
    if strength == 0.0:
        return middle
    filtered = windowed(motion.astype(np.float64), _KERNEL)
    return np.asarray(middle + strength * (filtered - middle))


def jitter_mm(gap_mm: np.ndarray) -> float:
    """Root mean square of the lip gap's second difference: [T] mm -> mm per frame squared."""
    bend = gap_mm[2:] - 2.0 * gap_mm[1:-1] + gap_mm[:-2]
    return float(np.sqrt(np.mean(bend**2))) if len(bend) else 0.0
