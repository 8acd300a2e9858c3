# SPDX-License-Identifier: Apache-2.0
"""Numbers over time that never see the whole clip at once: spread, and movement above a frequency.

Blocks of frames come in order; the result does not depend on where they are cut.
"""

from __future__ import annotations

import numpy as np
from scipy import signal


class RunningSpread:
    """Mean and population standard deviation over all rows seen, per column (Chan's update)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray | float = 0.0
        self._squares: np.ndarray | float = 0.0

    def add(self, rows: np.ndarray) -> None:
        """Rows [n, ...] of any columns."""
        rows = rows.astype(np.float64, copy=False)
        n = rows.shape[0]
        if n == 0:
            return
        mean = rows.mean(axis=0)
        squares = np.square(rows - mean).sum(axis=0)
        total = self.count + n
        delta = mean - self.mean
        self._squares = self._squares + squares + np.square(delta) * (self.count * n / total)
        self.mean = self.mean + delta * (n / total)
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation [...] (divided by n, not n - 1)."""
        return np.sqrt(np.asarray(self._squares) / max(self.count, 1))


class HighPass:
    """Mean square of what moves above ``cut_hz``: a Butterworth filter that keeps its state.

    The filter starts settled on the first frame, so a still face gives exactly zero.
    """

    def __init__(self, cut_hz: float, rate_hz: float, order: int = 6) -> None:
        self._sections = signal.butter(order, cut_hz, "highpass", fs=rate_hz, output="sos")
        self._state: np.ndarray | None = None
        self._sum = 0.0
        self._count = 0

    def add(self, vertices: np.ndarray) -> None:
        """Vertices [n, V, 3]."""
        rows = vertices.reshape(vertices.shape[0], -1).astype(np.float64)
        if rows.shape[0] == 0:
            return
        if self._state is None:
            self._start = rows[0]
            self._state = np.zeros((self._sections.shape[0], 2, rows.shape[1]))
        moved, self._state = signal.sosfilt(
            self._sections, rows - self._start, axis=0, zi=self._state
        )
        self._sum += float(np.square(moved).sum())
        self._count += moved.shape[0] * vertices.shape[1]

    @property
    def rms(self) -> float:
        """Root of the mean squared length of the filtered movement, over frames and vertices."""
        return float(np.sqrt(self._sum / max(self._count, 1)))
