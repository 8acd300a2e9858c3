# SPDX-License-Identifier: Apache-2.0
import wave

import numpy as np
import pytest

from lsf_backend.engine.compact_files import FOLDER
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import motion_from_arkit
from lsf_backend.protocol import ASSETS
from training.voices.engine import animate
from training.voices.measures import Counts
from training.voices.upper_face import (
    measure_borders,
    measure_upper_face,
    voice_intensity,
    without_borders,
)

BROW = ARKIT_NAMES.index("browInnerUp")


def voice() -> np.ndarray:
    """6 s that swell and fade away."""
    rng = np.random.default_rng(0)
    swell = 0.02 + 0.5 * np.sin(np.arange(96_000) / 96_000 * 3 * np.pi) ** 2
    return (swell * rng.standard_normal(96_000)).astype(np.float32)


def with_brow(brow: np.ndarray) -> np.ndarray:
    weights = np.zeros((150, len(ARKIT_NAMES)), np.float32)
    weights[:, BROW] = brow
    return motion_from_arkit(weights)


def measured(brow: np.ndarray) -> dict[str, float]:
    counts = Counts()
    measure_upper_face(with_brow(brow), voice(), counts)
    return {name: entry["mean"] for name, entry in counts.summary().items()}


def test_a_brow_that_follows_the_voice_correlates_and_is_not_frozen() -> None:
    found = measured(0.5 + 0.3 * voice_intensity(voice())[:150])
    assert found["upper face energy with voice intensity, r"] > 0.95
    assert found["frozen frames in speech"] < 0.1


def test_a_still_face_is_frozen() -> None:
    found = measured(np.full(150, 0.3))
    assert found["frozen frames in speech"] == 1.0


def test_a_jump_at_a_border_is_seen_and_the_same_motion_is_not() -> None:
    face = FaceModel.load()
    wave = 0.4 + 0.2 * np.sin(np.arange(150) / 5.0)
    for sign, flips, least in ((1.0, 0.0, 0.0), (-1.0, 1.0, 0.05)):
        counts = Counts()
        other = with_brow(0.4 + sign * (wave - 0.4))
        measure_borders(other, with_brow(wave), face, counts)
        found = counts.summary()
        assert found["border, sign flip"] == {"mean": flips, "n": 1}
        assert found["border, squared mm"]["mean"] == pytest.approx(0.0, abs=1e-9) or least > 0.0
        assert found["border, squared mm"]["mean"] >= least**2


def test_the_bundled_model_shows_no_borders() -> None:
    """Chunks against the clip known at once: within 0.2 mm RMS over the head's vertices."""
    with wave.open(str(ASSETS / "sample.wav")) as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2") / np.float32(32768.0)
    audio = np.concatenate([audio] * 3)[: 11 * 16_000]
    face, counts = FaceModel.load(), Counts()
    measure_borders(animate(audio), without_borders(audio, FOLDER), face, counts)
    found = counts.summary()
    assert found["border, squared mm"]["n"] >= 2
    assert found["border, squared mm"]["mean"] < 0.2**2
    assert found["border, sign flip"]["mean"] == 0.0
