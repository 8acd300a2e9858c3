# SPDX-License-Identifier: Apache-2.0
"""Neutral meshes from files keep their order; damage is named with its line."""

from pathlib import Path

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.exchange.mesh_in import read_mesh
from lsf_backend.face.face_model import FaceModel

OBJ = """# a square and a triangle
o face
v 0 0 0
v 1 0 0
v 1 1 0 0.5 0.5 0.5
v 0 1 0
vt 0 0
vn 0 0 1
f 1/1/1 2/1/1 3//1 4
f -4 -2 -1
"""


def test_obj_keeps_the_order_and_cuts_polygons(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(OBJ)
    mesh = read_mesh(tmp_path / "a.obj")
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 2, 3]]


def test_a_whole_head_comes_back_vertex_by_vertex(tmp_path: Path) -> None:
    face = FaceModel.load()
    betas = np.random.default_rng(4).normal(size=300).astype(np.float32)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in 100.0 * face.shaped(betas)]
    lines += [f"f {a} {b} {c}\n" for a, b, c in face.faces + 1]
    (tmp_path / "me.obj").write_text("".join(lines))
    mesh = read_mesh(tmp_path / "me.obj")
    np.testing.assert_array_equal(mesh.triangles, face.faces)
    np.testing.assert_allclose(mesh.vertices / 100.0, face.shaped(betas), atol=1e-7)


@pytest.mark.parametrize("with_triangles", [True, False])
def test_numpy_files(tmp_path: Path, with_triangles: bool) -> None:
    points = np.random.default_rng(0).random((5, 3)).astype(np.float32)
    if with_triangles:
        np.savez(tmp_path / "a.npz", vertices=points, triangles=[[0, 1, 2]])
    else:
        np.save(tmp_path / "a.npy", points)
    mesh = read_mesh(tmp_path / ("a.npz" if with_triangles else "a.npy"))
    np.testing.assert_array_equal(mesh.vertices, points)
    assert len(mesh.triangles) == with_triangles


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.obj", OBJ.replace("v 1 0 0", "v 1 0"), "line 4: 'v 1 0'"),
        ("a.obj", OBJ.replace("v 1 0 0", "v 1 zero 0"), "line 4"),
        ("a.obj", OBJ + "f 1 2\n", "line 11"),
        ("a.obj", OBJ + "f 1 2 0\n", "line 11"),
        ("a.obj", OBJ + "f 1 2 9\n", "vertex that does not exist"),
        ("a.obj", "", "holds no points"),
        ("a.npy", "text", "not an array of points"),
        ("a.npz", "text", "not an array of points"),
        ("a.stl", "text", "not a mesh that can be read"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LsfError, match=sentence) as caught:
        read_mesh(tmp_path / name)
    assert caught.value.code == "request_invalid"


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((3, 2)), "holds no points"),
        (np.array([["a", "b", "c"]]), "something else than numbers"),
        (np.array([[None, None, None]]), "not an array of points"),
    ],
)
def test_arrays_of_another_kind(tmp_path: Path, array: np.ndarray, sentence: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(LsfError, match=sentence):
        read_mesh(tmp_path / "a.npy")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("no.obj", "no.npy", "no.npz"):
        with pytest.raises(LsfError, match=f"{name} could not be read"):
            read_mesh(tmp_path / name)
