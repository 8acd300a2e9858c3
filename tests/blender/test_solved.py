# SPDX-License-Identifier: Apache-2.0
"""Weights by geometry on the head's topology, and lids that are moved instead of turned."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.rig import mapped, targets
from blender_addon.rig.head import create_head
from lsf_backend.face import flame_transfer
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.flame_transfer import flame_face
from lsf_backend.face.transfer import CarriedShapes
from tests.face.flame_disguise import write_disguise

from .conftest import animate, make_face
from .fake_backend import curves
from .made_up import keyed, world_points


def test_shapes_of_other_names_and_sizes_are_mixed_by_geometry(scene, speech) -> None:
    """Keys without any known name, of other strength: the mesh moves as the head would."""
    scene.render.fps = 25
    face = create_head(scene)
    blocks = face.data.shape_keys.key_blocks
    head = {name: np.empty(len(face.data.vertices) * 3, dtype=np.float32) for name in blocks.keys()}
    for name, points in head.items():
        blocks[name].data.foreach_get("co", points)
    basis = head["Basis"]
    for number, name in enumerate(ARKIT_NAMES):
        share = 1.6 if number % 2 else 1.25
        blocks[name].data.foreach_set("co", basis + share * (head[name] - basis))
        blocks[name].name = f"Shape {number}"
    scene.lsf.head = face
    assert mapped.recognise(face) is None
    assert bpy.ops.lsf.map_solve() == {"FINISHED"}
    assert "52 keys meet ARKit's 52 shapes to 0.0" in face.lsf_character.solve_report
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    weights = curves(0, 75, 0)
    errors, ways = [], []
    for frame in (10, 40, 70):
        wanted = basis + sum(
            weights[frame, i] * (head[name] - basis) for i, name in enumerate(ARKIT_NAMES)
        )
        found = world_points(face, frame + 1) - np.array(face.location)
        errors.append(np.linalg.norm(found - wanted.reshape(-1, 3), axis=1).max())
        ways.append(np.linalg.norm((wanted - basis).reshape(-1, 3), axis=1).max())
    assert max(errors) < 0.15 * max(ways), (errors, ways)
    values = np.stack([keyed(face, f"Shape {i}") for i in range(52)])
    assert values.min() >= 0.0 and values.max() <= 1.0
    assert bpy.ops.lsf.map_solve() == {"FINISHED"}, "and off again"
    assert mapped.recognise(face) is None


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_mesh_in_flames_topology_is_solved_with_the_users_file(
    scene, speech, tmp_path, monkeypatch, shuffled
) -> None:
    """Keys of no known name on a mesh of another size and turn, triangles in any order."""
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path / "cache"))
    flame = write_disguise(tmp_path / "FLAME2020.npz")
    face = flame_face(str(flame))[0]
    rest, triangles = face.v_template.astype(np.float64), face.faces
    rows = np.arange(0, len(rest), 3)
    moves = np.zeros((52, *rest.shape))
    moves[:, rows] = np.random.default_rng(1).normal(0, 0.003, (52, len(rows), 3))
    flame_transfer.keep(flame_transfer.place(face), CarriedShapes(rows, moves[:, rows]), face)
    turn = 2.0 * np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # z up, twice as large
    if shuffled:
        random = np.random.default_rng(0)
        triangles = np.roll(random.permutation(triangles), 1, axis=1)
    mesh = bpy.data.meshes.new("Own")
    mesh.from_pydata((rest @ turn).tolist(), [], triangles.tolist())
    own = bpy.data.objects.new("Own", mesh)
    scene.collection.objects.link(own)
    own.shape_key_add(name="Basis")
    for number in range(52):
        block = own.shape_key_add(name=f"Shape {number}", from_mix=False)
        points = rest + (1.6 if number % 2 else 1.25) * moves[number]
        block.data.foreach_set("co", (points @ turn).astype(np.float32).ravel())
    scene.lsf.head = own
    with pytest.raises(RuntimeError, match="choose your FLAME file"):
        bpy.ops.lsf.map_solve()
    scene.lsf.flame_file = str(flame)
    assert bpy.ops.lsf.map_solve() == {"FINISHED"}
    assert "52 keys meet ARKit's 52 shapes to 0.0" in own.lsf_character.solve_report
    if shuffled:
        return
    scene.render.fps = 25
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    weights = curves(0, 75, 0)
    for frame in (10, 40, 70):
        wanted = np.tensordot(weights[frame], moves, axes=1) @ turn
        off = np.linalg.norm(world_points(own, frame + 1) - rest @ turn - wanted, axis=1)
        assert off.max() < 0.15 * np.linalg.norm(wanted, axis=1).max()
    Path(own.lsf_character.solve_file).unlink()
    assert "no longer in the cache" in targets.unusable(own)


def test_another_topology_is_not_solved(scene) -> None:
    scene.lsf.head = make_face("Other")
    with pytest.raises(RuntimeError, match="not in the bundled head's topology"):
        bpy.ops.lsf.map_solve()
