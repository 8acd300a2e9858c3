# SPDX-License-Identifier: Apache-2.0
"""Guards and smoothing, judged in mm on the bundled head's mesh, and the whole chain in chunks."""

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import motion_from_arkit
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.finishing.finisher import Finisher, finish, joined
from lsf_backend.finishing.lips import closed_lips, gap_mm, gap_per_weight_mm
from lsf_backend.finishing.settings import FinishingSettings
from lsf_backend.finishing.smoothing import jitter_mm
from lsf_backend.finishing.speech import SpeechTrack
from tests.finishing.talk import talk_levels, talk_weights

JAW, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")
LEVELS = talk_levels(1000)
SPEECH = SpeechTrack.from_levels(LEVELS)
WEIGHTS, DIPS = talk_weights(LEVELS)
LAYERS = ("head_rad", "eyes_rad", "breath")


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def per_weight(face: FaceModel) -> np.ndarray:
    return gap_per_weight_mm(face)


def only(**values: float) -> FinishingSettings:
    # These lips close loosely: more counts as a closure than by default.
    return FinishingSettings.from_dict(
        {**FinishingSettings.off().to_dict(), "near_mm": 2.5, **values}
    )


def test_the_linear_gap_is_the_gap_of_the_mesh(face: FaceModel, per_weight: np.ndarray) -> None:
    weights = np.random.default_rng(0).random((20, 52)) * 0.5
    np.testing.assert_allclose(gap_mm(weights, per_weight), lip_gap_mm(face, weights), atol=1e-3)


def test_lips_meet_at_every_closure(face: FaceModel, per_weight: np.ndarray) -> None:
    before = lip_gap_mm(face, WEIGHTS)
    assert (before[DIPS] > 0.5).mean() > 0.9, "the made-up talk must be in need of the guard"
    done, report = finish(WEIGHTS, only(closure=1.0), 0, SPEECH, per_weight)
    after = lip_gap_mm(face, done.weights)
    assert after[DIPS].max() < 0.25
    assert report.closures >= len(DIPS) and report.closures_tightened > 0.9 * len(DIPS)
    assert "closures" in report.sentences()[0]


def test_by_default_the_lips_of_n_and_l_stay_apart(per_weight: np.ndarray) -> None:
    """Sounds made behind the lips bring them near each other; p, b, m leave less than 1 mm."""
    weights = np.zeros((80, 52))
    weights[:, JAW] = 6.0 / per_weight[JAW]
    for place, gap in ((20, 0.7), (50, 1.3)):
        weights[place, JAW] = gap / per_weight[JAW]
    speech = SpeechTrack.from_levels(np.full(80, -20.0))
    settings = only(closure=1.0, near_mm=FinishingSettings().near_mm)
    after = gap_mm(finish(weights, settings, 0, speech, per_weight)[0].weights, per_weight)
    assert after[20] < 0.25 and after[50] == pytest.approx(1.3, abs=1e-6)


def test_lips_of_other_faces_meet_too(face: FaceModel, per_weight: np.ndarray) -> None:
    """The skinned mesh of random people, with the jaw as a joint as the rig has it."""
    done, _ = finish(WEIGHTS, only(closure=1.0), 0, SPEECH, per_weight)
    upper, lower = face.regions["lips_upper_inner"], face.regions["lips_lower_inner"]
    middle = slice(4, 9)
    motion = motion_from_arkit(done.weights[DIPS])
    for seed in range(3):
        betas = np.random.default_rng(seed).normal(0, 0.7, 300)
        posed = face.vertices(betas, motion[:, :50], motion[:, 50:])
        rest = face.shaped(betas)
        gap = posed[:, upper[middle], 1] - posed[:, lower[middle], 1]
        closed = rest[upper[middle], 1] - rest[lower[middle], 1]
        assert np.abs((gap - closed).mean(axis=1) * 1000.0).max() < 1.5


def test_the_closure_guard_leaves_open_vowels_alone(per_weight: np.ndarray) -> None:
    done, _ = finish(WEIGHTS, only(closure=1.0), 0, SPEECH, per_weight)
    near = np.zeros(len(WEIGHTS), dtype=bool)
    changed = np.abs(done.weights - WEIGHTS).max(axis=1) > 1e-6
    gap = gap_mm(WEIGHTS, per_weight)
    for frame in np.flatnonzero(gap < 2.5):
        near[max(frame - 3, 0) : frame + 4] = True
    assert not changed[~near].any()
    assert changed[DIPS].all()


def test_closures_that_the_engine_knows_are_used(face: FaceModel, per_weight: np.ndarray) -> None:
    weights = np.zeros((60, 52))
    weights[:, JAW] = 0.3
    closures = np.zeros(60)
    closures[30] = 0.9
    done, _ = finish(weights, only(closure=1.0), 0, SPEECH, per_weight, closures)
    gap = lip_gap_mm(face, done.weights)
    assert gap[30] < 0.25
    assert gap[26] == pytest.approx(0.3 * per_weight[JAW], abs=0.01) == gap[34]
    assert (np.diff(gap[26:31]) < 0).all() and (np.diff(gap[30:35]) > 0).all()
    assert done.weights[30, JAW] > 0.15, "the lips close over a jaw that stays part open"
    assert done.weights[30, CLOSE] > 0.1
    half, _ = finish(weights, only(closure=0.5), 0, SPEECH, per_weight, closures)
    assert lip_gap_mm(face, half.weights)[30] == pytest.approx(gap[26] / 2, rel=0.1)


def test_the_mouth_is_shut_in_silence_and_free_in_speech(
    face: FaceModel, per_weight: np.ndarray
) -> None:
    done, report = finish(WEIGHTS, only(silence=1.0), 0, SPEECH, per_weight)
    active = SPEECH.active(0, 1000)
    deep = ~active
    for shift in range(1, 9):
        deep[shift:] &= ~active[:-shift]
        deep[:-shift] &= ~active[shift:]
    after = lip_gap_mm(face, done.weights)
    assert lip_gap_mm(face, WEIGHTS)[deep].max() > 0.9
    assert after[deep].max() < 0.55
    np.testing.assert_array_equal(done.weights[active], WEIGHTS[active].astype(np.float32))
    smile = ARKIT_NAMES.index("mouthSmileLeft")
    np.testing.assert_allclose(done.weights[:, smile], WEIGHTS[:, smile], atol=1e-6)
    assert report.silent_frames_shut > 50


@pytest.mark.parametrize("jaw_stays", [True, False])
def test_any_gap_can_be_closed_and_weights_stay_in_range(
    face: FaceModel, per_weight: np.ndarray, jaw_stays: bool
) -> None:
    weights = np.random.default_rng(3).random((200, 52)) ** 2
    gap = gap_mm(weights, per_weight)
    target = np.where(np.arange(200) % 2, 0.2, gap)
    out = closed_lips(weights, per_weight, target, jaw_stays)
    assert 0.0 <= out.min() and out.max() <= 1.0
    assert (lip_gap_mm(face, out) <= np.maximum(target, np.minimum(gap, 0.2)) + 1e-3).all()
    np.testing.assert_array_equal(out[::2], weights[::2])


def test_smoothing_takes_jitter_and_keeps_closures(per_weight: np.ndarray) -> None:
    done, report = finish(WEIGHTS, only(smoothing=1.0), 0, SPEECH, per_weight)
    still = np.full((200, 52), 0.3) + np.random.default_rng(0).normal(0, 0.02, (200, 52))
    calm, _ = finish(still, only(smoothing=1.0), 0, SPEECH, per_weight)
    noise = jitter_mm(gap_mm(still, per_weight))
    assert jitter_mm(gap_mm(calm.weights, per_weight)) < 0.35 * noise
    assert report.jitter_after_mm < report.jitter_before_mm
    gap = gap_mm(WEIGHTS, per_weight)
    expected = jitter_mm(gap)
    assert report.jitter_before_mm == pytest.approx(expected, rel=1e-6)
    shift = np.correlate(gap_mm(done.weights, per_weight)[100:900], gap[95:905])
    assert shift.argmax() == 5, "no delay"


def test_nothing_is_changed_when_all_is_off(per_weight: np.ndarray) -> None:
    done, report = finish(WEIGHTS, FinishingSettings.off(), 0, SPEECH, per_weight)
    np.testing.assert_array_equal(done.weights, WEIGHTS.astype(np.float32))
    assert not any(getattr(done.layers, name).any() for name in LAYERS)
    assert report.sentences() == []


@pytest.mark.parametrize("layer", ["blinks", "gaze", "head", "breathing"])
def test_a_layer_is_off_at_zero_and_grows_with_its_strength(layer: str) -> None:
    still = np.zeros((1000, 52))
    sizes = []
    for strength in (0.0, 0.5, 1.0):
        done, _ = finish(still, only(**{layer: strength}), 3, SPEECH, None)
        parts = [done.weights, done.layers.head_rad, done.layers.eyes_rad, done.layers.breath]
        sizes.append(sum(float(np.abs(part).sum()) for part in parts))
    assert sizes[0] == 0.0
    assert sizes[1] == pytest.approx(sizes[2] / 2, rel=0.1)


def test_the_eyes_stay_on_their_target_while_the_head_moves() -> None:
    still = np.zeros((1000, 52))
    alone, _ = finish(still, only(gaze=1.0), 3, SPEECH, None)
    moving, _ = finish(still, only(gaze=1.0, head=1.0), 3, SPEECH, None)
    eyes = moving.layers.eyes_rad + moving.layers.head_rad[:, :2]
    np.testing.assert_allclose(eyes, alone.layers.eyes_rad, atol=1e-6)


def test_a_blink_of_the_engine_is_kept() -> None:
    weights = np.zeros((300, 52))
    weights[100:103, 0] = 1.0
    done, _ = finish(weights, only(blinks=1.0), 1, SPEECH, None)
    assert (done.weights[100:103, 0] == 1.0).all()
    assert (done.weights[:, 0] >= weights[:, 0]).all()


def test_chunks_cut_anywhere_give_the_same_frames(per_weight: np.ndarray) -> None:
    settings = FinishingSettings()
    closures = (np.random.default_rng(4).random(1000) < 0.03).astype(float)
    whole, whole_report = finish(WEIGHTS, settings, 9, SPEECH, per_weight, closures)
    for seed in range(3):
        random = np.random.default_rng(seed)
        finisher = Finisher(settings, 9, SpeechTrack.from_levels(LEVELS), per_weight)
        parts, frame = [], 0
        while frame < 1000:
            count = int(random.integers(0, 120)) if seed or frame < 850 else 1
            piece = slice(frame, frame + count)
            parts.append(finisher.push(WEIGHTS[piece], closures[piece]))
            frame += count
        parts.append(finisher.flush())
        kept = [part for part in parts if part is not None]
        assert [part.first_frame for part in kept] == np.cumsum(
            [0, *(len(part.weights) for part in kept[:-1])]
        ).tolist()
        result = joined(kept)
        np.testing.assert_array_equal(result.weights, whole.weights)
        for name in LAYERS:
            found, wanted = getattr(result.layers, name), getattr(whole.layers, name)
            np.testing.assert_array_equal(found, wanted, err_msg=name)
        assert finisher.report.closures_tightened == whole_report.closures_tightened
        assert finisher.report.jitter_after_mm == pytest.approx(whole_report.jitter_after_mm)


@pytest.mark.parametrize("frames", [1, 2, 5, 12])
def test_the_shortest_takes_pass(frames: int, per_weight: np.ndarray) -> None:
    done, _ = finish(WEIGHTS[:frames], FinishingSettings(), 0, SPEECH, per_weight)
    assert done.weights.shape == (frames, 52) and done.layers.head_rad.shape == (frames, 3)
    assert np.isfinite(done.weights).all()


def test_an_empty_take_is_empty(per_weight: np.ndarray) -> None:
    done, report = finish(WEIGHTS[:0], FinishingSettings(), 0, SPEECH, per_weight)
    assert done.weights.shape == (0, 52) and report.frames == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gaze": 3.0}, "gaze = 3.0; it must be from 0 to 2"),
        ({"blinks": -0.1}, "blinks"),
        ({"closed_mm": float("nan")}, "closed_mm"),
        ({"smoothing": "much"}, "smoothing = 'much'"),
        ({"smoothing": True}, "smoothing"),
        ({"eyes": 1.0}, "no setting 'eyes'"),
    ],
)
def test_settings_out_of_range_are_named(values: dict, sentence: str) -> None:
    with pytest.raises(LsfError, match=sentence) as caught:
        FinishingSettings.from_dict(values)
    assert caught.value.code == "request_invalid"


def test_settings_survive_json() -> None:
    settings = FinishingSettings(gaze=0.25, near_mm=1.0)
    assert FinishingSettings.from_dict(settings.to_dict()) == settings
