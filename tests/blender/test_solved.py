# SPDX-License-Identifier: Apache-2.0
"""Weights by geometry on the head's topology, and lids that are moved instead of turned."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import mapped
from blender_addon.rig.head import create_head
from lsf_backend.face.arkit import ARKIT_NAMES

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


def test_another_topology_is_not_solved(scene) -> None:
    scene.lsf.head = make_face("Other")
    with pytest.raises(RuntimeError, match="not in the bundled head's topology"):
        bpy.ops.lsf.map_solve()
