# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a map: ARKit weights of a take -> a curve per target, ready to be keyed. No bpy."""

from __future__ import annotations

import numpy as np

from .channels import channel_curves
from .model import RetargetMap, Target


def curves(retarget: RetargetMap, weights: np.ndarray) -> dict[Target, np.ndarray]:
    """Curves [T] float32 of every enabled row: weights [T, 52] at any frame rate.

    A pure function: the same map and weights give the same curves; each frame of a row without
    visemes depends on that frame alone.
    """
    rows = [row for row in retarget.rows if row.enabled]
    channels = channel_curves(weights, [name for row in rows for name, _ in row.sources])
    found = {}
    for row in rows:
        total = np.full(len(weights), row.offset)
        for name, gain in row.sources:
            total += gain * channels[name]
        found[row.target] = np.clip(total, row.low, row.high).astype(np.float32)
    return found
