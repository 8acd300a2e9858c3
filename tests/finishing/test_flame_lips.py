# SPDX-License-Identifier: Apache-2.0
"""The guards on faces in FLAME's format, judged in mm on meshes that ``FaceModel`` has posed."""

import dataclasses

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import EXPRESSION_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import motion_from_arkit
from lsf_backend.face.landmarks import lip_pairs
from lsf_backend.finishing import lips
from lsf_backend.finishing.flame_lips import FARTHEST, FlameLips
from lsf_backend.finishing.guards import FinishingReport, Guards
from lsf_backend.finishing.settings import FinishingSettings
from lsf_backend.finishing.speech import SpeechTrack
from tests.face.flame_disguise import mixing, write_disguise
from tests.finishing.talk import talk_levels, talk_weights

JAW = 50
LEVELS = talk_levels(800)
WEIGHTS, DIPS = talk_weights(LEVELS)
MOTION = motion_from_arkit(WEIGHTS).astype(np.float64)
MOTION[:, :50] = MOTION[:, :50] @ mixing()
MOTION[:, 51:] = np.random.default_rng(5).normal(0, 0.01, (len(MOTION), 2))
MOTION = MOTION.astype(np.float32)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    """The head in disguise, with pose correctives, and expressions that move the brows as well."""
    found = FaceModel.load(write_disguise(tmp_path_factory.mktemp("flame") / "flame2020.npz"))
    random = np.random.default_rng(1)
    bends = random.normal(0, 1e-4, found.posedirs.shape).astype(np.float32)
    mixed = np.eye(50) + random.normal(0, 0.05, (50, 50))
    shapes = found.shapedirs.copy()
    shapes[:, :, 300:350] = shapes[:, :, 300:350] @ mixed
    return dataclasses.replace(found, posedirs=bends, shapedirs=shapes)


def people(count: int) -> list[np.ndarray | None]:
    random = np.random.default_rng(7)
    return [None, *(random.normal(0, 0.7, 300).astype(np.float32) for _ in range(count - 1))]


def measured_mm(face: FaceModel, motion: np.ndarray, betas: np.ndarray | None) -> np.ndarray:
    """Gap of the lips of the posed mesh: [n] mm."""
    return gap_of(face, face.vertices(betas, motion[:, :50], motion[:, 50:]), betas)


def gap_of(face: FaceModel, posed: np.ndarray, betas: np.ndarray | None = None) -> np.ndarray:
    """Gap of the middle half of the lips of posed [n, V, 3] m, less that at rest: [n] mm."""
    upper, lower = lip_pairs(face)
    x = face.v_template[lower, 0]
    middle = np.abs(x - (x[0] + x[-1]) / 2) < (x[-1] - x[0]) / 4
    upper, lower = upper[middle], lower[middle]
    rest = face.shaped(betas)
    gap = posed[:, upper, 1] - posed[:, lower, 1] - (rest[upper, 1] - rest[lower, 1])
    return 1000.0 * gap.mean(axis=1)


@pytest.mark.parametrize("betas", people(2))
def test_without_a_jaw_bone_the_gap_is_that_of_the_keys(
    face: FaceModel, betas: np.ndarray | None
) -> None:
    """Keys add up: the neutral face with its jaw turned, and the expression on top."""
    random = np.random.default_rng(2)
    motion = random.normal(0, 0.4, (60, 53))
    motion[:, 50:] = random.normal(0, 0.2, (60, 3))
    stiff = dataclasses.replace(face, posedirs=0 * face.posedirs)
    jaw = motion * (np.arange(53) >= 50)
    lying = dataclasses.replace(face, weights=np.where(np.arange(5) == 2, 0, face.weights))
    posed = lying.vertices(betas, motion[:, :50], motion[:, 50:])
    posed = posed + stiff.vertices(betas, jaw[:, :50], jaw[:, 50:]) - face.shaped(betas)
    truth = gap_of(face, posed, betas)
    assert np.abs(truth - measured_mm(face, motion, betas)).max() > 1.0
    np.testing.assert_allclose(FlameLips(face, betas, True).gap_mm(motion), truth, atol=2e-3)


def guarded(
    face: FaceModel,
    betas: np.ndarray | None = None,
    motion: np.ndarray = MOTION,
    cuts: tuple[int, ...] = (),
    **strengths: float,
) -> tuple[np.ndarray, FinishingReport]:
    settings = dataclasses.replace(FinishingSettings.off(), near_mm=2.5, **strengths)
    guards = Guards(settings, SpeechTrack.from_levels(LEVELS), FlameLips(face, betas))
    parts = [guards.push(piece) for piece in np.split(motion, cuts)] + [guards.flush()]
    found = [part for part in parts if part is not None]
    starts = np.cumsum([0, *(len(part.motion) for part in found[:-1])])
    assert [part.first_frame for part in found] == starts.tolist()
    return np.concatenate([part.motion for part in found]).astype(np.float32), guards.report


def deep_silence() -> np.ndarray:
    active = SpeechTrack.from_levels(LEVELS).active(0, len(LEVELS))
    near = [np.roll(active, shift) for shift in range(-8, 9)]
    return ~np.any(near, axis=0)


@pytest.mark.parametrize("betas", people(3))
def test_the_gap_is_that_of_the_posed_mesh(face: FaceModel, betas: np.ndarray | None) -> None:
    random = np.random.default_rng(2)
    motion = random.normal(0, 0.4, (60, 53))
    motion[:, 50:] = random.normal(0, 0.2, (60, 3))
    truth = measured_mm(face, motion, betas)
    assert np.ptp(truth) > 20.0
    np.testing.assert_allclose(FlameLips(face, betas).gap_mm(motion), truth, atol=2e-3)


@pytest.mark.parametrize("betas", people(4))
def test_lips_meet_on_closures_and_in_silence(face: FaceModel, betas: np.ndarray | None) -> None:
    before = measured_mm(face, MOTION, betas)
    made, report = guarded(face, betas, closure=1.0)
    needy = DIPS[before[DIPS] <= 2.5]  # what comes so near is a closure
    assert len(needy) > 5 and (before[needy] > 0.5).mean() > 0.8, "there is something to do"
    after = measured_mm(face, made, betas)
    assert after[needy].max() < 0.21 and (after <= before + 1e-3).all()
    assert report.closures_tightened > 0.8 * len(needy) and report.left_open_mm < 0.01
    assert report.largest_change_mm == pytest.approx((before - after).max(), abs=0.01)

    made, report = guarded(face, betas, silence=1.0)
    silent = deep_silence()
    assert before[silent].max() > 0.8
    assert measured_mm(face, made, betas)[silent].max() < 0.51
    active = SpeechTrack.from_levels(LEVELS).active(0, len(LEVELS))
    np.testing.assert_array_equal(made[active], MOTION[active])
    assert f"{report.silent_frames_shut} silent frames" in " ".join(report.sentences())


def test_a_closure_takes_a_part_from_the_jaw_and_nothing_from_its_other_turns(
    face: FaceModel,
) -> None:
    made, _ = guarded(face, closure=1.0, silence=1.0)
    np.testing.assert_array_equal(made[:, 51:], MOTION[:, 51:])
    assert (made[:, JAW] <= MOTION[:, JAW]).all() and made[:, JAW].min() >= 0.0
    made, _ = guarded(face, closure=1.0)
    changed = (made != MOTION).any(axis=1)
    share = made[changed, JAW] / MOTION[changed, JAW]
    assert share.min() == pytest.approx(0.65, abs=1e-4), "the lips close over a jaw that stays"
    assert np.abs(made - MOTION)[:, :50].max() > 0.01


def test_what_needs_nothing_is_left_alone_to_the_bit(face: FaceModel) -> None:
    made, report = guarded(face, closure=1.0)
    gap = FlameLips(face).gap_mm(MOTION)
    near = np.zeros(len(MOTION), dtype=bool)
    for frame in np.flatnonzero(gap < 2.5):
        near[max(frame - 3, 0) : frame + 4] = True
    np.testing.assert_array_equal(made[~near], MOTION[~near])
    assert (~near).sum() > 200 and report.closures_tightened

    shut = MOTION.copy()
    shut[:, :50] = 0.0
    shut[:, JAW] = np.random.default_rng(3).uniform(-0.1, 0.0, len(shut))
    made, report = guarded(face, motion=shut, closure=1.0, silence=1.0)
    np.testing.assert_array_equal(made, shut)
    assert report.sentences() == []


def test_strength_zero_is_off_and_half_is_half(face: FaceModel) -> None:
    made, report = guarded(face)
    np.testing.assert_array_equal(made, MOTION)
    assert report.sentences() == []
    lips_of = FlameLips(face)
    before, silent = lips_of.gap_mm(MOTION), deep_silence()
    half = lips_of.gap_mm(guarded(face, silence=0.5)[0])
    wide = silent & (before > 0.5)
    np.testing.assert_allclose(half[wide], 0.5 * before[wide] + 0.25, atol=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_chunks_cut_anywhere_give_the_same_frames(face: FaceModel, seed: int) -> None:
    whole, told = guarded(face, smoothing=0.5, closure=1.0, silence=1.0)
    cuts = np.random.default_rng(seed).integers(0, len(MOTION), 5 + 60 * seed)
    parts, again = guarded(
        face, cuts=tuple(sorted(cuts.tolist())), smoothing=0.5, closure=1.0, silence=1.0
    )
    np.testing.assert_array_equal(parts, whole)
    assert again.sentences() == told.sentences() != []


def test_no_frame_jumps(face: FaceModel) -> None:
    """The gap moves by no more than it did, and what the pull's own slope adds."""
    lips_of = FlameLips(face)
    before = lips_of.gap_mm(MOTION)
    after = lips_of.gap_mm(guarded(face, closure=1.0)[0])
    wide = np.pad(before, lips.CLOSURE_CONTEXT_FRAMES, mode="edge")
    pull, _ = lips.closure_pull(wide, None, 2.5)
    over = np.maximum(before - 0.2, 0.0)
    slope = np.abs(np.diff(pull)) * np.maximum(over[1:], over[:-1])
    assert (np.abs(np.diff(after)) <= np.abs(np.diff(before)) + slope + 0.01).all()
    assert np.abs(np.diff(before)).max() > 1.0
    # Nor does the way there: coefficients follow a target that slides from open to shut.
    motion = np.repeat(MOTION[DIPS[0] + 5][None], 200, axis=0)
    open_mm = lips_of.gap_mm(motion)[0]
    for jaw_stays in (True, False):
        made = lips_of.closed(motion, np.linspace(open_mm, -1.0, 200), jaw_stays)
        steps = np.abs(np.diff(made, axis=0))
        size_mm = (open_mm + 1.0) / 199
        assert steps[:, JAW].max() < 0.06 * size_mm and steps[:, :50].max() < 0.06 * size_mm


def test_the_brows_stay_while_the_lips_close(face: FaceModel) -> None:
    """Of a face whose coefficients raise the brows wherever they open the mouth."""
    directions = face.shapedirs[:, :, 300:350]
    opening_mm = FlameLips(face).gap_mm(np.eye(53))[:50]
    brows = directions @ mixing().T[:, EXPRESSION_NAMES.index("browInnerUp")]
    shapes = face.shapedirs.copy()
    shapes[:, :, 300:350] += brows[:, :, None] * opening_mm / 15.0
    linked = dataclasses.replace(face, shapedirs=shapes)
    lips_of = FlameLips(linked)
    opened = np.zeros((1, 53))
    opened[0, opening_mm.argmax()] = 3.0 / opening_mm.max()
    made = lips_of.closed(opened, np.zeros(1), True)
    assert lips_of.gap_mm(made)[0] == pytest.approx(0.0, abs=1e-3)
    posed = linked.vertices(None, *np.split(np.concatenate([opened, made]), [50], axis=1))
    moved_mm = 1000.0 * np.linalg.norm(posed[1] - posed[0], axis=1)
    brow = np.linalg.norm(brows, axis=1)
    assert moved_mm.max() > 2.5
    assert moved_mm[brow > 0.5 * brow.max()].max() < 0.3


def test_a_jaw_that_is_shut_is_not_opened(face: FaceModel) -> None:
    opened = np.zeros((1, 53))
    opened[0, FlameLips(face).gap_mm(np.eye(53))[:50].argmax()] = 0.3
    opened[0, JAW] = -0.02
    for jaw_stays in (True, False):
        made = FlameLips(face).closed(opened, np.zeros(1), jaw_stays)
        assert made[0, JAW] == opened[0, JAW] and (made != opened).any()


def test_a_face_that_cannot_close_is_told_and_stays_a_face(face: FaceModel) -> None:
    weak = face.shapedirs.copy()
    weak[:, :, 300:350] *= 1e-3
    weak[:, :, 300] = 0.0
    upper, _ = lip_pairs(face)
    weak[upper, 1, 300] = 0.001  # 1 mm per unit, and nothing else opens
    stiff = dataclasses.replace(face, shapedirs=weak)
    motion = np.zeros_like(MOTION)
    motion[:, 0] = 9.0
    made, report = guarded(stiff, motion=motion, silence=1.0)
    assert np.linalg.norm(made - motion, axis=1).max() < FARTHEST + 1e-3
    assert 5.0 < report.left_open_mm < 6.5
    assert f"up to {report.left_open_mm:.1f} mm farther apart" in report.sentences()[-1]


def test_a_face_without_lips_is_refused_in_a_sentence(face: FaceModel) -> None:
    still = dataclasses.replace(face, weights=np.eye(5, dtype=np.float32)[[0] * face.n_vertices])
    with pytest.raises(LsfError, match="turns with its jaw"):
        FlameLips(still)
