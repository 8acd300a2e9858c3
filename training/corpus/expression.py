# SPDX-License-Identifier: Apache-2.0
"""How emotions look: offsets of the whole face, after Ekman & Friesen's action units (FACS, 1978).

Upper face and nose as ARKit weights at full intensity, the mouth as changes of its measures in mm,
so that closures and apertures of speech stay what they are. Counted as ``emotion.PROFILES``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Look:
    """One emotion at full intensity.

    upper: ARKit weights by name, sides together; width, corner, raised, thin, out: mm on the mouth;
    open: factor on gap and jaw; uneven: -1..1, how much more the left corner does than the right.
    """

    upper: Mapping[str, float] = dataclasses.field(default_factory=dict)
    width: float = 0.0
    corner: float = 0.0
    raised: float = 0.0
    thin: float = 0.0
    out: float = 0.0
    open: float = 1.0
    uneven: float = 0.0


# In the order of training.data.clips.EMOTIONS; action units in the comments.
LOOKS = (
    Look(),
    # Happy: 6 + 12 (+ 25).
    Look({"cheekSquint": 0.65, "eyeSquint": 0.30, "browInnerUp": 0.10, "browOuterUp": 0.12},
         width=6.0, corner=6.0, raised=0.8, open=1.08),
    # Sad: 1 + 4 + 15 (+ 17), lids low.
    Look({"browInnerUp": 0.85, "browDown": 0.25, "eyeSquint": 0.22},
         width=-1.5, corner=-4.0, thin=0.3, out=0.4, open=0.85),
    # Surprised: 1 + 2 + 5 + 26.
    Look({"browInnerUp": 0.85, "browOuterUp": 0.85, "eyeWide": 0.75},
         width=-1.0, raised=0.4, open=1.25),
    # Fear: 1 + 2 + 4 + 5 + 20.
    Look({"browInnerUp": 0.80, "browOuterUp": 0.35, "browDown": 0.40, "eyeWide": 0.70},
         width=4.5, corner=-1.2, raised=0.3, open=1.05),
    # Disgusted: 9 + 10 + 15 + 4 + 7.
    Look({"noseSneer": 0.85, "browDown": 0.45, "cheekSquint": 0.40, "eyeSquint": 0.45},
         width=-0.5, corner=-2.0, raised=2.6, open=0.92),
    # Angry: 4 + 5 + 7 + 23.
    Look({"browDown": 0.80, "eyeSquint": 0.35, "eyeWide": 0.30, "noseSneer": 0.35},
         width=1.0, corner=-1.6, raised=0.9, thin=1.4, open=1.15),
    # Contempt: 12 + 14 on one side, one brow up, lids narrow.
    Look({"eyeSquint": 0.35, "browDown": 0.15, "browOuterUp": 0.12, "noseSneer": 0.12},
         width=2.0, corner=2.4, raised=0.4, open=0.90, uneven=0.95),
)  # fmt: skip
# Mouth and nose of contempt are one-sided, and so is its brow.
UNEVEN_UPPER = {"browOuterUp": 2.5, "noseSneer": 0.6}
SHARES = (0.45, 0.75, 1.05)


def strength(speaking: np.ndarray, force: np.ndarray, intensity: int) -> np.ndarray:
    """How strongly the look shows at each frame: speaking [T] 0..1, force [T] -> [T].

    It stays half-way up in pauses and rises with the phrase and with the force of the voice.
    """
    return SHARES[intensity] * np.clip(0.5 + 0.38 * speaking + 0.25 * force, 0.35, 1.15)
