# SPDX-License-Identifier: Apache-2.0
"""The compact engine over sounds in memory, as the evaluation calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.engine.base import AnimateJob
from lsf_backend.engine.compact import CompactEngine
from lsf_backend.engine.compact_files import FOLDER
from lsf_backend.face.head_space import arkit_from_motion, motion_from_arkit
from lsf_backend.finishing.finisher import finish
from lsf_backend.finishing.settings import FinishingSettings
from lsf_backend.finishing.speech import SpeechTrack, levels_from_samples
from lsf_backend.timing import SAMPLES_PER_FRAME


class SoundInMemory:
    """What the engine needs of an AudioReader, over an array [N] float32 at 16 kHz."""

    def __init__(self, audio: np.ndarray) -> None:
        self.audio, self.n_samples = audio, audio.size

    def read(self, start_sample: int, count: int) -> np.ndarray:
        """Samples from ``start_sample``; fewer at the end."""
        return self.audio[start_sample : start_sample + count]


def animate(
    audio: np.ndarray, folder: Path = FOLDER, temperature: float = 0.0, seed: int = 0,
    betas: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Run the engine: audio [N] 16 kHz, betas [300] -> motion [T, 53]."""
    sound: Any = SoundInMemory(audio)
    job = AnimateJob(sound, betas, seed, temperature, "cpu", lambda s, f: None, lambda: False)
    return np.concatenate([chunk.motion for chunk in CompactEngine(folder).animate(job)])


def delivered(audio: np.ndarray, motion: np.ndarray, per_weight_mm: np.ndarray) -> np.ndarray:
    """Motion [T, 53] as a user gets it: with the finishing layers as they are switched at first.

    ``per_weight_mm`` [52] is how the face's lip gap answers to ARKit weights.
    """
    sound = np.zeros(len(motion) * SAMPLES_PER_FRAME, np.float32)
    sound[: audio.size] = audio[: sound.size]
    speech = SpeechTrack.from_levels(levels_from_samples(sound))
    weights = arkit_from_motion(motion)
    finished, _ = finish(weights, FinishingSettings(), 0, speech, per_weight_mm)
    return motion_from_arkit(finished.weights)
