# SPDX-License-Identifier: Apache-2.0
"""One clip: lines of text spoken in a manner, with pauses, breaths and the sound of a room."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from training.corpus import augment, text, vocoder
from training.corpus.emotion import Manner, draw_label, manner_of
from training.corpus.engines import SAMPLE_RATE_HZ, Voice, speak

# A line of phones: their notation and (symbol, start_s, end_s) in the clip.
Line = tuple[str, list[tuple[str, float, float]]]
_SPEECH_DB = -26.0
_SHARE_SILENT = 0.02
_SHARE_LONG_PAUSE = 0.06
# The vocoder also speaks part of the neutral clips, so that its sound tells nothing.
_SHARE_VOCODER = {True: 0.45, False: 0.7}


@dataclasses.dataclass(frozen=True)
class Spoken:
    """audio [N] float32, 16 kHz; phones by line, nothing between lines; how and what was said."""

    audio: np.ndarray
    lines: tuple[Line, ...]
    emotion: int
    intensity: int
    described: dict[str, Any]


def label_of(rng: np.random.Generator) -> tuple[int, int, bool]:
    """Emotion, intensity, and whether nobody speaks: the first draws of every clip."""
    emotion, intensity = draw_label(rng)
    silent = bool(rng.random() < _SHARE_SILENT)
    return (0, 0, True) if silent else (emotion, intensity, False)


def make_clip(voice: Voice, rng: np.random.Generator) -> Spoken:
    """Speak one clip; everything that is drawn is drawn from ``rng``."""
    emotion, intensity, silent = label_of(rng)
    manner = manner_of(emotion, intensity, rng)
    parts: list[np.ndarray] = []
    lines: list[Line] = []
    texts: list[str] = []
    clock = 0
    uses_vocoder = bool(rng.random() < _SHARE_VOCODER[emotion == 0])
    for part in range(0 if silent else 2 if rng.random() < 0.35 else 1):
        gap = _pause(part, manner, rng)
        line = text.sentence(voice.language, rng)
        audio, notation, phones = _say(voice, line, manner, uses_vocoder, rng)
        clock += gap.size
        lines.append((notation, [(p, a + clock / 16e3, b + clock / 16e3) for p, a, b in phones]))
        parts += [gap, audio]
        texts.append(line)
        clock += audio.size
    tail_s = float(rng.uniform(1.5, 4.0) if silent else rng.uniform(0.1, 0.6))
    parts.append(np.zeros(round(tail_s * SAMPLE_RATE_HZ), np.float32))
    audio = np.concatenate(parts)
    if silent:
        audio = audio + _breath(audio.size, rng)
    audio = _levelled(audio, manner.loud, rng)
    described = {
        "text": texts,
        "manner": dataclasses.asdict(manner),
        "vocoder": uses_vocoder,
        "seconds": audio.size / SAMPLE_RATE_HZ,
    }
    return Spoken(audio, tuple(lines), emotion, intensity, described)


def _say(
    voice: Voice, line: str, manner: Manner, uses_vocoder: bool, rng: np.random.Generator
) -> tuple[np.ndarray, str, list[tuple[str, float, float]]]:
    """One line of speech at a fixed level, with its notation and phones."""
    voice = dataclasses.replace(voice, rate=voice.rate * manner.rate)
    if not uses_vocoder:
        voice = dataclasses.replace(
            voice, pitch=voice.pitch * 2.0 ** (manner.level / 12.0), span=voice.span * manner.span
        )
    said = speak(voice, line)
    if uses_vocoder:
        audio = vocoder.change(said.audio, manner, rng)
    else:
        audio = augment.tilt(said.audio, manner.tilt).astype(np.float32)
    loud = np.abs(audio) > 0.05 * np.abs(audio).max()
    level = float(np.sqrt(np.mean(audio[loud] ** 2))) if loud.any() else 1.0
    return audio * np.float32(0.1 / max(level, 1e-6)), said.notation, list(said.phones)


def _pause(part: int, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Samples of the pause before a line, sometimes long, sometimes with a breath at its end."""
    seconds = rng.uniform(0.1, 0.7) if part == 0 else rng.uniform(0.3, 1.5) * manner.pause
    if rng.random() < _SHARE_LONG_PAUSE:
        seconds += rng.uniform(1.0, 3.0)
    pause = np.zeros(round(float(seconds) * SAMPLE_RATE_HZ), np.float32)
    if rng.random() < 0.3 and pause.size > 0.35 * SAMPLE_RATE_HZ:
        count = pause.size - int(0.05 * SAMPLE_RATE_HZ)
        pause[:count] += _breath(count, rng)
    return pause


def _breath(count: int, rng: np.random.Generator) -> np.ndarray:
    """An intake of air that ends with the ``count`` samples: shaped noise of 0.25 to 0.6 s."""
    size = min(count, int(rng.uniform(0.25, 0.6) * SAMPLE_RATE_HZ))
    swell = np.sin(np.pi * np.linspace(0.0, 1.0, size) ** 1.4) ** 2
    hiss = augment.band_limit(rng.standard_normal(size), 500.0, float(rng.uniform(3000.0, 6500.0)))
    level = 0.1 * 10.0 ** (rng.uniform(-34.0, -14.0) / 20.0)
    breath = np.zeros(count, np.float32)
    breath[count - size :] = level * swell * hiss / hiss.std()
    return breath


def _levelled(audio: np.ndarray, loud_db: float, rng: np.random.Generator) -> np.ndarray:
    """Bring speech (level 0.1 so far) to its loudness in a room with its own quiet sound."""
    gain = 10.0 ** ((_SPEECH_DB + 20.0 + loud_db) / 20.0)
    gain = min(gain, 0.95 / max(1e-6, float(np.abs(audio).max())))
    if rng.random() < 0.75:
        room = np.fft.rfft(rng.standard_normal(audio.size))
        room /= np.sqrt(np.maximum(np.arange(room.size), 20.0))
        tone = np.fft.irfft(room, audio.size)
        audio = audio + tone / tone.std() * 0.1 * 10.0 ** (rng.uniform(-65.0, -38.0) / 20.0)
    return np.clip(audio * gain, -1.0, 1.0).astype(np.float32)
