# SPDX-License-Identifier: Apache-2.0
"""Brows, lids, cheeks and nose from the voice: pitch accents, loudness, emotion, micro-motion."""

from __future__ import annotations

import dataclasses

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES
from training.corpus.coarticulation import blur
from training.corpus.expression import LOOKS, UNEVEN_UPPER

# A face that knows its next word moves its brows a little before it (50 Hz frames).
_AHEAD = 4
# Slow wander of every shape, seeded: its size as a weight and its pace in 50 Hz frames.
_WANDER, _WANDER_FRAMES = 0.022, 20.0


@dataclasses.dataclass(frozen=True)
class Voicing:
    """What the upper face hears, at 50 Hz [T50]; all but ``energy`` about 0..1."""

    speaking: np.ndarray
    rising: np.ndarray
    falling: np.ndarray
    force: np.ndarray
    push: np.ndarray
    energy: np.ndarray

    @classmethod
    def of(cls, voice: np.ndarray) -> Voicing:
        """From prosody [T50, 6] of ``lsf_backend.engine.features``."""
        _, accent, voiced, energy, _, slow = voice.T[:6]
        weight = blur(voiced, 7.0) + 0.15
        return cls(
            speaking=blur(np.clip((energy + 1.6) * 1.5, 0.0, 1.0), 10.0),
            rising=blur(np.maximum(accent, 0.0) * voiced, 6.0) / weight,
            falling=blur(np.maximum(-accent, 0.0) * voiced, 10.0) / weight,
            force=blur(np.maximum(slow + 0.35, 0.0), 6.0),
            push=blur(np.maximum(energy - slow, 0.0) * voiced, 4.0),
            energy=energy,
        )


def upper_face(
    weights: np.ndarray, heard: Voicing, show: np.ndarray, emotion: int, rng: np.random.Generator
) -> None:
    """Add brows, lids, cheeks and nose to weights [T, 52] in place; ``show`` [T50]: strength."""
    raised = (0.80 * heard.rising + 0.22 * heard.force + 0.12 * heard.push) * heard.speaking
    raised = np.concatenate([raised[_AHEAD:], np.repeat(raised[-1:], _AHEAD)])
    lowered = (0.24 * heard.falling + 0.20 * heard.force) * heard.speaking
    speaking = heard.speaking
    tone = {
        "browInnerUp": 0.85 * raised,
        "browOuterUp": 0.62 * raised,
        "browDown": 0.80 * lowered,
        "eyeWide": 0.50 * np.maximum(raised - 0.16, 0.0),
        "eyeSquint": 0.28 * lowered + 0.16 * heard.push * speaking,
        "cheekSquint": (0.12 * heard.force + 0.12 * heard.rising) * speaking,
        "noseSneer": 0.14 * heard.force * speaking,
    }
    look = LOOKS[emotion]
    uneven = look.uneven * np.clip(show, 0.0, 1.0)
    for name, curve in tone.items():
        full = curve + look.upper.get(name, 0.0) * show
        left = right = full + _wander(curve.size, rng)
        if name in UNEVEN_UPPER:
            left = left + UNEVEN_UPPER[name] * look.upper.get(name, 0.0) * uneven
        # Nobody's two halves do quite the same.
        half = 0.4 * _wander(curve.size, rng)
        if name in ARKIT_NAMES:
            _put(weights, name, left)
        else:
            _put(weights, name + "Left", left + half)
            _put(weights, name + "Right", right - half)


def _put(weights: np.ndarray, name: str, curve: np.ndarray) -> None:
    weights[:, ARKIT_NAMES.index(name)] += np.clip(curve, 0.0, 1.0)[: 2 * len(weights) : 2]


def _wander(count: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth seeded noise [T50] of spread _WANDER."""
    noise = blur(rng.standard_normal(count), _WANDER_FRAMES)
    return _WANDER * np.sqrt(2.0 * np.sqrt(np.pi) * _WANDER_FRAMES) * noise
