# SPDX-License-Identifier: Apache-2.0
"""Real Rigify faces, generated here: their controls move, and what hangs on them, in mm."""

import addon_utils
import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon import character_files
from blender_addon.retarget import rigify
from blender_addon.rig import bones, fitted, lip_gap, mapped, stored_map, targets
from blender_addon.rig.head_file import load_head
from blender_addon.rig.names import ARKIT_NAMES

from .conftest import animate
from .made_up import bind

# Controls and the deforming bones that begin where they are, in both kinds of face.
LIPS = {
    "upper": ("lip.T", "DEF-lip.T.L"),
    "lower": ("lip.B", "DEF-lip.B.L"),
    "upper left": ("lip.T.L.001", "DEF-lip.T.L.001"),
    "lower left": ("lip.B.L.001", "DEF-lip.B.L.001"),
    "upper right": ("lip.T.R.001", "DEF-lip.T.R.001"),
    "lower right": ("lip.B.R.001", "DEF-lip.B.R.001"),
    "brow": ("brow.T.L.003", "DEF-brow.T.L.003"),
    "lid": ("lid.T.L.002", "DEF-lid.T.L.002"),
    "lower lid": ("lid.B.L.002", "DEF-lid.B.L.002"),
}


@pytest.fixture(scope="module", params=["super_face", "skin"])
def generated(request, tmp_path_factory):
    """A file with a generated rig and a mesh of points, each on the head of a deforming bone."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.object.armature_human_metarig_add()
    metarig = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    for bone in list(metarig.data.edit_bones):  # a body takes ten times as long
        keep = bone.name == "face" or "face" in [above.name for above in bone.parent_recursive]
        if not keep and not bone.name.startswith("spine"):
            metarig.data.edit_bones.remove(bone)
    bpy.ops.object.mode_set(mode="OBJECT")
    for bone in metarig.pose.bones:
        if bone.name.startswith("spine"):
            bone.rigify_type = "basic.super_copy" if bone.name == "spine.006" else ""
    if request.param == "skin":
        bpy.ops.object.mode_set(mode="POSE")
        bpy.ops.pose.rigify_upgrade_face()
        bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.pose.rigify_generate()
    rig = bpy.context.object
    mesh = bpy.data.meshes.new("Points")
    heads = [rig.data.bones[deform].head_local.copy() for _, deform in LIPS.values()]
    for upper in (0, 2, 4):  # lips nearly touch, halfway between their bones
        middle = 0.5 * (heads[upper] + heads[upper + 1])
        heads[upper] = middle + Vector((0, 0, 0.0005))
        heads[upper + 1] = middle - Vector((0, 0, 0.0005))
    back = rig.data.bones["jaw_master"].head_local
    mesh.from_pydata([tuple(point) for point in [*heads, back]], [], [])
    points = bpy.data.objects.new("Points", mesh)
    bpy.context.scene.collection.objects.link(points)
    points.parent = rig
    bind(points, rig, {deform: [index] for index, (_, deform) in enumerate(LIPS.values())})
    path = tmp_path_factory.mktemp("rigify") / f"{request.param}.blend"
    bpy.data.libraries.write(str(path), {points}, fake_user=True)
    addon_utils.disable("rigify", default_set=True)
    return path


@pytest.fixture
def character(generated, scene):
    """The points and the rig in an empty file, as an artist would open them."""
    with bpy.data.libraries.load(str(generated)) as (_, into):
        into.objects = ["Points"]
    points = into.objects[0]
    for obj in (points.parent, points):
        scene.collection.objects.link(obj)
    bpy.context.view_layer.update()
    return points, points.parent


def shown(points, **weights: float) -> dict[str, np.ndarray]:
    """Places [3] in mm of the points for ARKit weights, through the character's own map."""
    row = np.zeros((1, 52), dtype=np.float32)
    for name, value in weights.items():
        row[0, ARKIT_NAMES.index(name)] = value
    for curve in targets.target_of(points).curves(row, tuple(ARKIT_NAMES)):
        holder, _, name = curve.data_path.rpartition(".")
        getattr(curve.owner.datablock().path_resolve(holder), name)[curve.index] = curve.values[0]
    bpy.context.view_layer.update()
    evaluated = points.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {
        name: 1000 * np.array(vertex.co)
        for name, vertex in zip(LIPS, evaluated.data.vertices[:-1], strict=True)
    }


def gaps(places: dict[str, np.ndarray]) -> np.ndarray:
    """How far the lips are apart in the middle and beside it, in mm."""
    return np.array(
        [(places[f"upper{s}"] - places[f"lower{s}"])[2] for s in ("", " left", " right")]
    )


def test_every_shape_reaches_a_real_rigify_face_and_its_lips_shut(character) -> None:
    points, rig = character
    fit = targets.target_of(points).fit()
    assert fit.convention == "rigify" and not fit.missing
    assert not targets.target_of(points).concerns(), "its own constraints hold nothing"
    width = float(np.linalg.norm(bones.apart_mm(rig, *rigify.face_of(fitted.spelled(rig)).corners)))
    rest = shown(points)
    still = gaps(rest)
    opened = gaps(shown(points, jawOpen=1.0)) - still
    assert 0.5 * width < opened[0] < 1.0 * width
    shut = gaps(shown(points, jawOpen=0.4, mouthClose=0.4)) - still
    assert np.abs(shut).max() < 0.05, "p, b and m are as shut as at rest"
    pressed = gaps(shown(points, mouthPressLeft=0.5, mouthPressRight=0.5)) - still
    assert -0.06 * width < pressed[0] < 0.0
    smile = shown(points, mouthSmileLeft=1.0)
    assert smile["upper left"][2] > rest["upper left"][2] + 0.05 * width
    assert smile["upper left"][2] > smile["upper right"][2] + 0.02 * width
    round_ = shown(points, mouthPucker=1.0)
    assert rest["upper"][1] - round_["upper"][1] > 0.1 * width, "forward is -y"
    assert rest["upper left"][0] - round_["upper left"][0] > 0.02 * width
    assert round_["upper right"][0] - rest["upper right"][0] > 0.02 * width
    looks = {r.target: dict(r.sources) for r in targets.target_of(points).rows()}
    across = {t.name: gains for t, gains in looks.items() if t.component == "move_x_mm"}
    assert across["eye.R"]["eyeLookInRight"] > 0 > across["eye.R"]["eyeLookOutRight"]
    assert across["eye.L"]["eyeLookOutLeft"] > 0 > across["eye.L"]["eyeLookInLeft"]
    brow = shown(points, browInnerUp=1.0)["brow"] - rest["brow"]
    assert brow[2] == pytest.approx(0.04 * 62.5 * width / 42.7, rel=0.1)
    blink = shown(points, eyeBlinkLeft=1.0)
    assert abs((blink["lid"] - rest["lower lid"])[2]) < 0.1 * (rest["lid"] - rest["lower lid"])[2]


def test_lips_are_measured_through_the_constraints(character, scene) -> None:
    """And measuring leaves no trace: neither in the pose nor in the file."""
    points, rig = character
    rig.pose.bones["lip.T"].location = (0.001, 0.002, 0.003)
    here = tuple(rig.pose.bones["lip.T"].location)
    before = len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.meshes)
    found = lip_gap.measure(scene, targets.target_of(points))
    assert (len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.meshes)) == before
    assert tuple(rig.pose.bones["lip.T"].location) == here
    rig.pose.bones["lip.T"].location = (0, 0, 0)
    still = gaps(shown(points))
    middle = [
        (gaps(shown(points, jawOpen=0.5, **{name: 0.5})) - still).mean()
        for name in ("mouthFunnel", "mouthShrugUpper")
    ]
    half = (gaps(shown(points, jawOpen=0.5)) - still).mean()
    for name, gap in zip(("mouthFunnel", "mouthShrugUpper"), middle, strict=True):
        told = found.per_weight_mm[ARKIT_NAMES.index(name)]
        assert told == pytest.approx(2 * (gap - half), rel=0.15, abs=0.5), name
    shown(points)


def test_a_map_of_controls_survives_its_file_and_moves_a_take(
    character, scene, speech, tmp_path
) -> None:
    points, rig = character
    character_files.proposal(points)
    rows = {(row.target, row.component): row for row in points.lsf_character.rows}
    assert rows["lip.T", "move_y_mm"].sources.startswith("mouthSmileLeft")
    rows["lip.T", "move_y_mm"].gain *= 2
    kept = stored_map.stored(points)
    character_files.save(points, tmp_path / "map.json")
    stored_map.clear(points)
    character_files.load(points, tmp_path / "map.json")
    assert stored_map.stored(points) == kept
    assert animate(speech(), head=points) == {"FINISHED"}, scene.lsf.report
    assert isinstance(targets.target_of(points), mapped.Mapped)
    assert "bones" in scene.lsf.report


def test_the_table_is_the_bundled_heads_own_motion() -> None:
    """Corners and middles of its lips, within 9 hundredths of the mouth's width."""
    head = load_head()
    upper, lower = (head.regions[f"lips_{row}_inner"] for row in ("upper", "lower"))
    lips, place = head.regions["lips"], head.vertices
    corner = place[upper][place[upper][:, 0].argmax()]
    width = 1000 * float(np.ptp(place[upper][:, 0]))
    assert width == pytest.approx(rigify.MOUTH_MM, abs=0.5)
    groups = {
        "cornerl": lips[np.linalg.norm(place[lips] - corner, axis=1) < 0.0035],
        "lipt": upper[np.abs(place[upper][:, 0]) < 0.005],
        "lipb": lower[np.abs(place[lower][:, 0]) < 0.005],
    }
    for control, vertices in groups.items():
        for shape, moved in rigify.MOUTH_MOVES[control].items():
            x, y, z = 1000 * head.shapes[shape][vertices].mean(axis=0)
            assert np.abs(np.array((x, z, -y)) - moved).max() < 0.09 * width, (control, shape)
