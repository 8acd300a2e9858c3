# SPDX-License-Identifier: Apache-2.0
"""FLAME <-> ARKit by geometry, on a face that is the head in disguise: other topology, size and

place, and 50 signed expression coefficients that mix the head's shapes as FLAME's components do.
"""

import dataclasses

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES, JAW_NAMES
from lsf_backend.face.box_solve import solve_weights
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import motion_from_arkit
from lsf_backend.face.identity import Similarity
from lsf_backend.face.registration import RegistrationFit, _outside
from lsf_backend.face.transfer import (
    CarriedShapes,
    arkit_from_flame,
    carry_shapes,
    flame_from_arkit,
)

SIZE, SHIFT = 1.05, np.array([0.01, 0.2, -0.03])


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def mixing() -> np.ndarray:
    """[50, 50] orthogonal: coefficients of the disguise -> the head's expression coefficients."""
    return np.linalg.qr(np.random.default_rng(2).normal(size=(50, 50)))[0]


@pytest.fixture(scope="module")
def flame(head: FaceModel, mixing: np.ndarray) -> FaceModel:
    """The head's outside with a vertex in every triangle, in another order, size and place."""
    regressed = np.flatnonzero(np.abs(head.j_regressor).sum(axis=0) > 0)
    kept = np.union1d(_outside(head), regressed)
    corners = head.faces[np.isin(head.faces, _outside(head)).all(axis=1)]
    corners = np.searchsorted(kept, corners)
    count, middle = len(kept), len(kept) + np.arange(len(corners))
    a, b, c = corners.T
    sides = ((a, b, middle), (b, c, middle), (c, a, middle))
    split = np.concatenate([np.stack(corner, axis=1) for corner in sides])
    order = np.random.default_rng(0).permutation(count + len(corners))

    def carried(values: np.ndarray) -> np.ndarray:
        whole = np.concatenate([values[kept], values[kept][corners].mean(axis=1)])
        return whole[order].astype(np.float32)

    shapedirs = np.zeros_like(head.shapedirs)
    shapedirs[:, :, 300:350] = head.shapedirs[:, :, 300:350] @ mixing
    regressor = np.concatenate([head.j_regressor[:, kept], np.zeros((5, len(corners)))], axis=1)
    return dataclasses.replace(
        head,
        v_template=(SIZE * carried(head.v_template) + SHIFT).astype(np.float32),
        shapedirs=SIZE * carried(shapedirs),
        posedirs=SIZE * carried(head.posedirs),
        weights=carried(head.weights),
        j_regressor=regressor[:, order].astype(np.float32),
        faces=np.argsort(order)[split],
        jaw_shapes=None,
        regions={},
        extras={},
    )


@pytest.fixture(scope="module")
def carried(head: FaceModel, flame: FaceModel) -> CarriedShapes:
    placement = Similarity(1 / SIZE, np.eye(3), -SHIFT / SIZE)
    fit = RegistrationFit(np.zeros(300, np.float32), 0, 0, 0, placement, _outside(head))
    return carry_shapes(head, fit, flame)


def speech(frames: int = 24) -> np.ndarray:
    """ARKit weights [T, 52] of a talking face: some shapes at a time, jaw to one side only."""
    random = np.random.default_rng(3)
    time = np.arange(frames)[:, None] / 25.0
    weights = 0.5 * np.sin(2 * np.pi * random.uniform(0.4, 3, 52) * time + random.uniform(0, 6, 52))
    weights = np.clip(weights, 0, 1)
    for name in ("tongueOut", "jawLeft", *(n for n in ARKIT_NAMES if n.startswith("eyeLook"))):
        weights[:, ARKIT_NAMES.index(name)] = 0.0
    return weights


def disguised(weights: np.ndarray, mixing: np.ndarray) -> np.ndarray:
    """The same motion in the disguise's coefficients: [T, 52] -> [T, 53]."""
    motion = motion_from_arkit(weights).astype(np.float64)
    motion[:, :50] = motion[:, :50] @ mixing  # orthogonal: its inverse is its transpose
    return motion


def test_shapes_are_carried_to_the_millimetre(
    head: FaceModel, flame: FaceModel, carried: CarriedShapes, mixing: np.ndarray
) -> None:
    pucker = ARKIT_NAMES.index("mouthPucker")
    motion = disguised(np.eye(52)[[pucker]], mixing)
    posed = flame.vertices(None, motion[:, :50], motion[:, 50:])[0, carried.rows]
    made = flame.v_template[carried.rows] + carried.shapes[pucker]
    off = 1000 * np.linalg.norm(posed - made, axis=1)
    assert len(carried.rows) > 1000
    assert off.mean() < 0.02 and np.percentile(off, 99.5) < 0.1


def test_flame_motion_becomes_arkit_weights(
    flame: FaceModel, carried: CarriedShapes, mixing: np.ndarray
) -> None:
    truth = speech()
    found, error = arkit_from_flame(carried, flame, disguised(truth, mixing), calm=0.0)
    assert found.min() >= 0.0 and found.max() <= 1.0
    assert error.mean_mm < 0.15 < 1.0 < error.moved_mm
    assert f"{error.mean_mm:.2f} mm" in error.sentence()
    jaw = ARKIT_NAMES.index("jawOpen")
    assert np.abs(found[:, jaw] - truth[:, jaw]).mean() < 0.03


def test_arkit_weights_become_flame_motion(
    head: FaceModel, flame: FaceModel, carried: CarriedShapes, mixing: np.ndarray
) -> None:
    truth = speech()
    motion, error = flame_from_arkit(carried, flame, truth, prior=1e-4)
    assert motion.shape == (24, 53)
    assert error.mean_mm < 0.5
    again, _ = arkit_from_flame(carried, flame, motion, calm=0.0)
    jaw = [ARKIT_NAMES.index(name) for name in JAW_NAMES]
    assert np.abs(again[:, jaw] - truth[:, jaw]).mean() < 0.05
    expected = disguised(truth, mixing)
    assert np.abs(motion[:, 50] - expected[:, 50]).mean() < 0.03


def test_calm_weights_change_less(
    flame: FaceModel, carried: CarriedShapes, mixing: np.ndarray
) -> None:
    motion = disguised(speech(), mixing)
    motion[:, :50] += np.random.default_rng(1).normal(0, 0.03, (24, 50))
    rough, _ = arkit_from_flame(carried, flame, motion, calm=0.0)
    calm, _ = arkit_from_flame(carried, flame, motion, calm=0.5)
    assert np.abs(np.diff(calm, 2, axis=0)).mean() < 0.6 * np.abs(np.diff(rough, 2, axis=0)).mean()


def test_a_face_elsewhere_is_refused(head: FaceModel, flame: FaceModel) -> None:
    away = Similarity(1.0, np.eye(3), np.array([1.0, 0.0, 0.0]))
    fit = RegistrationFit(np.zeros(300, np.float32), 0, 0, 0, away, _outside(head))
    with pytest.raises(LsfError, match="Only 0 vertices"):
        carry_shapes(head, fit, flame)


@pytest.mark.parametrize("motion", [np.zeros((3, 52)), np.full((3, 53), np.nan), np.zeros(53)])
def test_motion_of_another_kind_is_refused(
    flame: FaceModel, carried: CarriedShapes, motion: np.ndarray
) -> None:
    with pytest.raises(LsfError, match="Motion must be finite"):
        arkit_from_flame(carried, flame, motion)


def test_no_frames_are_no_frames(flame: FaceModel, carried: CarriedShapes) -> None:
    weights, error = arkit_from_flame(carried, flame, np.zeros((0, 53)))
    assert weights.shape == (0, 52) and error.mean_mm == 0.0


def test_the_box_solve_meets_its_conditions() -> None:
    random = np.random.default_rng(0)
    shapes = random.normal(size=(12, 40))
    gram, right = shapes @ shapes.T, random.normal(0, 20, (30, 12))
    low, high = np.full(12, -0.5), np.linspace(0.5, 1.5, 12)
    found = solve_weights(gram, right, 0.5, low, high, rounds=4000, tolerance=1e-10)
    slope = found @ gram - right
    change = 0.5 * np.diff(found, axis=0)
    slope[:-1] -= change
    slope[1:] += change
    at_low, at_high = found <= low + 1e-8, found >= high - 1e-8
    assert np.abs(slope[~at_low & ~at_high]).max() < 1e-3
    assert slope[at_low].min() > -1e-3 and slope[at_high].max() < 1e-3
