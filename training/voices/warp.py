# SPDX-License-Identifier: Apache-2.0
"""Recorded speech with its text -> sound times in languages without an aligner.

espeak-ng says the text in several voices; each is time-warped onto the recording (dynamic time
warping over the speech encoder's features and the mel spectrum), and each sound keeps the median of
the times that the voices give it. How far that is off is measured on English, where pocketsphinx
aligns (:mod:`training.voices.languages`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from lsf_backend.engine.features import log_mel
from training.corpus.engines import SAMPLE_RATE_HZ, Utterance, Voice, speak

FRAME_HZ = 50.0
_MEL_SHARE = 0.5
_EDGE_S = 0.3
# On English, sounds come out this much later than the aligner puts them.
_LATE_S = 0.018
_VARIANTS = ("f2", "m3", "f4")
_ESPEAK = {"en": "en-us", "es": "es", "fr": "fr", "it": "it", "ru": "ru", "de": "de"}

Hear = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class WarpedPhones:
    """phones: (IPA symbol or "sil", start_s, end_s); ``spread_s``: median distance of the voices;
    ``cost``: how unlike the voices and the recording are along the path (cosine distance).
    """

    phones: list[tuple[str, float, float]]
    spread_s: float
    cost: float


def warp_path(distance: np.ndarray) -> np.ndarray:
    """Cheapest monotone path through distance [N, M]: -> [L, 2] pairs from (0, 0) to the end."""
    n, m = distance.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    # Cells of one anti-diagonal need only the two before it.
    for diagonal in range(2, n + m + 1):
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        # A diagonal step does the work of two.
        straight = total[i - 1, j - 1] + 2.0 * distance[i - 1, j - 1]
        along = np.minimum(total[i - 1, j], total[i, j - 1]) + 1.2 * distance[i - 1, j - 1]
        total[i, j] = np.minimum(straight, along)
    path, i, j = [], n, m
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda cell: total[cell])
    return np.array(path[::-1])


def frame_features(audio: np.ndarray, hear: Hear) -> np.ndarray:
    """What sounds are compared by: audio [N] -> unit vectors [T50, D], encoder and mel joined."""
    heard = hear(audio)
    mel = log_mel(audio / max(1e-4, float(np.abs(audio).max())))
    mel = mel[:, : 2 * len(heard)].reshape(80, -1, 2).mean(2).T
    parts = []
    for values, share in ((heard, 1.0 - _MEL_SHARE), (mel, _MEL_SHARE)):
        values = values - values.mean(0)
        values = values / (values.std(0) + 1e-3)
        values = values / (np.linalg.norm(values, axis=1, keepdims=True) + 1e-6)
        parts.append(np.sqrt(share) * values)
    return np.concatenate(parts, axis=1)


def warped(recorded: np.ndarray, said: Utterance, hear: Hear) -> tuple[np.ndarray, float]:
    """Start and end of each sound of ``said`` in the recording [S, 2] s, and the path's cost."""
    edge = np.zeros(round(_EDGE_S * SAMPLE_RATE_HZ), np.float32)
    audio = np.concatenate([edge, said.audio, edge])
    a, b = frame_features(audio, hear), frame_features(recorded, hear)
    distance = 1.0 - a @ b.T
    path = warp_path(distance)
    mapped = np.zeros(len(a))
    np.add.at(mapped, path[:, 0], path[:, 1])
    mapped /= np.bincount(path[:, 0], minlength=len(a))
    times = (np.array([p[1:] for p in said.phones]) + _EDGE_S) * FRAME_HZ
    found = np.interp(times, np.arange(len(a)), mapped) / FRAME_HZ
    return found - _LATE_S, float(distance[path[:, 0], path[:, 1]].mean())


def transcript_phones(
    audio: np.ndarray, text: str, language: str, hear: Hear, variants: tuple[str, ...] = _VARIANTS
) -> WarpedPhones:
    """Sounds of ``text`` as espeak-ng's voices pronounce it, at the recording's times."""
    symbols: list[str] = []
    times, costs = [], []
    for variant in variants:
        said = speak(Voice("espeak", f"{_ESPEAK[language]}+{variant}", language), text)
        now = [symbol for symbol, _, _ in said.phones]
        if symbols and now != symbols:
            continue
        symbols = now
        found, cost = warped(audio, said, hear)
        times.append(found)
        costs.append(cost)
    middle = np.median(times, axis=0)
    spread = float(np.median(np.abs(np.array(times) - middle)))
    phones = [
        (name, float(a), float(max(a, b))) for name, (a, b) in zip(symbols, middle, strict=True)
    ]
    return WarpedPhones(phones, spread, float(np.mean(costs)))
