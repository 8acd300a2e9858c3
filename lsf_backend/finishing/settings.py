# SPDX-License-Identifier: Apache-2.0
"""What finishing does: a strength per layer (0 is off) and thresholds in mm, checked when made."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..errors import LsfError

# Name -> largest accepted value.
_LIMITS = {
    "smoothing": 1.0,
    "closure": 1.0,
    "silence": 1.0,
    "blinks": 1.0,
    "gaze": 2.0,
    "head": 2.0,
    "breathing": 2.0,
    "closed_mm": 5.0,
    "near_mm": 10.0,
    "silent_mm": 10.0,
}


@dataclasses.dataclass(frozen=True)
class FinishingSettings:
    """Strengths in 0..1 (gaze, head and breathing to 2), 0 leaves a layer out; thresholds in mm.

    ``closed_mm``: gap of closed lips; ``near_mm``: a dip at least so low is taken for a closure;
    ``silent_mm``: widest gap in silence.
    """

    smoothing: float = 0.5
    closure: float = 1.0
    silence: float = 1.0
    blinks: float = 1.0
    gaze: float = 1.0
    head: float = 1.0
    breathing: float = 1.0
    closed_mm: float = 0.2
    near_mm: float = 1.0
    silent_mm: float = 0.5

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0.0 <= value <= limit:
                raise LsfError(
                    "request_invalid",
                    f"Finishing has {name} = {value!r}; it must be from 0 to {limit:g}.",
                )

    @classmethod
    def off(cls) -> FinishingSettings:
        """Nothing is changed and nothing added."""
        return cls(**dict.fromkeys(("smoothing", "closure", "silence", *_LAYERS), 0.0))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FinishingSettings:
        """Read settings from JSON; an unknown name is refused, a missing one has its default."""
        unknown = sorted(set(values) - set(_LIMITS))
        if unknown:
            raise LsfError(
                "request_invalid",
                f"Finishing has no setting {unknown[0]!r}.",
                f"Known settings: {', '.join(_LIMITS)}.",
            )
        return cls(**values)

    def to_dict(self) -> dict[str, float]:
        """Return the settings as JSON holds them."""
        return dataclasses.asdict(self)


_LAYERS = ("blinks", "gaze", "head", "breathing")
