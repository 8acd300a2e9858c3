# SPDX-License-Identifier: Apache-2.0
"""Changes the prosody of speech with WORLD (Morise et al. 2016), sound times unmoved.

Pitch level, range, contour, shake, loudness contour, spectral tilt, breath and formants; rate is
left to the engines. WORLD comes from the package ``pyworld``, a tool of the corpus only.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from training.corpus.emotion import Manner
from training.corpus.engines import SAMPLE_RATE_HZ

_FRAME_S = 0.005
_PITCH_LIMITS_HZ = (60.0, 480.0)
# Longer stretches without voice end a phrase.
_PHRASE_PAUSE_S = 0.25


@functools.cache
def world() -> Any:
    """The compiled part of ``pyworld``; its package file needs a ``pkg_resources`` of long ago."""
    found = importlib.util.find_spec("pyworld")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("The corpus needs the package pyworld: pip install pyworld.")
    folder = Path(found.submodule_search_locations[0])
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = folder / f"pyworld{suffix}"
        if path.exists():
            loader = importlib.machinery.ExtensionFileLoader("pyworld", str(path))
            spec = importlib.util.spec_from_file_location("pyworld", path, loader=loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            loader.exec_module(module)
            return module
    raise RuntimeError(f"{folder} holds no compiled pyworld for this Python.")


def change(audio: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Speak ``audio`` [N] float32, 16 kHz in another manner: -> [N] float32."""
    tool, rate = world(), SAMPLE_RATE_HZ
    sound = audio.astype(np.float64)
    pitch, times = tool.dio(sound, rate, frame_period=1000 * _FRAME_S, f0_floor=55.0,
                            f0_ceil=500.0)  # fmt: skip
    pitch = tool.stonemask(sound, pitch, times, rate)
    power = tool.cheaptrick(sound, pitch, times, rate)
    noise = tool.d4c(sound, pitch, times, rate)
    hertz = np.linspace(0.0, rate / 2, power.shape[1])
    power = _louder(_warped(power, manner.formants), manner.dynamics)
    power = power * 10.0 ** (manner.tilt * np.log2(np.maximum(hertz, 125.0) / 1000.0) / 10.0)
    airy = manner.breath * np.clip(np.log2(np.maximum(hertz, 1.0) / 1000.0) / 2.0, 0.0, 1.0)
    noise = np.clip(noise + airy * (1.0 - noise), 0.0, 1.0)
    spoken = tool.synthesize(
        contour(pitch, manner, rng), np.ascontiguousarray(power), np.ascontiguousarray(noise), rate,
        1000 * _FRAME_S,
    )  # fmt: skip
    fitted = np.zeros(audio.size, np.float32)
    count = min(audio.size, spoken.size)
    fitted[:count] = spoken[:count]
    return fitted


def contour(pitch_hz: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """New pitch [T] Hz at 200 Hz (0 where there is no voice) in a manner."""
    voiced = pitch_hz > 0.0
    if not voiced.any():
        return pitch_hz
    semitones = 12.0 * np.log2(np.where(voiced, pitch_hz, 1.0))
    middle = semitones[voiced].mean()
    place = phrase_position(voiced)
    ending = np.clip((place - 0.75) / 0.25, 0.0, 1.0) ** 2
    times = np.arange(pitch_hz.size) * _FRAME_S
    shake = manner.jitter * rng.standard_normal(pitch_hz.size)
    shake = shake + manner.tremor * np.sin(2 * np.pi * (6.0 * times + rng.random()))
    new = (
        middle + manner.level + manner.span * (semitones - middle)
        + manner.slope * (place - 0.5) + manner.final * ending + shake
    )  # fmt: skip
    new = middle + np.clip(new - middle, -14.0, 16.0)
    return np.where(voiced, np.clip(2.0 ** (new / 12.0), *_PITCH_LIMITS_HZ), 0.0)


def phrase_position(voiced: np.ndarray) -> np.ndarray:
    """How far each frame [T] is through its phrase, 0..1; phrases are parted by long pauses."""
    place = np.zeros(voiced.size)
    frames = np.flatnonzero(voiced)
    breaks = np.flatnonzero(np.diff(frames) > _PHRASE_PAUSE_S / _FRAME_S)
    for part in np.split(frames, breaks + 1):
        first, last = part[0], part[-1] + 1
        place[first:last] = np.linspace(0.0, 1.0, last - first)
    return place


def _louder(power: np.ndarray, dynamics: float) -> np.ndarray:
    """Stretch the loudness contour around its speech level: power [T, F] -> [T, F]."""
    if dynamics == 1.0:
        return power
    energy = power.sum(1) + 1e-12
    energy_db = 10.0 * np.log10(energy)
    usual_db = energy_db[energy_db > energy_db.max() - 25.0].mean()
    gain_db = np.clip((dynamics - 1.0) * (energy_db - usual_db), -8.0, 8.0)
    return power * 10.0 ** (gain_db[:, None] / 10.0)


def _warped(power: np.ndarray, formants: float) -> np.ndarray:
    """Move the formants up by a factor: power [T, F] -> [T, F]."""
    if formants == 1.0:
        return power
    wanted = np.minimum(np.arange(power.shape[1]) / formants, power.shape[1] - 1.0)
    low = wanted.astype(int)
    high = np.minimum(low + 1, power.shape[1] - 1)
    part = wanted - low
    return (1.0 - part) * power[:, low] + part * power[:, high]
