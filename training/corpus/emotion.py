# SPDX-License-Identifier: Apache-2.0
"""How emotions sound: prosody profiles of eight emotions at three intensities.

Directions and relative sizes follow Banse & Scherer 1996, Juslin & Laukka 2003 (table 7) and
Scherer 2003; the numbers are ours, chosen so that full intensity is acted speech. Emotions are
counted as in ``training.data.clips.EMOTIONS``; neutral has one intensity.
"""

from __future__ import annotations

import dataclasses

import numpy as np

INTENSITIES = (0.45, 0.75, 1.1)
SHARE_NEUTRAL = 0.4


@dataclasses.dataclass(frozen=True)
class Manner:
    """Change of prosody against neutral speech of the same voice.

    level, final and slope in semitones (mean pitch; last quarter of a phrase; along a phrase);
    span, rate, dynamics, formants as factors; loud in dB; tilt in dB per octave (positive is
    brighter); jitter in semitones of shake from period to period; tremor in semitones at 6 Hz;
    breath 0..1; pause as a factor on pauses.
    """

    level: float = 0.0
    span: float = 1.0
    slope: float = 0.0
    final: float = 0.0
    rate: float = 1.0
    loud: float = 0.0
    tilt: float = 0.0
    dynamics: float = 1.0
    jitter: float = 0.0
    tremor: float = 0.0
    breath: float = 0.0
    formants: float = 1.0
    pause: float = 1.0

    def scaled(self, share: float) -> Manner:
        """The same manner, ``share`` as strong (factors are scaled by their logarithm)."""
        values = {}
        for field in dataclasses.fields(self):
            value, plain = getattr(self, field.name), field.default
            values[field.name] = value**share if plain == 1.0 else value * share
        return Manner(**values)


# In the order of training.data.clips.EMOTIONS.
PROFILES = (
    Manner(),
    # Happy: high, wide, rising, fast, loud, bright; a smile shortens the tract (Tartter 1980).
    Manner(4.0, 1.7, 1.0, 1.0, 1.10, 4.0, 1.6, 1.10, 0.05, formants=1.05, pause=0.8),
    # Sad: low, narrow, falling, slow, soft, dull, breathy.
    Manner(-2.5, 0.50, -1.5, -1.5, 0.78, -7.0, -2.6, 0.85, 0.10, breath=0.35, formants=0.98,
           pause=1.6),
    # Surprised: very high, very wide, rising at the end.
    Manner(5.5, 1.8, 2.0, 5.0, 1.02, 3.0, 1.0, 1.15, 0.05, breath=0.10),
    # Fear: very high, not wide, fast, shaking, breathy.
    Manner(6.0, 0.80, 1.0, 0.5, 1.22, -0.5, 0.8, 0.90, 0.28, tremor=0.5, breath=0.30),
    # Disgusted: low, narrow, slow, creaky, dark.
    Manner(-2.5, 0.80, -0.5, -3.0, 0.84, -1.0, -1.2, 1.10, 0.45, formants=0.94, pause=1.2),
    # Angry (hot): raised, wide, fast, very loud, very bright, hard accents that fall.
    Manner(3.0, 1.5, -1.5, -2.5, 1.12, 8.0, 2.8, 1.30, 0.22, pause=0.7),
    # Contempt: low, a long falling glide, slow, not soft, rather bright.
    Manner(-1.5, 1.25, -3.0, -2.0, 0.88, 0.5, 0.8, 1.05, 0.05, formants=0.99, pause=1.3),
)  # fmt: skip


def draw_label(rng: np.random.Generator) -> tuple[int, int]:
    """An emotion and its intensity; four clips of ten are neutral."""
    if rng.random() < SHARE_NEUTRAL:
        return 0, 0
    return int(rng.integers(1, len(PROFILES))), int(rng.integers(len(INTENSITIES)))


def manner_of(emotion: int, intensity: int, rng: np.random.Generator) -> Manner:
    """The manner of one clip: its profile, varied as people vary."""
    if emotion == 0:
        return Manner(
            level=float(rng.normal(0.0, 0.5)), span=float(np.exp(rng.normal(0.0, 0.1))),
            rate=float(np.exp(rng.normal(0.0, 0.05))), tilt=float(rng.normal(0.0, 0.4)),
            formants=float(np.exp(rng.normal(0.0, 0.02))),
        )  # fmt: skip
    share = INTENSITIES[intensity] * float(np.exp(rng.normal(0.0, 0.12)))
    return PROFILES[emotion].scaled(share)
