# SPDX-License-Identifier: Apache-2.0
"""Emotional synthetic speech of the speakers whom training left out, with the model's face."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.corpus.make import clip_stems, read_clip
from training.corpus.teacher import Teacher
from training.corpus.voices import split_of
from training.voices.emotion import Felt

PER_SUBJECT_AND_EMOTION = 2


def emotional_clips(corpus: Path, animate: Callable[[np.ndarray], np.ndarray]) -> list[Felt]:
    """Clips of the test speakers, a few of each emotion, animated on the mean face."""
    teacher, clips, seen = Teacher.load(), [], {}
    for stem in clip_stems(corpus):
        subject, _, emotion, intensity = stem.split("_")
        key = (subject, emotion)
        if split_of(stem) != "test" or seen.get(key, 0) == PER_SUBJECT_AND_EMOTION:
            continue
        seen[key] = seen.get(key, 0) + 1
        clip = read_clip(corpus, stem)
        taught = teacher.clip_motion(clip, np.zeros(300, np.float32), seed=0)
        clips.append(
            Felt(subject, int(emotion), int(intensity), animate(clip.audio), taught, clip.audio)
        )
    return clips
