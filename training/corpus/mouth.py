# SPDX-License-Identifier: Apache-2.0
"""Wanted measures of the mouth in mm -> the shapes that make them, by a small constrained fit.

Every frame is a box-constrained least-squares problem in sixteen controls, solved for all frames
together by coordinate descent; afterwards the gap, which is linear, is met exactly.
"""

from __future__ import annotations

import functools

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES
from training.corpus.geometry import CONTROLS, MEASURES, mouth_table

# How much an error of one mm in each measure counts.
_CARE = {"gap": 3.0, "side": 0.7, "jaw": 1.5, "width": 1.0, "upper_out": 0.9, "lower_out": 0.9,
         "raised": 0.8, "upper_thin": 0.4, "lower_thin": 0.4, "corner": 1.2}  # fmt: skip
# What a full weight costs besides, mm: shapes that look odd alone are dear.
_COST = {"jawForward": 4.0, "mouthShrugLower": 4.0, "mouthShrugUpper": 5.0, "mouthDimple": 2.5,
         "mouthPress": 2.0, "mouthRollUpper": 3.0, "mouthFrown": 1.5}  # fmt: skip
_USUAL_COST = 1.0
_MOST = {"jawForward": 0.4, "mouthDimple": 0.5, "mouthShrugLower": 0.5, "mouthShrugUpper": 0.3,
         "mouthPress": 0.7, "mouthRollUpper": 0.5, "mouthLowerDown": 0.8, "mouthUpperUp": 0.8,
         "mouthRollLower": 0.9}  # fmt: skip
_ROUNDS = 40


@functools.cache
def _problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fit's Hessian [K, K], what measures pull [K, M], and the most of each control [K]."""
    effects = mouth_table().effects
    care = np.array([_CARE[name] ** 2 for name in MEASURES])
    cost = np.array([_COST.get(name, _USUAL_COST) ** 2 for name in CONTROLS])
    hessian = effects.T @ (care[:, None] * effects) + np.diag(cost)
    most = np.array([_MOST.get(name, 1.0) for name in CONTROLS])
    return hessian, effects.T * care, most


def solve(wanted: dict[str, np.ndarray]) -> np.ndarray:
    """Measures [T] mm by name (MEASURES) -> weights of CONTROLS [T, K] in 0..1, the gap met."""
    hessian, pull, most = _problem()
    right = pull @ np.stack([wanted[name] for name in MEASURES])
    found = np.zeros_like(right)
    for _ in range(_ROUNDS):
        for k in range(len(CONTROLS)):
            slope = hessian[k] @ found - right[k]
            found[k] = np.clip(found[k] - slope / hessian[k, k], 0.0, most[k])
    _meet_gap(found, wanted["gap"])
    return found.T


def _meet_gap(found: np.ndarray, gap_mm: np.ndarray) -> None:
    """Change weights [K, T] in place until the gap is the wanted one, by what shows least."""
    effects = mouth_table().row("gap")

    def push(names: tuple[str, ...], least: float, most: float) -> None:
        rows = [CONTROLS.index(name) for name in names]
        per_unit = float(effects[rows].sum())
        step = (gap_mm - effects @ found) / per_unit
        found[rows] = np.clip(found[rows] + step, least, most)

    push(("mouthClose",), 0.0, 1.0)
    push(("mouthLowerDown", "mouthUpperUp"), 0.0, 0.8)
    push(("jawOpen",), 0.0, 1.0)
    push(("mouthClose",), 0.0, 1.0)


def spread(weights: np.ndarray, controls: np.ndarray, tilt: np.ndarray) -> None:
    """Write controls [T, K] into ARKit weights [T, 52] in place.

    ``tilt`` [T] -1..1 moves what both corners do towards the left side; the gap does not change.
    """
    for k, name in enumerate(CONTROLS):
        curve = controls[:, k]
        if name in ARKIT_NAMES:
            weights[:, ARKIT_NAMES.index(name)] += curve
            continue
        # No side may leave 0..1, or the gap would change.
        room = np.minimum(1.0 - curve, curve) / np.maximum(curve, 1e-9)
        uneven = np.clip(tilt, -room, room)
        weights[:, ARKIT_NAMES.index(name + "Left")] += curve * (1.0 + uneven)
        weights[:, ARKIT_NAMES.index(name + "Right")] += curve * (1.0 - uneven)
