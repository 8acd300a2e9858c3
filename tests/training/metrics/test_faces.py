# SPDX-License-Identifier: Apache-2.0
"""Metrics on the bundled head: its vertices, its regions, and its own measure of the lip gap."""

import numpy as np
import pytest

from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion, motion_from_arkit
from lsf_backend.face.measure import lip_gap_mm
from training.metrics import (
    Span,
    Truth,
    linear_basis,
    lip_gap,
    regions_of,
    score_clip,
    vertices_of,
)


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


def motion(t: int = 12, seed: int = 0) -> np.ndarray:
    return motion_from_arkit(np.random.default_rng(seed).uniform(0, 0.4, (t, 52)))


def test_samples_and_frames_keep_their_places(face: FaceModel) -> None:
    some = np.stack([motion(4, seed) for seed in range(3)])
    vertices = vertices_of(face)(some)
    assert vertices.shape == (3, 4, face.n_vertices, 3)
    alone = face.vertices(None, some[2, 1:2, :50], some[2, 1:2, 50:])
    assert np.allclose(vertices[2, 1], alone[0], atol=1e-7)


def test_lip_gap_is_the_one_of_the_face_room(face: FaceModel) -> None:
    some = motion(40)
    ours = lip_gap(vertices_of(face)(some[None])[0], regions_of(face), face.v_template) * 1e3
    theirs = np.maximum(lip_gap_mm(face, arkit_from_motion(some)), 0.0)
    assert theirs.max() > 3.0
    # They take the shape keys' straight lines, we the turning jaw.
    assert ours == pytest.approx(theirs, abs=0.6)


def test_an_open_jaw_is_a_lip_and_jaw_error_but_none_of_the_brows(face: FaceModel) -> None:
    still, regions = np.zeros((30, 53), np.float32), regions_of(face)
    opened = still.copy()
    opened[:, 50] = 0.1
    truth = Truth("a", "M003", "happy", still, (Span(5, 9),), np.arange(30) > 20)
    generator = np.random.default_rng(0)
    values = score_clip(truth, opened[None], vertices_of(face), regions, generator).values
    assert values["region_lips"] > 2e-3 and values["region_jaw"] > 2e-3
    assert values["region_brows"] < 1e-4 and values["lve"] > values["region_lips"] ** 2
    assert values["closure_error"] == values["closure_gap"] > 3e-3
    assert values["silence_error"] == pytest.approx(values["closure_gap"])
    assert set(regions.named) == {"lips", "brows", "jaw", "lids"}


def test_all_scores_are_their_definitions_written_out(face: FaceModel) -> None:
    """The six published ones on whole arrays in float64, beside the stream's."""
    regions, vertices = regions_of(face), vertices_of(face)
    motions = np.stack([motion(23, seed) for seed in range(7)]).astype(np.float32)
    clip = Truth("a", "M003", "happy", motions[0])
    found = score_clip(
        clip, motions[1:], vertices, regions, np.random.default_rng(5), block_bytes=2**21
    ).values
    true, *drawn = (vertices(row[None])[0].astype(np.float64) for row in motions)
    samples = np.stack(drawn)

    def length(x: np.ndarray) -> np.ndarray:
        return np.linalg.norm(x, axis=-1)

    def lve(x: np.ndarray) -> float:
        return float((length(x - true)[:, regions.lips] ** 2).max(axis=1).mean())

    def spread(x: np.ndarray) -> np.ndarray:
        return (length(x - face.v_template)[:, regions.upper_face] ** 2).std(axis=0)

    order = np.random.default_rng(5).permutation(6)
    expected = {
        "mve": length(samples[0] - true).mean(),
        "lve": lve(samples[0]),
        "fdd": (spread(true) - spread(samples[0])).mean(),
        "mee": lve(samples.mean(axis=0)),
        "ce": min(lve(sample) for sample in samples),
        "diversity": length(samples[order[:3]] - samples[order[3:]]).mean(),
        "region_lips": length(samples[0] - true)[:, regions.lips].mean(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=2e-5), name
    assert found["ce"] < found["lve"] and found["mee"] < found["lve"]


def test_linear_basis_predicts_small_movements(face: FaceModel) -> None:
    vertices = vertices_of(face)
    basis = linear_basis(vertices)
    small = motion(3) * 0.1
    predicted = (small @ basis).reshape(3, -1, 3) + face.v_template
    moved = vertices(small[None])[0]
    error = np.linalg.norm(predicted - moved, axis=-1).max()
    assert error < 0.05 * np.linalg.norm(moved - face.v_template, axis=-1).max()
