# SPDX-License-Identifier: Apache-2.0
"""How the bundled head's lips answer to ARKit weights and identity: small linear tables in mm.

The head's shapes are linear, so the lip gap is too. As in ``lsf_backend.face.measure`` it counts
from the resting face, whose lips meet; an identity sets the size of the mouth.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.protocol import HEAD_FILE

# Inner-rim pairs that count for the gap, around the middle (as in lsf_backend.face.measure).
MIDDLE_PAIRS = 5


@dataclasses.dataclass(frozen=True)
class LipTables:
    """Lip gap [mm] = ``gap_per_weight_mm`` [52] @ weights; the corner distance moves likewise."""

    gap_per_weight_mm: np.ndarray
    width_per_weight_mm: np.ndarray
    width_rest_mm: float
    width_per_beta_mm: np.ndarray

    def size(self, betas: np.ndarray) -> float:
        """Mouth width relative to the mean face, 0.8..1.25."""
        ratio = 1.0 + self.width_per_beta_mm @ betas / self.width_rest_mm
        return float(np.clip(ratio, 0.8, 1.25))

    def gap_mm(self, weights: np.ndarray) -> np.ndarray:
        """Gap of ARKit weights [T, 52] -> [T] mm; 0 is closed, negative pressed together."""
        return np.asarray(weights @ self.gap_per_weight_mm)


@functools.cache
def lip_tables() -> LipTables:
    """Tables of the bundled head."""
    with np.load(HEAD_FILE, allow_pickle=False) as head:
        template = head["v_template"].astype(np.float64)
        directions = head["shapedirs"].astype(np.float64)
        jaw = head["jaw_shapes"].astype(np.float64)
        upper, lower = head["region_lips_upper_inner"], head["region_lips_lower_inner"]
    deltas = np.zeros((len(ARKIT_NAMES), *template.shape))
    for index, name in enumerate(EXPRESSION_NAMES[:-1]):
        deltas[ARKIT_NAMES.index(name)] = directions[:, :, 300 + index]
    for index, name in enumerate(("jawOpen", "jawLeft", "jawRight")):
        deltas[ARKIT_NAMES.index(name)] = jaw[index]
    first = (len(upper) - MIDDLE_PAIRS) // 2
    middle = slice(first, first + MIDDLE_PAIRS)
    above, below = upper[middle], lower[middle]
    corners = upper[0], upper[-1]

    def gap(field: np.ndarray) -> np.ndarray:
        return 1000.0 * (field[above, 1] - field[below, 1]).mean(0)

    def width(field: np.ndarray) -> np.ndarray:
        return 1000.0 * (field[corners[1], 0] - field[corners[0], 0])

    side = np.sign(width(template))
    return LipTables(
        np.array([gap(delta) for delta in deltas]),
        side * np.array([width(delta) for delta in deltas]),
        float(abs(width(template))),
        side * width(directions[:, :, :300]),
    )
