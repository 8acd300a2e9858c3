# SPDX-License-Identifier: Apache-2.0
"""Identity from a mesh: exact without noise, under half a millimetre with 1 % of it."""

import dataclasses

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.identity import align, fit_identity

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURN *= np.linalg.det(TURN)


def part_of(face: FaceModel, rows: np.ndarray) -> FaceModel:
    """The face with some of its vertices only: enough to fit, and quick."""
    return dataclasses.replace(
        face,
        v_template=face.v_template[rows],
        shapedirs=face.shapedirs[rows],
        posedirs=face.posedirs[rows],
        weights=face.weights[rows],
        j_regressor=face.j_regressor[:, rows],
    )


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def face(head: FaceModel) -> FaceModel:
    return part_of(head, np.arange(0, head.n_vertices, 3))


@pytest.fixture(scope="module")
def flame_like(face: FaceModel) -> FaceModel:
    """A face whose identities differ in size, as FLAME's do, and which has no ARKit shapes."""
    shapedirs = face.shapedirs.copy()
    shapedirs[:, :, 0] += 0.03 * face.v_template
    return dataclasses.replace(face, shapedirs=shapedirs, jaw_shapes=None)


def person(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=300).astype(np.float32)


def mm(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return 1000.0 * np.linalg.norm(one - two, axis=1)


@pytest.mark.parametrize("unit", [1.0, 100.0, 0.37])
def test_a_sampled_face_gives_its_betas_wherever_it_lies(face: FaceModel, unit: float) -> None:
    betas = person(1)
    mesh = unit * face.shaped(betas) @ TURN.T + [3.0, -4.0, 5.0]
    fit = fit_identity(face, mesh)
    np.testing.assert_allclose(fit.betas, betas, atol=0.02)
    assert fit.max_mm < 0.01
    assert fit.placement.scale == pytest.approx(1 / unit, rel=1e-5)
    np.testing.assert_allclose(fit.placement.apply(mesh), face.shaped(betas), atol=1e-5)


def test_one_per_cent_of_noise_leaves_less_than_half_a_millimetre(head: FaceModel) -> None:
    """Noise of 2 mm in every coordinate, 1 % of the head's height, on faces never seen."""
    height = np.ptp(head.v_template[:, 1])
    for seed in (10, 11):
        betas = person(seed)
        noise = np.random.default_rng(seed).normal(0.0, 0.01 * height, head.v_template.shape)
        mesh = (head.shaped(betas) + noise) @ TURN.T * 100.0
        fit = fit_identity(head, mesh)
        error = mm(head.shaped(fit.betas), head.shaped(betas))
        assert error.mean() < 0.5
        assert fit.mean_mm == pytest.approx(1000 * 0.01 * height * 1.6, rel=0.1), "says the noise"
        assert np.abs(fit.betas).max() < 4.5


def test_the_errors_are_those_of_the_fitted_face(face: FaceModel) -> None:
    mesh = face.shaped(person(2)) + np.random.default_rng(0).normal(0, 5e-4, face.v_template.shape)
    fit = fit_identity(face, mesh)
    error = mm(fit.placement.apply(mesh), face.shaped(fit.betas))
    assert fit.mean_mm == pytest.approx(error.mean(), rel=1e-3)
    assert fit.max_mm == pytest.approx(error.max(), rel=1e-3)
    assert f"{error.mean():.2f} mm" in fit.sentence()


def test_horns_do_not_bend_the_rest(face: FaceModel) -> None:
    betas = person(3)
    mesh = face.shaped(betas).astype(np.float64)
    horns = np.argsort(mesh[:, 1])[-40:]
    mesh[horns, 1] += 0.05
    fit = fit_identity(face, mesh)
    rest = np.setdiff1d(np.arange(len(mesh)), horns)
    assert mm(face.shaped(fit.betas), face.shaped(betas))[rest].mean() < 0.3
    assert fit.max_mm > 30.0


def test_size_is_identity_in_flame_and_units_are_recognised(flame_like: FaceModel) -> None:
    betas = person(4)
    betas[0] = 2.0  # a head 6 % larger
    for unit in (1.0, 100.0):
        fit = fit_identity(flame_like, unit * flame_like.shaped(betas) @ TURN.T)
        np.testing.assert_allclose(fit.betas, betas, atol=0.03)
        assert fit.placement.scale == pytest.approx(1 / unit, rel=1e-9)
    with pytest.raises(LsfError, match="no unit of length"):
        fit_identity(flame_like, 3.0 * flame_like.shaped(betas))


def test_sizes_do_not_matter_to_the_bundled_head(face: FaceModel) -> None:
    one = fit_identity(face, face.shaped(person(5)))
    two = fit_identity(face, 1.06 * face.shaped(person(5)))
    np.testing.assert_allclose(one.betas, two.betas, atol=1e-2)


def broken(face: FaceModel, kind: str) -> np.ndarray:
    mesh = face.shaped(person(6)).astype(np.float64)
    if kind == "nan":
        mesh[[7, 9], 1] = np.nan
    elif kind == "infinite":
        mesh[3] = np.inf
    elif kind == "fewer":
        mesh = mesh[:-1]
    elif kind == "flat array":
        mesh = mesh.ravel()
    elif kind == "one point":
        mesh[:] = 1.0
    elif kind == "mirrored":
        mesh[:, 0] *= -1.0
    elif kind == "shuffled":
        mesh = np.random.default_rng(0).permutation(mesh)
    return mesh


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("nan", "2 vertices of the mesh have no position .NaN., first 7"),
        ("infinite", "first 3"),
        ("fewer", r"The mesh has [\d,]+ vertices, the face has [\d,]+\."),
        ("flat array", "must be points"),
        ("one point", "in one point"),
        ("mirrored", "mirrored"),
        ("shuffled", "mirrored|does not fit the face"),
    ],
)
def test_what_cannot_be_a_face_is_refused(face: FaceModel, kind: str, sentence: str) -> None:
    with pytest.raises(LsfError, match=sentence) as caught:
        fit_identity(face, broken(face, kind))
    assert caught.value.code == "identity_invalid"


def test_a_face_file_without_identities_says_so(face: FaceModel) -> None:
    plain = dataclasses.replace(face, shapedirs=np.zeros_like(face.shapedirs))
    with pytest.raises(LsfError, match="one identity only"):
        fit_identity(plain, face.v_template)


def test_alignment_is_exact_and_weighted() -> None:
    points = np.random.default_rng(0).normal(size=(30, 3))
    onto = 2.5 * points @ TURN.T + [1.0, 2.0, 3.0]
    found = align(points, onto)
    np.testing.assert_allclose(found.apply(points), onto, atol=1e-12)
    onto[0] += 50.0
    weights = np.ones(30)
    weights[0] = 0.0
    np.testing.assert_allclose(align(points, onto, weights).apply(points)[1:], onto[1:], atol=1e-12)
