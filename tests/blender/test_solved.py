# SPDX-License-Identifier: Apache-2.0
"""Weights by geometry on the head's topology, and lids that are moved instead of turned."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import actions, mapped, targets
from blender_addon.rig.head import create_head
from blender_addon.rig.target import Owner, bone_path
from lsf_backend.face.arkit import ARKIT_NAMES

from .conftest import animate, make_face
from .fake_backend import curves
from .made_up import EYES, JAW, keyed, make_rig, world_points


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


def test_rigify_lids_go_down_to_the_lower_lids(scene, speech) -> None:
    scene.render.fps = 25
    lids = {}
    for index, side in enumerate("LR"):
        x = EYES[index][0][0]
        lids[f"lid.T.{side}.002"] = ((x, -0.08, 0.075), (x, -0.09, 0.078), 0.4)
        lids[f"lid.B.{side}.002"] = ((x, -0.08, 0.063), (x, -0.09, 0.063))
    rig = make_rig({"jaw_master": JAW, "master_eye.L": EYES[0], "master_eye.R": EYES[1], **lids})
    body = make_face("Body", ())
    body.parent = rig
    assert animate(speech(), head=body) == {"FINISHED"}, scene.lsf.report
    paths = actions.driven_paths(actions.active(Owner.of(rig)), Owner.of(rig))
    assert bone_path("lid.T.L.002", "location") in paths
    blink = curves(0, 75, 0)[:, ARKIT_NAMES.index("eyeBlinkLeft")]
    frame = int(blink.argmax())
    scene.frame_set(frame + 1)
    bpy.context.view_layer.update()
    upper = rig.pose.bones["lid.T.L.002"].matrix.translation
    assert upper.z == pytest.approx(0.075 - 0.012 * blink[frame], abs=2e-4)
    assert upper.x == pytest.approx(EYES[0][0][0], abs=1e-5)
    assert "master_eye.L" in " ".join(sorted(paths)) and targets.target_of(body) is not None
