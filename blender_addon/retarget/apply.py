# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a map: channels of a take -> a curve per target, ready to be keyed. No bpy."""

from __future__ import annotations

import numpy as np

from ..rig.names import ARKIT_NAMES
from .channels import channel_curves
from .model import RetargetMap, Target


def curves(
    retarget: RetargetMap, values: np.ndarray, channels: tuple[str, ...] = ARKIT_NAMES
) -> dict[Target, np.ndarray]:
    """Curves [T] float32 of every enabled row: values [T, C] of ``channels`` at any frame rate.

    A pure function: the same map and values give the same curves; each frame of a row without
    visemes depends on that frame alone. A row all of whose sources are missing has no curve.
    """
    rows = [row for row in retarget.rows if row.enabled]
    sources = channel_curves(values, [name for row in rows for name, _ in row.sources], channels)
    found = {}
    for row in rows:
        if row.sources and not any(name in sources for name, _ in row.sources):
            continue
        total = np.full(len(values), row.offset)
        for name, gain in row.sources:
            if name in sources:
                total += gain * sources[name]
        found[row.target] = np.clip(total, row.low, row.high).astype(np.float32)
    return found
