# SPDX-License-Identifier: Apache-2.0
"""The little renderer: what is nearer hides what is behind, edges meet, colours run."""

import numpy as np
import pytest

from lsf_backend.face.face_model import FaceModel
from training.raster import Raster, View, colours_of

VIEW = View(np.zeros(3), 2.0, width=40, height=40, turn_deg=0.0, distance_m=1e6)
SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float64) * 0.5
FRONT = np.array([[0, 1, 2], [0, 2, 3]])
RED, BLUE = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])


def test_a_square_covers_its_pixels_once_and_only_its_own() -> None:
    picture = Raster(FRONT, 4, VIEW).draw(SQUARE, np.ones((2, 3)), background=0.0)
    inside = picture[10:30, 10:30]
    assert (inside == inside[0, 0]).all() and inside[0, 0, 0] > 200
    assert picture.astype(int).sum() == inside.astype(int).sum()
    back = Raster(FRONT[:, ::-1], 4, VIEW).draw(SQUARE, np.ones((2, 3)), background=0.0)
    assert not back.any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_one_hides_the_other_in_any_order(order: tuple[int, int]) -> None:
    near = SQUARE * 0.5 + [0, 0, 0.2]
    points = np.concatenate([SQUARE, near])
    meshes = [(FRONT, RED), (FRONT + 4, BLUE)]
    triangles = np.concatenate([meshes[i][0] for i in order])
    colours = np.concatenate([np.tile(meshes[i][1], (2, 1)) for i in order])
    picture = Raster(triangles, 8, VIEW).draw(points, colours, background=0.0)
    assert picture[20, 20, 2] > 200 and picture[20, 20, 0] == 0
    assert picture[12, 12, 0] > 200 and picture[12, 12, 2] == 0


def test_colours_of_vertices_run_into_each_other() -> None:
    colours = np.stack([RED, BLUE, BLUE, RED])
    row = Raster(FRONT, 4, VIEW).draw(SQUARE, colours)[20, 11:29].astype(int)
    assert (np.diff(row[:, 0]) < 0).all() and (np.diff(row[:, 2]) > 0).all()


def test_the_bundled_head_has_lips_eyes_and_an_open_mouth() -> None:
    face = FaceModel.load()
    raster = Raster(face.faces, face.n_vertices, View.of_head(face.v_template, (150, 180)))
    colours = colours_of(face)
    assert colours.shape == (len(face.faces), 3)
    jaw = np.array([[0, 0, 0], [0.25, 0, 0]], np.float32)
    shut, opened = face.vertices(None, np.zeros((2, 50), np.float32), jaw)
    pictures = [raster.draw(points, colours).astype(int) for points in (shut, opened)]
    background = pictures[0][0, 0]
    share = (np.abs(pictures[0] - background).sum(axis=2) > 30).mean()
    assert 0.3 < share < 0.7 and (pictures[0][[0, -1]] == background).all()
    changed = np.abs(pictures[1] - pictures[0]).sum(axis=2) > 30
    assert changed.sum() > 100 and changed[:72].sum() < 0.01 * changed.sum()
