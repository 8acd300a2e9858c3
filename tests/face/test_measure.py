# SPDX-License-Identifier: Apache-2.0
"""Millimetres of the mouth: the sparse measures against the whole mesh."""

import numpy as np
import pytest

from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.measure import lip_gap_mm, mouth_aperture_mm2, mouth_width_mm


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return FaceModel.load()


def weights(**values: float) -> np.ndarray:
    return np.array([[values.get(name, 0.0) for name in ARKIT_NAMES]], np.float32)


def test_a_resting_mouth_is_closed(head: FaceModel) -> None:
    betas = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    assert lip_gap_mm(head, weights())[0] == 0.0
    assert lip_gap_mm(head, weights(), betas)[0] == pytest.approx(0.0, abs=1e-3)
    assert mouth_aperture_mm2(head, weights())[0] == 0.0


def test_gap_and_width_are_those_of_the_whole_mesh(head: FaceModel) -> None:
    rng = np.random.default_rng(1)
    arkit = rng.random((5, 52)).astype(np.float32)
    betas = rng.standard_normal(300).astype(np.float32)
    upper, lower = head.regions["lips_upper_inner"], head.regions["lips_lower_inner"]
    middle = slice(len(upper) // 2 - 2, len(upper) // 2 + 3)
    full = head.arkit_vertices(arkit, betas)
    rest = head.shaped(betas)
    gap = full[:, upper[middle], 1] - full[:, lower[middle], 1]
    gap -= rest[upper[middle], 1] - rest[lower[middle], 1]
    np.testing.assert_allclose(lip_gap_mm(head, arkit, betas), 1000 * gap.mean(axis=1), atol=1e-2)
    width = np.linalg.norm(full[:, upper[0]] - full[:, upper[-1]], axis=-1)
    np.testing.assert_allclose(mouth_width_mm(head, arkit, betas), 1000 * width, atol=1e-2)


def test_the_measures_tell_mouth_shapes_apart(head: FaceModel) -> None:
    opened, smile, pucker = (
        weights(jawOpen=1.0),
        weights(mouthSmileLeft=1.0, mouthSmileRight=1.0),
        weights(mouthPucker=1.0),
    )
    assert 20 < lip_gap_mm(head, opened)[0] < 45
    half = lip_gap_mm(head, weights(jawOpen=0.5))[0]
    assert half == pytest.approx(0.5 * lip_gap_mm(head, opened)[0], rel=1e-4)
    rest = mouth_width_mm(head, weights())[0]
    assert 38 < rest < 60
    assert mouth_width_mm(head, pucker)[0] < rest - 5 < rest + 5 < mouth_width_mm(head, smile)[0]
    assert mouth_aperture_mm2(head, opened)[0] > 500


def test_many_frames_are_measured_at_once(head: FaceModel) -> None:
    arkit = np.random.default_rng(2).random((500, 52)).astype(np.float32)
    gap = lip_gap_mm(head, arkit)
    assert gap.shape == (500,)
    assert gap[123] == pytest.approx(lip_gap_mm(head, arkit[123:124])[0], abs=1e-3)
