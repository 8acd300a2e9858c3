# SPDX-License-Identifier: Apache-2.0
"""The layers that no face shape holds: turns of head and eyes, and the filling of the chest.

Pure functions of seed, frame and sound, whatever face the engine moves; ``Finisher`` adds the same
gaze and breath to ARKit weights.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..protocol import EXTRA_CHANNELS
from . import gaze, head_motion
from .settings import FinishingSettings
from .speech import SpeechTrack


@dataclasses.dataclass(frozen=True)
class Layers:
    """``head_rad`` [n, 3] about x (down), y (to the character's left), z; ``eyes_rad`` [n, 2] about
    x and y, both eyes, in the head; ``breath`` [n] 0..1.
    """

    head_rad: np.ndarray
    eyes_rad: np.ndarray
    breath: np.ndarray

    def columns(self, extra: tuple[str, ...]) -> np.ndarray:
        """Columns [n, E] float32 of the named extras, in ``channels_of``'s order."""
        filled = np.clip(self.breath, 0.0, 1.0)[:, None]
        parts = {"head": self.head_rad, "gaze": self.eyes_rad, "breath": filled}
        chosen = [parts[name] for name in extra]
        return np.concatenate(chosen, axis=1).astype(np.float32)


def layers(
    settings: FinishingSettings, seed: int, first: int, count: int, speech: SpeechTrack
) -> Layers:
    """Layers of frames ``first`` .. ``first + count - 1``; float64, before any clipping."""
    head, eyes, filled = np.zeros((count, 3)), np.zeros((count, 2)), np.zeros(count)
    if settings.head > 0.0:
        head = settings.head * head_motion.head_rotation(seed, first, count, speech)
    if settings.breathing > 0.0:
        filled = settings.breathing * head_motion.breath(seed, first, count, speech)
        head[:, 0] += np.radians(head_motion.BREATH_PITCH_DEG) * filled
    if settings.gaze > 0.0:
        # The eyes stay on their target while the head moves (vestibulo-ocular reflex).
        eyes = settings.gaze * gaze.gaze_target(seed, first, count, speech) - head[:, :2]
    return Layers(head, eyes, filled)


def channels_of(extra: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the columns of some extras: ``("breath",)`` -> ``("breath",)``."""
    return tuple(channel for name in extra for channel in EXTRA_CHANNELS[name])
