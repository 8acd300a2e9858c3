# SPDX-License-Identifier: Apache-2.0
"""The bundled head as a user gets it: shapes, identities, lids, lips, materials, size."""

import json

import numpy as np
import pytest

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.face.face_model import BUNDLED_HEAD, FaceModel
from lsf_backend.face.head_space import motion_from_arkit

COLUMN = {name: number for number, name in enumerate(ARKIT_NAMES)}
SIDES = ("left", "right")


@pytest.fixture(scope="module")
def head() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def people(head: FaceModel) -> np.ndarray:
    """Fifty random faces [50, V, 3] m."""
    betas = np.random.default_rng(50).standard_normal((50, 300)).astype(np.float32)
    return np.stack([head.shaped(row) for row in betas])


def skinned(head: FaceModel, weights: np.ndarray) -> np.ndarray:
    motion = motion_from_arkit(weights)
    return head.vertices(None, motion[:, :50], motion[:, 50:])


def weights(**values: float) -> np.ndarray:
    return np.array([[values.get(name, 0.0) for name in ARKIT_NAMES]], np.float32)


def distance_mm(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 1000.0 * np.linalg.norm(a - b, axis=-1)


def test_it_is_small_enough_for_the_repository() -> None:
    assert BUNDLED_HEAD.stat().st_size < 12 * 2**20


def test_names_are_exactly_arkits(head: FaceModel) -> None:
    assert tuple(head.extras["arkit_names"].tolist()) == ARKIT_NAMES
    assert tuple(head.extras["expression_names"].tolist()) == EXPRESSION_NAMES


def test_skinning_gives_arkits_52_shapes_at_full_weight(head: FaceModel) -> None:
    full = np.eye(52, dtype=np.float32)
    shapes = head.arkit_vertices(full)
    error = distance_mm(skinned(head, full), shapes).max(axis=1)
    assert error.max() < 1.0, ARKIT_NAMES[int(error.argmax())]
    assert error[COLUMN["jawOpen"]] < 0.1
    moved = distance_mm(shapes, head.v_template).max(axis=1)
    assert moved.min() > 2.0, f"{ARKIT_NAMES[int(moved.argmin())]} hardly moves"


def test_skinning_equals_shape_keys_at_any_weights(head: FaceModel) -> None:
    mixed = np.random.default_rng(3).random((30, 52)).astype(np.float32)
    mixed[::2, COLUMN["jawLeft"]] = mixed[1::2, COLUMN["jawRight"]] = 0.0
    assert distance_mm(skinned(head, mixed), head.arkit_vertices(mixed)).max() < 1.0
    mixed[:, [COLUMN["jawLeft"], COLUMN["jawRight"]]] = 0.0
    assert distance_mm(skinned(head, mixed), head.arkit_vertices(mixed)).max() < 0.1


def test_shapes_move_what_their_names_say(head: FaceModel) -> None:
    shapes = dict(zip(ARKIT_NAMES, head.arkit_shapes(), strict=True))
    for name, shape in shapes.items():
        side = {"Left": 1.0, "ight": -1.0}.get(name[-4:])
        if side and name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            share = np.linalg.norm(shape, axis=1)
            assert side * (share * head.v_template[:, 0]).sum() > 0, name
    for pair in ("jaw", "mouth"):
        assert shapes[f"{pair}Left"][:, 0].sum() > 0 > shapes[f"{pair}Right"][:, 0].sum()
    jaw = head.regions["jaw"]
    assert shapes["jawOpen"][jaw, 1].mean() < -0.01
    assert shapes["tongueOut"][:, 2].max() > 0.02


def test_lids_close_and_stay_clear_of_the_eyeball(head: FaceModel, people: np.ndarray) -> None:
    eyes = np.isin(head.extras["material_names"], ("sclera", "limbus", "iris", "pupil"))
    corners = head.extras["polygons"][eyes[head.extras["polygon_material"]]]
    ball = np.unique(corners[corners >= 0])
    for row, side in ((3, "left"), (4, "right")):
        name = f"eyeBlink{side.capitalize()}"
        upper, lower = (head.regions[f"lid_rim_{lid}_{side}"] for lid in ("upper", "lower"))
        blink = head.arkit_shapes()[COLUMN[name]]
        gap = 1000 * (people + blink)[:, upper, 1] - 1000 * (people + blink)[:, lower, 1]
        assert gap.max() < 0.6, "a face's eye stays open"
        centre = head.j_regressor[row] @ head.v_template
        mine = ball[head.v_template[ball, 0] * centre[0] > 0]
        radius = distance_mm(head.v_template[mine], centre).max()
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            face = head.v_template + share * blink
            gap = 1000 * (face[upper, 1] - face[lower, 1])
            assert (gap.max() < 0.0) if share == 1.0 else (gap.max() > 1.0)
            assert distance_mm(face[np.concatenate([upper, lower])], centre).min() > radius + 0.3


def test_lips_meet_at_rest_in_every_face(head: FaceModel, people: np.ndarray) -> None:
    upper, lower = head.regions["lips_upper_inner"], head.regions["lips_lower_inner"]
    rest = distance_mm(head.v_template[upper], head.v_template[lower])
    assert rest.max() < 3.0
    change = (people[:, upper] - people[:, lower]) - (
        head.v_template[upper] - head.v_template[lower]
    )
    assert 1000 * np.abs(change).max() < 0.15
    # The corners of the mouth and the line of contact next to them really touch.
    ends = [0, 1, 2, -3, -2, -1]
    assert 1000 * (head.v_template[upper] - head.v_template[lower])[ends, 1].max() < 0.05


def test_mouth_close_undoes_jaw_open(head: FaceModel) -> None:
    upper, lower = head.regions["lips_upper_inner"], head.regions["lips_lower_inner"]
    shut = skinned(head, weights(jawOpen=1.0, mouthClose=1.0))[0]
    change = (shut[upper] - shut[lower]) - (head.v_template[upper] - head.v_template[lower])
    assert 1000 * np.abs(change).max() < 0.15


def test_lip_pairs_run_from_corner_to_corner(head: FaceModel) -> None:
    upper, lower = head.regions["lips_upper_inner"], head.regions["lips_lower_inner"]
    assert len(upper) == len(lower) == len(set(upper.tolist())) == len(set(lower.tolist()))
    for rim in (upper, lower):
        x = head.v_template[rim, 0]
        assert np.all(np.diff(x) > 0) and x[0] == pytest.approx(-x[-1], abs=1e-4)
    assert distance_mm(head.v_template[upper, :1], head.v_template[lower, :1]).max() < 1.5


def test_identity_components_have_unit_variance(head: FaceModel) -> None:
    spread = head.extras["identity_heldout_std"]
    assert spread.shape == (300,) and 0.9 < spread.min() and spread.max() < 1.1
    rows = head.shapedirs[:, :, :300].reshape(-1, 300).astype(np.float64)
    size = np.linalg.norm(rows, axis=0)
    stored = head.extras["identity_spread_mm"] / 1000 * np.sqrt(head.n_vertices)
    np.testing.assert_allclose(size, stored, rtol=2e-3)
    assert np.all(np.diff(stored) <= 0)
    cosine = (rows / size).T @ (rows / size) - np.eye(300)
    assert np.abs(cosine).max() < 5e-3, "components are not independent"


def test_faces_stay_aligned_and_differ(head: FaceModel, people: np.ndarray) -> None:
    ring = head.regions["neck_ring"]
    assert distance_mm(people[:, ring], head.v_template[ring]).max() < 0.05
    eyes = np.einsum("jv,nvc->njc", head.j_regressor[3:], people).mean(axis=1)
    assert distance_mm(eyes, [0.0, 0.03, 0.04]).max() < 0.1
    change = distance_mm(people, head.v_template)
    assert 2.0 < change.mean() < 6.0 and change.max() < 40.0
    width = people[:, :, 0].max(axis=1) - people[:, :, 0].min(axis=1)
    assert 0.13 < width.min() and width.max() < 0.21


def test_neutral_is_symmetric_and_of_human_size(head: FaceModel) -> None:
    skin = head.v_template[: np.flatnonzero(head.weights[:, 3])[0]]
    image = skin * [-1, 1, 1]
    sample = np.random.default_rng(0).choice(len(skin), 400, replace=False)
    nearest = np.linalg.norm(image[sample][:, None] - skin[None], axis=-1).min(axis=1)
    assert 1000 * np.quantile(nearest, 0.95) < 0.5
    joints = head.j_regressor @ head.v_template
    assert 1000 * (joints[3] - joints[4])[0] == pytest.approx(60, abs=4)
    assert (
        0.14 < np.ptp(head.v_template[:, 0]) < 0.20 and 0.25 < np.ptp(head.v_template[:, 1]) < 0.36
    )


def test_polygons_uv_and_materials_are_consistent(head: FaceModel) -> None:
    extras = head.extras
    polygons, uv, material = extras["polygons"], extras["uv"], extras["polygon_material"]
    assert uv.shape == (*polygons.shape, 2) and material.shape == (len(polygons),)
    assert np.all(np.isfinite(uv)) and uv.min() > -0.01 and uv.max() < 1.01
    names = extras["material_names"].tolist()
    assert {"skin", "lips", "mouth", "teeth", "tongue", "sclera", "iris", "pupil", "lashes"} <= {
        *names
    }
    assert set(np.unique(material)) == set(range(len(names)))
    used = np.unique(polygons[polygons >= 0])
    assert len(used) == head.n_vertices, "vertices without a polygon"
    triangles = {tuple(sorted(face)) for face in head.faces.tolist()}
    assert len(triangles) == (polygons >= 0).sum() - 2 * len(polygons)
    for name, region in head.regions.items():
        assert len(region) and 0 <= region.min() <= region.max() < head.n_vertices, name


def test_skin_has_one_border_the_neck_ring(head: FaceModel) -> None:
    names = head.extras["material_names"].tolist()
    skin = np.isin(
        head.extras["polygon_material"], [names.index(n) for n in ("skin", "lips", "mouth")]
    )
    edges: dict[tuple[int, int], int] = {}
    for polygon in head.extras["polygons"][skin].tolist():
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            key = (min(a, b), max(a, b))
            edges[key] = edges.get(key, 0) + 1
    border = {vertex for edge, count in edges.items() if count == 1 for vertex in edge}
    assert border == set(head.regions["neck_ring"].tolist())
    assert max(edges.values()) == 2


def test_iris_and_pupil_are_circles_on_the_gaze_axis(head: FaceModel) -> None:
    names = head.extras["material_names"].tolist()
    for row, sign in ((3, 1.0), (4, -1.0)):
        centre = head.j_regressor[row] @ head.v_template
        for name, radius_mm in (("pupil", 2.1), ("iris", 6.0)):
            polygons = head.extras["polygons"][head.extras["polygon_material"] == names.index(name)]
            vertices = np.unique(polygons[polygons >= 0])
            vertices = vertices[sign * head.v_template[vertices, 0] > 0]
            off = distance_mm(head.v_template[vertices, :2], centre[:2])
            assert off.max() == pytest.approx(radius_mm, abs=0.05)
            assert (np.abs(off - off.max()) < 0.02).sum() == 24
            assert head.v_template[vertices, 2].min() > centre[2] + 0.008


def test_it_says_where_it_comes_from(head: FaceModel) -> None:
    provenance = json.loads(str(head.extras["provenance"]))
    assert provenance["license"] == "CC0-1.0" and len(provenance["source_sha256"]) == 64
    assert "eyeBlinkLeft" in provenance["changed"]
    assert "CC0 1.0" in (BUNDLED_HEAD.parent / "HEAD_LICENSE.md").read_text(encoding="utf-8")
