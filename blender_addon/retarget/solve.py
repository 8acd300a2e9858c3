# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights in 0..1 whose shapes add up to a given motion, smooth in time. Numpy only.

Minimises |D x_t - d_t|^2 + calm * |x_t - x_(t-1)|^2 over 0 <= x <= high, all frames together, by
accelerated projected gradient; the problem is convex, so there is one answer.
"""

from __future__ import annotations

import numpy as np


def solve_weights(
    gram: np.ndarray,
    right: np.ndarray,
    calm: float = 0.0,
    high: float = 1.0,
    rounds: int = 400,
    tolerance: float = 1e-6,
) -> np.ndarray:
    """Return x [T, K] in 0..high for gram = D D^T [K, K] and right = d D^T [T, K] (D is [K, N])."""
    gram = np.asarray(gram, dtype=np.float64)
    right = np.asarray(right, dtype=np.float64)
    count = len(right)
    if not count:
        return np.zeros_like(right)
    step = 1.0 / (np.linalg.eigvalsh(gram)[-1] + 4.0 * calm + 1e-12)
    x = np.zeros_like(right)
    ahead, pace = x.copy(), 1.0
    for _ in range(rounds):
        slope = ahead @ gram - right
        if calm and count > 1:
            change = calm * np.diff(ahead, axis=0)
            slope[:-1] -= change
            slope[1:] += change
        found = np.clip(ahead - step * slope, 0.0, high)
        moved = found - x
        if np.sum((ahead - found) * moved) > 0.0:  # overshot: start the acceleration again
            pace = 1.0
        following = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * pace * pace))
        ahead = found + (pace - 1.0) / following * moved
        x, pace = found, following
        if np.abs(moved).max() < tolerance:
            break
    return x


def fit_error_mm(
    shapes: np.ndarray, weights: np.ndarray, motion: np.ndarray
) -> tuple[float, float]:
    """Mean and largest error in mm: shapes [K, V, 3] m, weights [T, K], motion [T, V, 3] m."""
    made = np.tensordot(weights, shapes, axes=1)
    error = 1000.0 * np.linalg.norm(made - motion, axis=2)
    return float(error.mean()), float(error.max())


def weights_for_geometry(
    source_shapes: np.ndarray,
    source_weights: np.ndarray,
    target_shapes: np.ndarray,
    calm: float = 0.05,
) -> np.ndarray:
    """Weights [T, K] of a target's own shapes that move its mesh as the source's shapes would.

    source_shapes [52, V, 3] m (on the target's vertices), source_weights [T, 52], target_shapes
    [K, V, 3] m. ``calm`` is a share of the shapes' mean size.
    """
    target = np.asarray(target_shapes, dtype=np.float64).reshape(len(target_shapes), -1)
    source = np.asarray(source_shapes, dtype=np.float64).reshape(len(source_shapes), -1)
    size = np.einsum("kn,kn->k", target, target).mean() + 1e-18
    return solve_weights(
        target @ target.T / size, np.asarray(source_weights) @ (source @ target.T) / size, calm
    )


def key_report_mm(
    source_shapes: np.ndarray, target_shapes: np.ndarray, names: tuple[str, ...]
) -> dict[str, float]:
    """How far each source shape at weight 1 is from what the target can do: name -> mean mm."""
    weights = weights_for_geometry(source_shapes, np.eye(len(source_shapes)), target_shapes, 0.0)
    made = np.tensordot(weights, target_shapes, axes=1)
    error = 1000.0 * np.linalg.norm(made - source_shapes, axis=2)
    return dict(zip(names, error.mean(axis=1).tolist(), strict=True))
