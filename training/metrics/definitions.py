# SPDX-License-Identifier: Apache-2.0
"""Every number that is reported: its unit, what it is averaged over, and how the paper prints it.

The first six follow the published evaluation code (section 6 of the method notes: squared distances
for LVE, MEE and CE, signed FDD). The others are ours: the paper reports nothing like them.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

MM_PER_M = 1000.0


@dataclasses.dataclass(frozen=True)
class Metric:
    """One reported number.

    ``power``: 1 for m, 2 for m^2. ``per``: what one observation is, so a clip weighs as many as it
    has. ``printed_scale``: the factor in the paper's column head (its values are in units of it).
    """

    name: str
    title: str
    power: Literal[1, 2]
    per: Literal["frame", "clip", "bilabial", "silent frame"]
    better: Literal["lower", "higher", "near zero", "none"]
    printed_scale: float | None = None

    @property
    def unit(self) -> str:
        """Unit of the code's values."""
        return "m" if self.power == 1 else "m^2"

    @property
    def unit_mm(self) -> str:
        """Unit of :meth:`to_mm`."""
        return "mm" if self.power == 1 else "mm^2"

    def to_mm(self, value: float) -> float:
        """Value in m or m^2 -> the same in mm or mm^2."""
        return value * MM_PER_M**self.power


_PUBLISHED = (
    Metric("mve", "mean vertex error", 1, "frame", "lower", 1e-3),
    Metric("lve", "lip vertex error, squared", 2, "frame", "lower", 1e-4),
    Metric("fdd", "upper-face dynamics deviation, signed", 2, "clip", "near zero", 1e-6),
    Metric("mee", "mean estimate error, squared", 2, "frame", "lower", 1e-4),
    Metric("ce", "coverage error, squared", 2, "frame", "lower", 1e-4),
    Metric("diversity", "distance between samples", 1, "frame", "none", 1e-3),
)
_OURS = (
    Metric("fdd_abs", "upper-face dynamics deviation, absolute", 2, "clip", "lower"),
    Metric("closure_error", "lip gap at p, b, m against the truth", 1, "bilabial", "lower"),
    Metric("closure_gap", "smallest lip gap at p, b, m", 1, "bilabial", "lower"),
    Metric("closure_gap_truth", "smallest lip gap at p, b, m, truth", 1, "bilabial", "none"),
    Metric("silence_error", "lip gap in silence against the truth", 1, "silent frame", "lower"),
    Metric("jitter", "movement above 8 Hz, RMS", 1, "frame", "none"),
    Metric("jitter_truth", "movement above 8 Hz, RMS, truth", 1, "frame", "none"),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_PUBLISHED, *_OURS)}
PUBLISHED: tuple[str, ...] = tuple(metric.name for metric in _PUBLISHED)
REGION_PREFIX = "region_"


def metric_named(name: str) -> Metric:
    """The metric of a name; ``region_<name>`` is the mean vertex error of that region."""
    if name.startswith(REGION_PREFIX):
        region = name.removeprefix(REGION_PREFIX).replace("_", " ")
        return Metric(name, f"mean vertex error, {region}", 1, "frame", "lower")
    if name not in METRICS:
        raise ValueError(f"metric {name!r} is none of {', '.join(METRICS)}, region_<name>")
    return METRICS[name]
