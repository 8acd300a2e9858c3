# SPDX-License-Identifier: Apache-2.0
"""Seams: the two lips, and the two lids of an eye, that must meet or keep their distance.

A seam pairs rim vertices and passes a correction of their distance on to the skin around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Seam:
    """upper, lower [n]: paired rim vertices; near [m]: vertices that follow; spread [m, n].

    ``spread`` holds how each follower moves per unit of a pair's opening (its sign says which lip).
    """

    upper: np.ndarray
    lower: np.ndarray
    near: np.ndarray
    spread: np.ndarray

    def opening(self, field: np.ndarray) -> np.ndarray:
        """Return upper minus lower [n, 3] of positions or displacements [V, 3]."""
        return field[self.upper] - field[self.lower]

    def changed(self, field: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Return a field [V, 3] whose pairs have opened by [n, 3] more (both lips share it)."""
        goal = self.opening(field) + by
        field = field.copy()
        field[self.near] += 0.5 * self.spread @ by
        missing = goal - self.opening(field)
        field[self.upper] += 0.5 * missing
        field[self.lower] -= 0.5 * missing
        return field


def make_seam(
    template: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    candidates: np.ndarray,
    reach_m: float,
    along_m: float,
) -> Seam:
    """Join pairs (upper [n], lower [n]) to the candidate vertices within about ``reach_m``."""
    upper, lower = pairs
    points = template[candidates]
    to_upper = np.linalg.norm(points[:, None] - template[upper], axis=-1)
    to_lower = np.linalg.norm(points[:, None] - template[lower], axis=-1)
    nearest = np.minimum(to_upper.min(axis=1), to_lower.min(axis=1))
    keep = nearest < 2.5 * reach_m
    side = np.where(to_upper.min(axis=1) < to_lower.min(axis=1), 1.0, -1.0)
    distance = np.where(side[:, None] > 0, to_upper, to_lower)
    excess = distance - distance.min(axis=1, keepdims=True)
    share = np.exp(-((excess / along_m) ** 2))
    share /= share.sum(axis=1, keepdims=True)
    fade = side * np.exp(-((nearest / reach_m) ** 2))
    return Seam(upper, lower, candidates[keep], (fade[:, None] * share)[keep])


def pair_rim(loop: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair a closed rim across the opening: loop [n] -> (upper, lower), from -x to +x.

    Each vertex of the side with fewer vertices gets the other side's vertex nearest in x; the two
    corners belong to no pair.
    """
    x = template[loop, 0]
    loop = np.roll(loop, -int(np.argmin(x)))
    far = int(np.argmax(template[loop, 0]))
    one, two = loop[1:far], loop[far + 1 :][::-1]
    if template[one, 1].mean() < template[two, 1].mean():
        one, two = two, one
    few, many = (one, two) if len(one) <= len(two) else (two, one)
    distance = np.abs(template[few, 0][:, None] - template[many, 0])
    partner = many[np.argmin(distance, axis=1)]
    _, first = np.unique(partner, return_index=True)
    first = np.sort(first)
    few, partner = few[first], partner[first]
    return (few, partner) if few[0] in one else (partner, few)
