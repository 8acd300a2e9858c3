# SPDX-License-Identifier: Apache-2.0
"""Which vertices a metric looks at: lips, upper face, the pairs of the inner lip rims, and others.

The bundled head carries its regions in its file (:mod:`training.metrics.faces`); for FLAME they are
lists that the user brings (the published ones have 428 lip and 1,501 upper-face vertices).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

# Pairs near the corners touch in every pose and would hide an open mouth. The same number as
# lsf_backend.face.measure takes.
MIDDLE_PAIRS = 5


@dataclasses.dataclass(frozen=True)
class Regions:
    """Vertex numbers, each [n] int. ``upper_rim[i]`` faces ``lower_rim[i]`` across the mouth.

    ``named`` are further regions whose mean error is reported one by one.
    """

    lips: np.ndarray
    upper_face: np.ndarray
    upper_rim: np.ndarray
    lower_rim: np.ndarray
    named: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse empty regions and rims that do not pair up."""
        for name, region in {
            "lips": self.lips,
            "upper_face": self.upper_face,
            **self.named,
        }.items():
            if region.ndim != 1 or region.size == 0 or not np.issubdtype(region.dtype, np.integer):
                raise ValueError(f"region {name} must be a non-empty list of vertex numbers")
        if self.upper_rim.shape != self.lower_rim.shape:
            raise ValueError(
                f"the lip rims have {self.upper_rim.size} and {self.lower_rim.size} vertices"
            )

    def check(self, n_vertices: int) -> None:
        """Refuse vertex numbers that a mesh of ``n_vertices`` does not have."""
        regions = (self.lips, self.upper_face, self.upper_rim, self.lower_rim, *self.named.values())
        largest = max(int(region.max()) for region in regions if region.size)
        if largest >= n_vertices:
            raise ValueError(f"a region names vertex {largest}, the mesh has {n_vertices}")


def regions_from_lists(lips: Path, upper_face: Path, rims: Path | None = None) -> Regions:
    """Read vertex numbers from text files, separated by commas or white space.

    ``rims`` has two lines, the upper and the lower inner rim from corner to corner; without it the
    measures of lip gaps are left out.
    """
    upper = lower = np.zeros(0, dtype=np.int64)
    if rims is not None:
        lines = rims.read_text(encoding="utf-8").strip().splitlines()
        if len(lines) != 2:
            raise ValueError(f"{rims.name} must have two lines, upper and lower rim")
        upper, lower = (middle_of(_numbers(line, rims.name)) for line in lines)
    lists = [_numbers(path.read_text(encoding="utf-8"), path.name) for path in (lips, upper_face)]
    return Regions(lists[0], lists[1], upper, lower)


def middle_of(rim: np.ndarray) -> np.ndarray:
    """Rim [n] from corner to corner -> its middle [5] (or all, when it is shorter)."""
    start = max(0, (rim.size - MIDDLE_PAIRS) // 2)
    return rim[start : start + MIDDLE_PAIRS]


def _numbers(text: str, name: str) -> np.ndarray:
    try:
        return np.array([int(word) for word in text.replace(",", " ").split()], dtype=np.int64)
    except ValueError as error:
        raise ValueError(f"{name} holds something else than vertex numbers: {error}") from None
