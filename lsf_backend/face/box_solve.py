# SPDX-License-Identifier: Apache-2.0
"""Weights in 0..1 whose shapes add up to a given motion, smooth in time.

Minimises |D x_t - d_t|^2 + calm |x_t - x_(t-1)|^2 over 0 <= x <= high for all frames together, by
accelerated projected gradient (Beck & Teboulle 2009) with restarts; convex, so there is one answer.
The add-on has its own (``blender_addon.retarget.solve``), as the two packages do not share code.
"""

from __future__ import annotations

import numpy as np


def solve_weights(
    gram: np.ndarray,
    right: np.ndarray,
    calm: float = 0.0,
    low: float | np.ndarray = 0.0,
    high: float | np.ndarray = 1.0,
    rounds: int = 600,
    tolerance: float = 1e-6,
) -> np.ndarray:
    """Return x [T, K] in low..high: gram = D D^T [K, K], right = d D^T [T, K], D is [K, N]."""
    count = len(right)
    if not count:
        return np.zeros_like(right)
    step = 1.0 / (np.linalg.eigvalsh(gram)[-1] + 4.0 * calm + 1e-12)
    x = np.clip(np.zeros(right.shape), low, high)
    ahead, pace = x.copy(), 1.0
    for _ in range(rounds):
        slope = ahead @ gram - right
        if calm > 0.0 and count > 1:
            change = calm * np.diff(ahead, axis=0)
            slope[:-1] -= change
            slope[1:] += change
        found = np.clip(ahead - step * slope, low, high)
        moved = found - x
        if np.sum((ahead - found) * moved) > 0.0:  # overshot: the acceleration starts again
            pace = 1.0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * pace * pace))
        ahead = found + (pace - 1.0) / following * moved
        x, pace = found, following
        if np.abs(moved).max() < tolerance:
            break
    return x
