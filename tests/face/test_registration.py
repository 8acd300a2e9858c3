# SPDX-License-Identifier: Apache-2.0
"""Identity of a mesh with another topology: close to the truth, or refused with a sentence."""

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.registration import (
    Surface,
    fit_other_topology,
    landmark_vertices,
    vertex_normals,
)

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURN *= np.linalg.det(TURN)


def moved(points: np.ndarray) -> np.ndarray:
    return 100.0 * points @ TURN.T + [1.0, 2.0, 3.0]


def other_topology(
    vertices: np.ndarray, triangles: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same surface with a vertex in every triangle, all in another order."""
    count = len(vertices)
    middle = count + np.arange(len(triangles))
    a, b, c = triangles.T
    split = [np.stack(corners, axis=1) for corners in ((a, b, middle), (b, c, middle))]
    split.append(np.stack((c, a, middle), axis=1))
    points = np.concatenate([vertices, vertices[triangles].mean(axis=1)])
    order = np.random.default_rng(seed).permutation(len(points))
    return points[order], np.argsort(order)[np.concatenate(split)]


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def somebody(face: FaceModel) -> np.ndarray:
    return face.shaped(np.random.default_rng(21).normal(size=300)).astype(np.float64)


def picked(face: FaceModel, person: np.ndarray, error_mm: float = 1.5) -> dict[int, np.ndarray]:
    """Landmarks as a hand picks them on the moved mesh."""
    random = np.random.default_rng(1)
    return {
        vertex: moved(person[vertex] + random.normal(0, error_mm / 1000, 3))
        for vertex in landmark_vertices(face).values()
    }


def test_a_face_of_another_topology_is_found(face: FaceModel, somebody: np.ndarray) -> None:
    mesh, triangles = other_topology(moved(somebody), face.faces, 5)
    fit = fit_other_topology(face, mesh, triangles, picked(face, somebody))
    off = 1000.0 * np.linalg.norm(face.shaped(fit.betas) - somebody, axis=1)[fit.rows]
    mean_face = 1000.0 * np.linalg.norm(face.v_template - somebody, axis=1)[fit.rows]
    assert off.mean() < 0.5 < 1.0 < mean_face.mean()
    assert fit.mean_mm < 0.2 and fit.max_mm < 2.0
    assert 0.5 < fit.landmarks_mm < 5.0, "landmarks were picked by hand and are not forced"
    assert fit.placement.scale == pytest.approx(0.01, rel=0.01)
    assert f"{fit.mean_mm:.2f} mm" in fit.sentence()


def test_what_is_not_a_face_is_refused(face: FaceModel, somebody: np.ndarray) -> None:
    """A ball with the landmarks of a face on it."""
    ball = somebody - somebody.mean(axis=0)
    ball = 0.1 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + somebody.mean(axis=0)
    with pytest.raises(LsfError, match="does not fit this mesh|do not lie as on a face"):
        fit_other_topology(face, moved(ball), face.faces, picked(face, ball))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("three", "3 landmarks are too few"),
        ("swapped", "do not lie as on a face"),
        ("nan landmark", "landmark has no position"),
        ("no such vertex", "names a vertex that the face does not have"),
        ("no triangles", "has no triangles"),
        ("bad triangle", "uses a vertex it does not have"),
        ("nan", "no position .NaN."),
    ],
)
def test_bad_input_is_named(
    face: FaceModel, somebody: np.ndarray, kind: str, sentence: str
) -> None:
    mesh, triangles, landmarks = moved(somebody), face.faces.copy(), picked(face, somebody)
    names = landmark_vertices(face)
    if kind == "three":
        landmarks = dict(list(landmarks.items())[:3])
    elif kind == "swapped":
        one, two = names["eye_outer_left"], names["chin"]
        landmarks[one], landmarks[two] = landmarks[two], landmarks[one]
    elif kind == "nan landmark":
        landmarks[names["chin"]] = np.array([0.0, np.nan, 0.0])
    elif kind == "no such vertex":
        landmarks[face.n_vertices] = np.zeros(3)
    elif kind == "no triangles":
        triangles = triangles[:0]
    elif kind == "bad triangle":
        triangles[3, 1] = len(mesh)
    else:
        mesh = mesh.copy()
        mesh[4] = np.nan
    with pytest.raises(LsfError, match=sentence) as caught:
        fit_other_topology(face, mesh, triangles, landmarks)
    assert caught.value.code == "identity_invalid"


def test_landmarks_lie_where_their_names_say(face: FaceModel) -> None:
    place = {name: face.v_template[vertex] for name, vertex in landmark_vertices(face).items()}
    for name in ("mouth", "eye_outer", "eye_inner"):
        left, right = place[f"{name}_left"], place[f"{name}_right"]
        assert left[0] > 0 > right[0]
        np.testing.assert_allclose(left * [-1, 1, 1], right, atol=1e-3)
    heights = [place[n][1] for n in ("chin", "mouth_left", "nose_tip", "eye_inner_left")]
    assert heights == sorted(heights)
    assert place["nose_tip"][2] == max(point[2] for point in place.values())


def test_surfaces_have_outward_unit_normals() -> None:
    corners = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    surface = Surface.of(corners, triangles)
    assert len(surface.points) == 4 + 4 * 4
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1.0)
    outward = ((surface.points - corners.mean(axis=0)) * surface.normals).sum(axis=1)
    assert (outward > 0).all()
    np.testing.assert_allclose(
        vertex_normals(corners, triangles)[3], -np.ones(3) / np.sqrt(3), atol=1e-12
    )
