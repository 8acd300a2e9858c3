# SPDX-License-Identifier: Apache-2.0
"""What both stages and every system read: clips with motion, identity, labels and features.

They come from a prepared store with feature caches (or with its sound, where an encoder is
trained), or from the cache of the bundled model's corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lsf_backend.timing import SAMPLES_PER_FRAME
from training.data.cache import D_EMOTION, D_MOTION, Cache, streams
from training.data.clips import ClipName, Face, SourceError
from training.data.features import FeatureCache
from training.data.splits import PARTS, STAGES, Named, Split, make_split
from training.data.store import Store
from training.settings import DataConfig

# An encoder with a window of 400 samples and a hop of 320 makes 2 T features of 640 T + 80.
TAIL_SAMPLES = 80
D_HUBERT = 768


class Clip(Named, Protocol):
    """A clip as the harness sees it; ``count`` frames at 25 fps."""

    @property
    def stem(self) -> str:
        """Name, unique in its data."""

    @property
    def count(self) -> int:
        """Frames."""

    @property
    def intensity(self) -> int:
        """0..2, or -1."""


class Clips(Protocol):
    """Data of a run. ``hears`` tells that ``audio`` is given and an encoder makes the features."""

    face: Face
    hears: bool
    widths: tuple[int, int]
    split: Split

    @property
    def clips(self) -> Sequence[Clip]:
        """All clips, of all parts."""

    def motion(self, number: int) -> np.ndarray:
        """Motion [T, 53] float32."""

    def betas(self, number: int) -> np.ndarray:
        """Identity [300] float32."""

    def features(self, number: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Motion features [2T, Dm] and emotion features [2T, De] at 50 Hz; None: there are none."""

    def audio(self, number: int) -> np.ndarray:
        """Sound [640 T + 80] float32 at 16 kHz."""


class StoreClips:
    """Clips of a store that ``training.data prepare`` made."""

    def __init__(self, config: DataConfig) -> None:
        assert config.store is not None
        self.store = Store.open(config.store)
        self.face, self.hears = self.store.face, config.hubert is not None
        self.split = make_split(config.split, self.store.clips)

        def opened(name: str) -> FeatureCache | None:
            folder = getattr(config, name)
            return None if folder is None else FeatureCache.open(folder, self.store)

        self._both = opened("features")
        self._motion, self._emotion = opened("motion_features"), opened("emotion_features")
        if self._both is not None:
            self.widths = (D_MOTION, D_EMOTION)
        else:
            heard = D_HUBERT if self.hears else 0
            self.widths = (
                heard if self._motion is None else self._motion.width,
                0 if self._emotion is None else self._emotion.width,
            )

    @property
    def clips(self) -> Sequence[Clip]:
        """All clips of the store."""
        return self.store.clips

    def motion(self, number: int) -> np.ndarray:
        """Motion [T, 53] float32."""
        return self.store.motion(number)

    def betas(self, number: int) -> np.ndarray:
        """Identity [300] float32."""
        return self.store.betas(number)

    def features(self, number: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Both streams of a clip, mapped."""
        if self._both is not None:
            both = self._both.features(number)
            return streams(both)
        motion = None if self._motion is None else self._motion.features(number)
        return motion, None if self._emotion is None else self._emotion.features(number)

    def audio(self, number: int) -> np.ndarray:
        """Sound and the silence after it."""
        n_samples = self.store.clips[number].count * SAMPLES_PER_FRAME
        audio = self.store.audio(number)[: n_samples + TAIL_SAMPLES]
        return np.pad(audio, (0, n_samples + TAIL_SAMPLES - audio.size))


class CacheClip:
    """A copy of a clip of the bundled model's corpus."""

    def __init__(self, stem: str, copy: int, first: int, count: int) -> None:
        # Noise without speech is numbered in its last place but two like all others.
        name = ClipName.parse(stem) or ClipName(stem, stem)
        self.subject, self.sentence = name.subject, name.sentence
        self.emotion, self.intensity = name.emotion, name.intensity
        self.stem, self.first, self.count = f"{stem}_{copy}", first, count


class CacheClips:
    """Clips of a cache that ``training.data.cache`` made; its own speakers are held out."""

    face, hears = Face("head"), False

    def __init__(self, config: DataConfig) -> None:
        assert config.cache is not None
        self._cache = cache = Cache.open(config.cache)
        self.clips = tuple(CacheClip(e.stem, e.copy, e.first, e.count) for e in cache.entries)
        self.widths = (D_MOTION, D_EMOTION)
        parts = {part: tuple(cache.split(part)) for part in PARTS}
        note = "the corpus's own held-out speakers"
        self.split = Split("subject", False, note, {stage: parts for stage in STAGES})

    def motion(self, number: int) -> np.ndarray:
        """Motion [T, 53] float32."""
        clip = self.clips[number]
        return self._cache.motion[clip.first : clip.first + clip.count]

    def betas(self, number: int) -> np.ndarray:
        """Identity [300] float32."""
        return self._cache.betas[number]

    def features(self, number: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Both streams of a clip, mapped."""
        clip = self.clips[number]
        both = self._cache.features[2 * clip.first : 2 * (clip.first + clip.count)]
        return streams(both)

    def audio(self, number: int) -> np.ndarray:
        """Refuse: a cache holds features only."""
        raise SourceError("a cache of the corpus holds no sound")


def open_clips(config: DataConfig) -> Clips:
    """Open the data that a configuration names."""
    return CacheClips(config) if config.cache is not None else StoreClips(config)


def training_people(clips: Clips) -> tuple[str, ...]:
    """People of stage 2's training part, in order: their places are the speaker labels."""
    return tuple(sorted({clips.clips[i].subject for i in clips.split.numbers(2, "train")}))
