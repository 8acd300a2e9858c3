# SPDX-License-Identifier: Apache-2.0
"""Random numbers, noise and events that depend on a seed and the absolute frame alone.

A hash of (seed, stream, index) instead of a generator's state: any frame can be asked for on its
own. Events are thinned by a rule that looks only so far (Matern's hard-core process of type II).
"""

from __future__ import annotations

import zlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniform(seed: int, stream: str, first: int, count: int) -> np.ndarray:
    """Return [count] float64 in 0..1, one per index ``first``, ``first + 1``, ...

    Different ``stream`` names and seeds are independent; SplitMix64's finaliser does the mixing.
    """
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + zlib.crc32(stream.encode())) & (2**64 - 1))
    index = np.arange(first, first + count, dtype=np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        value = _mixed(index * _GOLDEN + _mixed(np.full_like(index, key)))
    return (value >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, stream: str, first: int, count: int) -> np.ndarray:
    """Return [count] float64 with mean 0 and variance 1 (Box-Muller), one per index."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(seed, stream + "/r", first, count)))
    return radius * np.cos(2.0 * np.pi * uniform(seed, stream + "/a", first, count))


def smooth_noise(
    seed: int, stream: str, first: int, count: int, period_frames: float
) -> np.ndarray:
    """Return [count] float64 in -1..1: random values every ``period_frames``, joined smoothly."""
    position = np.arange(first, first + count, dtype=np.float64) / period_frames
    cell = np.floor(position).astype(np.int64)
    share = position - cell
    share = share**3 * (share * (share * 6.0 - 15.0) + 10.0)
    start = int(cell[0]) if count else 0
    knots = 2.0 * uniform(seed, stream, start, int(cell[-1]) - start + 2 if count else 0) - 1.0
    below = cell - start
    return knots[below] * (1.0 - share) + knots[below + 1] * share


def thinned(marks: np.ndarray, gap_frames: int) -> np.ndarray:
    """Keep events that outrank all others closer than ``gap_frames``: marks [n], 0 = none -> bool.

    The answer at a frame depends on the marks within ``gap_frames`` of it and on nothing else.
    """
    kept = marks > 0.0
    for shift in range(1, gap_frames):
        kept[shift:] &= marks[shift:] > marks[:-shift]
        kept[:-shift] &= marks[:-shift] > marks[shift:]
    return kept


def windowed(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum over a sliding window: [n] or [n, K], weights [w] -> [n - w + 1] or [.., K].

    Added term by term, so that a frame's value is the same to the last bit in every chunk (a
    library's convolution may add in another order).
    """
    count = len(values) - len(weights) + 1
    total = np.zeros((count, *values.shape[1:]))
    for offset, weight in enumerate(weights):
        total += weight * values[offset : offset + count]
    return total


def _mixed(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))
