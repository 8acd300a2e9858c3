# SPDX-License-Identifier: Apache-2.0
"""Nearest points: scipy's tree where it is installed, plain numpy in Blender's own Python."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

_ROWS = 64


class Nearest(Protocol):
    """Finds the ``k`` nearest of its points: asked [N, 3] -> distances and indices, [N] or [N, k].

    Nearest first, as ``scipy.spatial.cKDTree.query``.
    """

    def query(self, asked: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and indices."""
        ...


def nearest(points: np.ndarray) -> Nearest:
    """Return a finder among ``points`` [M, 3]."""
    try:
        from scipy.spatial import cKDTree
    except ImportError:
        return PlainNearest(points)
    found: Any = cKDTree(points)
    return found


class PlainNearest:
    """All distances, some rows at a time; of points that are as near to 0.1 %, any may be given."""

    def __init__(self, points: np.ndarray) -> None:
        self._centre = points.mean(axis=0)  # near 0, differences of squares stay exact enough
        self._points = points - self._centre
        self._across = np.ascontiguousarray(self._points.T, dtype=np.float32)
        self._half_squares = 0.5 * (self._across**2).sum(axis=0)

    def query(self, asked: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and indices, as :class:`Nearest` says."""
        asked = asked - self._centre
        index = np.empty((len(asked), k), dtype=np.int64)
        for first in range(0, len(asked), _ROWS):
            part = -asked[first : first + _ROWS].astype(np.float32)
            far = part @ self._across
            far += self._half_squares
            if k == 1:
                index[first : first + _ROWS, 0] = far.argmin(axis=1)
            else:
                index[first : first + _ROWS] = np.argpartition(far, k - 1, axis=1)[:, :k]
        distance = np.linalg.norm(self._points[index] - asked[:, None], axis=2)
        order = distance.argsort(axis=1)
        distance, index = (np.take_along_axis(a, order, axis=1) for a in (distance, index))
        return (distance[:, 0], index[:, 0]) if k == 1 else (distance, index)
