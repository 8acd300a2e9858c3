# SPDX-License-Identifier: Apache-2.0
"""Emotional synthetic speech of the speakers whom training left out, with the model's face."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.corpus.make import clip_stems, read_clip
from training.corpus.teacher import Teacher
from training.corpus.voices import split_of
from training.data.clips import ClipName
from training.voices.emotion import Felt


def emotional_clips(corpus: Path, animate: Callable[[np.ndarray], np.ndarray]) -> list[Felt]:
    """All clips of the test speakers, animated on the mean face."""
    teacher, clips = Teacher.load(), []
    for stem in clip_stems(corpus):
        if split_of(stem) != "test":
            continue
        name = ClipName.parse(stem)
        assert name is not None
        clip = read_clip(corpus, stem)
        taught = teacher.clip_motion(clip, np.zeros(300, np.float32), seed=0)
        clips.append(Felt(name, animate(clip.audio), taught, clip.audio))
    return clips
