# SPDX-License-Identifier: Apache-2.0
"""Face space "head": 50 expression coefficients + 3 jaw radians <-> ARKit's 52 weights in 0..1.

The jaw joint turns about x (open) and y (to the character's left); the weights are linear in the
angle. The two constants were measured on the bundled head (``training.head``).
"""

from __future__ import annotations

import numpy as np

from .arkit import ARKIT_NAMES, EXPRESSION_NAMES

N_EXPRESSION = 50
N_MOTION = 53

# Angle of the jaw joint at weight 1 of jawOpen (about +x) and of jawLeft/jawRight (about +-y).
JAW_OPEN_RAD = 0.42
JAW_SIDE_RAD = 0.08

_EXPRESSION_COLUMNS = np.array([ARKIT_NAMES.index(name) for name in EXPRESSION_NAMES[:-1]])
_OPEN = ARKIT_NAMES.index("jawOpen")
_LEFT = ARKIT_NAMES.index("jawLeft")
_RIGHT = ARKIT_NAMES.index("jawRight")


def arkit_from_motion(motion: np.ndarray) -> np.ndarray:
    """Return ARKit weights: motion [T, 53] (50 expression, 3 jaw rad) -> [T, 52] float32 in 0..1.

    Weights are clipped to 0..1, as every importer of blend shapes does.
    """
    motion = _checked(motion, N_MOTION, "motion")
    weights = np.empty((motion.shape[0], len(ARKIT_NAMES)), dtype=np.float32)
    weights[:, _EXPRESSION_COLUMNS] = motion[:, : N_EXPRESSION - 1]
    side = motion[:, 51] / np.float32(JAW_SIDE_RAD)
    weights[:, _OPEN] = motion[:, 50] / np.float32(JAW_OPEN_RAD)
    weights[:, _LEFT] = side
    weights[:, _RIGHT] = -side
    return np.clip(weights, 0.0, 1.0, out=weights)


def motion_from_arkit(weights: np.ndarray) -> np.ndarray:
    """Return motion: ARKit weights [T, 52] -> [T, 53] float32 (50 expression, 3 jaw rad).

    Inverse of ``arkit_from_motion`` for weights in 0..1 that do not ask for left and right at once
    (those cancel out).
    """
    weights = _checked(weights, len(ARKIT_NAMES), "ARKit weights")
    motion = np.zeros((weights.shape[0], N_MOTION), dtype=np.float32)
    motion[:, : N_EXPRESSION - 1] = weights[:, _EXPRESSION_COLUMNS]
    motion[:, 50] = weights[:, _OPEN] * np.float32(JAW_OPEN_RAD)
    motion[:, 51] = (weights[:, _LEFT] - weights[:, _RIGHT]) * np.float32(JAW_SIDE_RAD)
    return motion


def _checked(array: np.ndarray, width: int, name: str) -> np.ndarray:
    array = np.asarray(array, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"{name} must have the shape [T, {width}], got {list(array.shape)}")
    return array
