# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion, motion_from_arkit
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.finishing.lips import gap_per_weight_mm
from training.voices.engine import delivered
from training.voices.measures import (
    Counts,
    SoundFrames,
    lag_frames,
    measure_lips,
    pauses,
    wrong_closures,
)

# 4 s: AA, M at 1 s, AA, N at 2 s, AA, pause from 3 s on.
PHONES = [
    ("AA", 0.0, 0.96), ("M", 0.96, 1.04), ("AA", 1.04, 1.96), ("N", 1.96, 2.04),
    ("AA", 2.04, 3.0), ("SIL", 3.0, 4.0),
]  # fmt: skip
COUNT = 100
NOISE = np.random.default_rng(0).standard_normal(64_000).astype(np.float32)


def open_but(*closed: slice) -> np.ndarray:
    """Motion with the jaw open in all frames but those in ``closed``."""
    weights = np.zeros((COUNT, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = 0.4
    for frames in closed:
        weights[frames] = 0.0
    return motion_from_arkit(weights)


def measured(motion: np.ndarray) -> dict[str, float]:
    counts, audio = Counts(), np.random.default_rng(0).standard_normal(64_000).astype(np.float32)
    audio[48_000:] *= 1e-4
    wanted = open_but(slice(24, 27), slice(76, 100))
    measure_lips(FaceModel.load(), motion, wanted, SoundFrames(COUNT, PHONES, audio), audio, counts)
    return {name: entry["mean"] for name, entry in counts.summary().items()}


def test_what_the_teacher_does_is_perfect() -> None:
    found = measured(open_but(slice(24, 27), slice(76, 100)))
    assert found["p/b/m closure recall"] == found["p/b/m closure precision"] == 1.0
    assert found["open vowels"] == found["silence closed"] == 1.0
    assert found["lag, frames"] == pytest.approx(0.0, abs=0.05)


def test_a_missed_m_a_closed_n_and_an_open_pause_each_count() -> None:
    found = measured(open_but(slice(49, 52)))
    assert found["p/b/m closure recall"] == 0.0
    assert found["p/b/m closure precision"] == 0.0
    assert found["silence closed"] == 0.0


@pytest.mark.parametrize(("frame", "met"), [(22, False), (23, True), (27, True), (28, False)])
def test_a_closure_counts_up_to_40_ms_from_its_sound(frame: int, met: bool) -> None:
    shut = np.zeros(COUNT, bool)
    shut[frame] = True
    # The sound lasts from 0.96 s (frame 24) to 1.04 s (frame 26).
    assert SoundFrames(COUNT, PHONES, NOISE).closures(shut)[0] == [met]


def test_wrong_closures_are_named_by_their_sound() -> None:
    motion = open_but(slice(24, 27), slice(50, 51))
    names = wrong_closures(FaceModel.load(), motion, SoundFrames(COUNT, PHONES, NOISE))
    assert len(names) == 1 and "N" in names[0].split()


def test_pauses_leave_out_their_edges() -> None:
    audio = np.random.default_rng(0).standard_normal(64_000).astype(np.float32)
    audio[32_000:48_000] *= 1e-4
    ((first, last),) = pauses(audio)
    assert 52 <= first <= 54 and 72 <= last <= 74


@pytest.mark.parametrize("late", [-3, -1, 0, 2])
def test_lag_is_found(late: int) -> None:
    gap = np.convolve(np.random.default_rng(1).standard_normal(200), np.hanning(9), "same")
    assert lag_frames(np.roll(gap, late), gap) == pytest.approx(late, abs=0.2)


def test_a_closure_in_a_pause_that_the_aligner_missed_is_right() -> None:
    audio = NOISE.copy()
    audio[48_000 - 2 * 16_000 : 48_000 - 2 * 16_000 + 3_200] *= 1e-3  # 1.0 s to 1.2 s
    shut = np.zeros(COUNT, bool)
    shut[28:30] = True
    phones = [("AA", 0.0, 4.0)]
    assert SoundFrames(COUNT, phones, audio).closures(shut)[1] == [True]
    assert SoundFrames(COUNT, phones, NOISE).closures(shut)[1] == [False]


def test_what_is_delivered_has_the_layers_of_a_first_take() -> None:
    """Lips meet where they nearly do and in silence; what is open stays."""
    face = FaceModel.load()
    per_weight = gap_per_weight_mm(face)
    jaw = ARKIT_NAMES.index("jawOpen")
    weights = np.zeros((COUNT, len(ARKIT_NAMES)), np.float32)
    weights[:, jaw] = 6.0 / per_weight[jaw]
    weights[29:32, jaw] = 0.6 / per_weight[jaw]
    audio = 0.1 * NOISE
    audio[48_000:] = 0.0
    raw = motion_from_arkit(weights)
    gap = lip_gap_mm(face, arkit_from_motion(delivered(audio, raw, per_weight)))
    assert gap[30] < 0.3 and gap[90:].max() < 0.6 and gap[10:20] == pytest.approx(6.0, abs=0.1)
    short = delivered(audio[:-5000], raw, per_weight)
    assert short.shape == raw.shape
