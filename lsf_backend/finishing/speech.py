# SPDX-License-Identifier: Apache-2.0
"""What the layers know of the sound: level and speech activity per frame, asked for by frame.

A frame is speech when its level is within 30 dB of the loudest within 2 s and over -50 dBFS; gaps
shorter than 0.28 s (stops, breaths inside a phrase) count as speech. Look-ahead: 2.2 s of sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..audio import AudioReader
from ..timing import SAMPLES_PER_FRAME

FLOOR_DB = -100.0
QUIETEST_SPEECH_DB = -50.0
BELOW_PEAK_DB = 30.0
_PEAK_FRAMES = 50
_BRIDGE_FRAMES = 3
# Sound that is read at a time; any size gives the same levels.
_READ_FRAMES = 250

SPEECH_CONTEXT_FRAMES = _PEAK_FRAMES + 2 * _BRIDGE_FRAMES


class SpeechTrack:
    """Level in dBFS and speech activity of any absolute frame; silence outside the sound."""

    def __init__(self, n_frames: int, more: Callable[[int, int], np.ndarray]) -> None:
        self.n_frames = n_frames
        self._more = more
        self._levels = np.empty(0)

    @classmethod
    def from_levels(cls, levels_db: np.ndarray) -> SpeechTrack:
        """Use levels that are known: [T] dBFS at 25 fps."""
        levels = np.asarray(levels_db, dtype=np.float64)
        return cls(len(levels), lambda first, count: levels[first : first + count])

    @classmethod
    def from_audio(cls, reader: AudioReader) -> SpeechTrack:
        """Measure a sound as its frames are asked for; it is read in order, once."""

        def more(first: int, count: int) -> np.ndarray:
            return levels_from_samples(
                reader.read(first * SAMPLES_PER_FRAME, count * SAMPLES_PER_FRAME)
            )

        return cls(reader.n_frames, more)

    def level_db(self, first: int, count: int) -> np.ndarray:
        """Level of frames ``first`` .. ``first + count - 1``: [count] dBFS."""
        levels = np.full(count, FLOOR_DB)
        start, end = max(first, 0), min(first + count, self.n_frames)
        if start < end:
            self._measure(end)
            levels[start - first : end - first] = self._levels[start:end]
        return levels

    def active(self, first: int, count: int) -> np.ndarray:
        """Whether there is speech: [count] bool."""
        context = SPEECH_CONTEXT_FRAMES
        levels = self.level_db(first - context, count + 2 * context)
        peak = _largest(levels, _PEAK_FRAMES)
        speech = levels > np.maximum(peak - BELOW_PEAK_DB, QUIETEST_SPEECH_DB)
        bridged = ~_largest(~_largest(speech, _BRIDGE_FRAMES), _BRIDGE_FRAMES)
        return bridged[context : context + count]

    def _measure(self, end: int) -> None:
        while len(self._levels) < end:
            known = len(self._levels)
            found = self._more(known, min(_READ_FRAMES, self.n_frames - known))
            if not len(found):  # a sound that ends early is silent from there
                found = np.full(self.n_frames - known, FLOOR_DB)
            self._levels = np.concatenate([self._levels, found])


def levels_from_samples(samples: np.ndarray) -> np.ndarray:
    """Level of each whole frame: samples [N] at 16 kHz -> [N // 640] dBFS."""
    frames = len(samples) // SAMPLES_PER_FRAME
    blocks = np.asarray(samples[: frames * SAMPLES_PER_FRAME], dtype=np.float64)
    power = (blocks.reshape(frames, SAMPLES_PER_FRAME) ** 2).mean(axis=1)
    return np.maximum(10.0 * np.log10(power + 1e-12), FLOOR_DB)


def starts_and_ends(active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First frame of each phrase and first frame after each: active [n] -> bool [n], bool [n].

    The first frame of the array is neither: what came before it is not known.
    """
    before = np.concatenate([active[:1], active[:-1]])
    return active & ~before, ~active & before


def _largest(values: np.ndarray, reach: int) -> np.ndarray:
    """Largest value within ``reach`` frames on each side: [n] -> [n]; the ends repeat."""
    wide = np.pad(values, reach, mode="edge")
    return np.asarray(sliding_window_view(wide, 2 * reach + 1).max(axis=-1))
