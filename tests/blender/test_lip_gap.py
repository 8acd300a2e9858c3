# SPDX-License-Identifier: Apache-2.0
"""Lips measured on the mesh that will move: in its own millimetres, through its own map."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import lip_gap, mapped, targets
from blender_addon.rig.head import create_head
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.finishing.lips import gap_per_weight_mm
from lsf_backend.protocol import HEAD_FILE

from .conftest import make_face
from .made_up import EYES, JAW, bind, make_rig

JAW_OPEN, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")


@pytest.fixture(scope="module")
def known() -> np.ndarray:
    return gap_per_weight_mm(FaceModel.load(HEAD_FILE))


def measured(scene, obj) -> np.ndarray:
    found = lip_gap.measure(scene, targets.target_of(obj))
    assert found is not None
    return np.array(found.per_weight_mm)


def test_the_bundled_head_is_measured_as_the_backend_knows_it(scene, known) -> None:
    found = measured(scene, create_head(scene))
    assert abs(found[JAW_OPEN] / known[JAW_OPEN] - 1) < 0.15
    assert abs(found[CLOSE] + found[JAW_OPEN]) < 0.5, "mouthClose takes the opening back"
    assert np.corrcoef(found, known)[0, 1] > 0.99
    assert not np.abs(found[:14]).any(), "eyes do not open the mouth"


@pytest.mark.parametrize("change", ["centimetres", "names", "no close key", "twice as far"])
def test_another_mesh_is_measured_in_its_own_millimetres(scene, known, change) -> None:
    head = create_head(scene)
    whole = measured(scene, head)
    blocks = head.data.shape_keys.key_blocks
    wanted = whole.copy()
    if change == "centimetres":
        head.scale = (0.01, 0.01, 0.01)
        for block in (*blocks, head.data):
            data = block.vertices if block == head.data else block.data
            points = np.empty(len(data) * 3, dtype=np.float32)
            data.foreach_get("co", points)
            data.foreach_set("co", 100 * points)
        bpy.context.view_layer.update()
    elif change == "names":
        for block in blocks[1:]:
            block.name = f"head_{block.name.upper()}_geo"
    elif change == "no close key":
        head.shape_key_remove(blocks["mouthClose"])
        wanted[CLOSE] = -whole[JAW_OPEN]
    else:
        points = [np.empty(len(head.data.vertices) * 3, dtype=np.float32) for _ in range(2)]
        for block, store in zip((blocks[0], blocks["jawOpen"]), points, strict=True):
            block.data.foreach_get("co", store)
        blocks["jawOpen"].data.foreach_set("co", 2 * points[1] - points[0])
        wanted[JAW_OPEN] *= 2
    found = measured(scene, head)
    if change == "twice as far":  # other vertices may be the lips now
        assert abs(found[JAW_OPEN] / wanted[JAW_OPEN] - 1) < 0.15
    else:
        assert np.abs(found - wanted).max() < 0.6, change


def test_a_jaw_bone_parts_the_lips_that_it_carries(scene) -> None:
    """The lower row of lips follows the bone, so the opening is its turn's sine."""
    face, _ = lips_of_a_jaw(scene)
    found = lip_gap.measure(scene, targets.target_of(face))
    turn = np.radians(mapped.proposed(face).rows[0].high)
    assert abs(found.per_weight_mm[JAW_OPEN] - 1000 * 0.08 * 2 * np.sin(turn / 2)) < 3.0
    assert found.rest_mm == pytest.approx(1.0, abs=0.01)


def lips_of_a_jaw(scene) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Two rows of lips, the lower one bound to a jaw bone: mesh, armature."""
    rig = make_rig({"jaw": JAW, "eye.L": EYES[0], "eye.R": EYES[1]})
    mesh = bpy.data.meshes.new("Lips")
    xs = np.linspace(-0.02, 0.02, 9)
    upper = [(x, -0.08, 0.0005) for x in xs]
    lower = [(x, -0.08, -0.0005) for x in xs]
    back = [(x, -0.02, 0.05) for x in xs]
    mesh.from_pydata([*upper, *lower, *back], [], [])
    face = bpy.data.objects.new("Lips", mesh)
    scene.collection.objects.link(face)
    bind(face, rig, {"jaw": list(range(9, 18))})
    return face, rig


@pytest.mark.parametrize("shown_by", ["action", "nla"])
def test_what_moves_the_bones_already_does_not_count(scene, shown_by) -> None:
    """A take that is there, or strips: the next take measures the same lips."""
    face, rig = lips_of_a_jaw(scene)
    found = lip_gap.measure(scene, targets.target_of(face))
    jaw = rig.pose.bones["jaw"]
    jaw.rotation_mode = "QUATERNION"
    scene.frame_set(1)
    jaw.rotation_quaternion = (0.98, 0.2, 0.0, 0.0)
    jaw.keyframe_insert("rotation_quaternion", frame=1)
    jaw.keyframe_insert("rotation_quaternion", frame=20)
    if shown_by == "nla":
        action = rig.animation_data.action
        rig.animation_data.nla_tracks.new().strips.new("Talk", 1, action)
        rig.animation_data.action = None
    scene.frame_set(3)
    again = lip_gap.measure(scene, targets.target_of(face))
    np.testing.assert_allclose(again.per_weight_mm, found.per_weight_mm, atol=0.05)
    assert again.rest_mm == pytest.approx(found.rest_mm, abs=1e-3)


@pytest.mark.parametrize("follows", [1.0, 0.5])
def test_the_jaw_turns_until_the_lips_that_it_carries_part_enough(scene, follows) -> None:
    """Lips that follow half need twice the turn; groups without bones count for nothing."""
    eyes = {"eye.L": EYES[0], "eye.R": EYES[1]}
    rig = make_rig({"jaw": JAW, "neck": ((0, 0, -0.1), (0, 0, 0)), **eyes})
    mesh = bpy.data.meshes.new("Lips")
    xs = np.linspace(-0.02, 0.02, 9)
    rows = [[(x, y, z) for x in xs] for y, z in ((-0.08, 0.0005), (-0.08, -0.0005), (-0.02, 0.05))]
    mesh.from_pydata([point for row in rows for point in row], [], [])
    face = bpy.data.objects.new("Lips", mesh)
    scene.collection.objects.link(face)
    bind(face, rig, {"neck": list(range(27)), "region": list(range(27))})
    face.vertex_groups.new(name="jaw").add(list(range(9, 18)), follows, "REPLACE")
    face.vertex_groups["neck"].add(list(range(9, 18)), 1.0 - follows, "REPLACE")
    found = lip_gap.measure(scene, targets.target_of(face))
    assert found is not None
    assert found.per_weight_mm[JAW_OPEN] == pytest.approx(1000 * 0.467 * 0.06, rel=0.1)


def test_no_lips_no_measure(scene) -> None:
    flat = make_face("Flat", ("jawOpen", "mouthClose"))
    for block in flat.data.shape_keys.key_blocks:
        block.data.foreach_set("co", np.zeros(64 * 3, dtype=np.float32))
    assert lip_gap.measure(scene, targets.target_of(flat)) is None
