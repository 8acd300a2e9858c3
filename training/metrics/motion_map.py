# SPDX-License-Identifier: Apache-2.0
"""Figure 4: how much each vertex moves from frame to frame, as mean and spread over all frames.

Streams over clips; the numbers are per vertex, in mm per frame at 25 fps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from training.metrics.clip import Vertices
from training.metrics.definitions import MM_PER_M
from training.metrics.streaming import RunningSpread

_BLOCK_FRAMES = 100


class MovementMap(NamedTuple):
    """``mean_mm`` and ``std_mm`` [V] of the distance between adjacent frames."""

    mean_mm: np.ndarray
    std_mm: np.ndarray
    n_steps: int


class MovementAccumulator:
    """Collects clips of one system (or of the truth) into one :class:`MovementMap`."""

    def __init__(self, vertices: Vertices) -> None:
        self._vertices = vertices
        self._spread = RunningSpread()

    def add(self, motion: np.ndarray) -> None:
        """Motion [T, 53]; no step is taken from one clip to the next."""
        for first in range(0, motion.shape[0] - 1, _BLOCK_FRAMES):
            block = motion[None, first : first + _BLOCK_FRAMES + 1]
            step = np.diff(self._vertices(block)[0], axis=0)
            self._spread.add(np.linalg.norm(step, axis=-1))

    def result(self) -> MovementMap:
        """The map over everything added so far."""
        if self._spread.count == 0:
            raise ValueError("no clip of two frames or more was added")
        mean = np.asarray(self._spread.mean)
        return MovementMap(mean * MM_PER_M, self._spread.std * MM_PER_M, self._spread.count)
