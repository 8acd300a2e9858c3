# SPDX-License-Identifier: Apache-2.0
"""The map in the artist's hands: proposed, edited, shared, applied to a take without the engine."""

import bpy
import numpy as np
import pytest

from blender_addon import character_files, command_line, kept_frames
from blender_addon.retarget.model import MapError, from_json
from blender_addon.rig import actions, mapped, stored_map, targets
from blender_addon.rig.target import Owner
from lsf_backend.face.arkit import ARKIT_NAMES
from tests.retarget import characters as names

from .conftest import animate, make_face
from .fake_backend import curves
from .made_up import EYES, JAW, keyed, make_rig


def wanted(name: str) -> np.ndarray:
    return curves(0, 75, 0)[:, ARKIT_NAMES.index(name)]


def row_of(face, target: str):
    return next(row for row in face.lsf_character.rows if row.target == target)


def test_the_proposed_map_is_kept_as_the_take_would_use_it(scene) -> None:
    face = scene.lsf.head = make_face("Ann", names.CC4_KEYS)
    make_rig({"CC_Base_JawRoot": JAW, "CC_Base_L_Eye": EYES[0], "CC_Base_R_Eye": EYES[1]})
    face.parent = bpy.data.objects["Rig"]
    automatic = mapped.proposed(face)
    assert bpy.ops.lsf.map_build() == {"FINISHED"}
    kept = stored_map.stored(face)
    assert [row.target for row in kept.rows] == [row.target for row in automatic.rows]
    for found, row in zip(kept.rows, automatic.rows, strict=True):
        assert np.allclose([g for _, g in found.sources], [g for _, g in row.sources], rtol=1e-5)
    assert from_json(kept.to_json()) == kept


def test_an_edited_row_has_gain_offset_clamp_and_source(scene, face, speech) -> None:
    scene.lsf.head = face
    bpy.ops.lsf.map_build()
    row = row_of(face, "jawOpen")
    row.gain, row.offset, row.low, row.high = 0.5, 0.125, 0.2, 0.5
    row_of(face, "cheekPuff").enabled = False
    face.lsf_character.active = [r.target for r in face.lsf_character.rows].index("tongueOut")
    assert bpy.ops.lsf.map_source(source="mouthPucker") == {"FINISHED"}
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    expected = np.clip(0.5 * wanted("jawOpen") + 0.125, 0.2, 0.5)
    np.testing.assert_allclose(keyed(face, "jawOpen"), expected, atol=1e-6)
    np.testing.assert_allclose(keyed(face, "tongueOut"), wanted("mouthPucker"), atol=1e-6)
    with pytest.raises(AttributeError):
        keyed(face, "cheekPuff")
    assert bpy.ops.lsf.map_clear() == {"FINISHED"}
    assert targets.target_of(face).__class__.__name__ == "ArkitMesh"


def test_rows_by_hand_drive_what_no_name_says(scene, speech) -> None:
    face = scene.lsf.head = make_face("Ann", ("Mund", "Wange"))
    assert bpy.ops.lsf.map_add() == {"FINISHED"}
    row = face.lsf_character.rows[0]
    row.target, row.sources = "Mund", "jawOpen, mouthClose -1"
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    net = np.clip(wanted("jawOpen") - wanted("mouthClose"), 0, 1)
    np.testing.assert_allclose(keyed(face, "Mund"), net, atol=1e-6)
    assert "Nothing drives eyeBlinkLeft" in scene.lsf.report


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sources": "noseOpen"}, "'noseOpen' is no source"),
        ({"sources": "jawOpen much"}, "'much' after 'jawOpen' is no number"),
        ({"low": 1.0, "high": 0.0}, "clamp goes from 1 to 0"),
        ({"target": "eyeWideLeft"}, "both move 'eyeWideLeft'"),
        ({"target": ""}, "does not say which key or bone"),
    ],
)
def test_a_row_without_sense_stops_the_take_with_a_sentence(
    scene, face, speech, change, words
) -> None:
    scene.lsf.head = face
    bpy.ops.lsf.map_build()
    row = row_of(face, "eyeBlinkLeft")
    for name, value in change.items():
        setattr(row, name, value)
    assert animate(speech()) == {"CANCELLED"}
    assert words in scene.lsf.report and not bpy.data.actions
    row.enabled = False
    assert animate(speech()) == {"FINISHED"}, "a row that is off may say anything"


def test_a_map_is_shared_between_characters_of_other_names(scene, speech, tmp_path) -> None:
    ann = scene.lsf.head = make_face("Ann", names.CC4_KEYS)
    bpy.ops.lsf.map_build()
    row_of(ann, "Jaw_Open").gain = 0.25
    path = tmp_path / "карта.json"
    assert bpy.ops.lsf.map_save(filepath=str(path)) == {"FINISHED"}
    bob = scene.lsf.head = make_face("Bob", names.CC4_KEYS)
    assert bpy.ops.lsf.map_load(filepath=str(path)) == {"FINISHED"}
    assert stored_map.stored(bob).owners() == ("Ann",), "Ann is there: the file means her"
    bpy.data.objects.remove(ann)
    assert bpy.ops.lsf.map_load(filepath=str(path)) == {"FINISHED"}
    assert stored_map.stored(bob).owners() == ("Bob",)
    animate(speech())
    np.testing.assert_allclose(keyed(bob, "Jaw_Open"), 0.25 * wanted("jawOpen"), atol=1e-6)


@pytest.mark.parametrize("text", ["{", '{"format": "lsf-retarget", "version": 9, "rows": []}'])
def test_a_bad_map_file_leaves_the_present_map(scene, face, tmp_path, text) -> None:
    scene.lsf.head = face
    bpy.ops.lsf.map_build()
    before = stored_map.stored(face)
    (tmp_path / "bad.json").write_text(text)
    for path in (tmp_path / "bad.json", tmp_path / "none.json"):
        with pytest.raises(RuntimeError, match=path.stem):
            bpy.ops.lsf.map_load(filepath=str(path))
    assert stored_map.stored(face) == before
    stranger = make_face("Cube", ("Key 1",))
    (tmp_path / "good.json").write_text(before.to_json())
    bpy.data.objects.remove(face)
    with pytest.raises(MapError, match="no key or bone fits"):
        character_files.load(stranger, tmp_path / "good.json")


def test_another_map_makes_another_take_without_the_engine(scene, face, speech) -> None:
    animate(speech(), head=face)
    first = actions.active(Owner.of(face.data.shape_keys)).name
    bpy.ops.lsf.map_build()
    row_of(face, "jawOpen").gain = 0.5
    from blender_addon import runtime

    runtime.close()
    assert bpy.ops.lsf.map_apply() == {"FINISHED"}, scene.lsf.report
    assert runtime._backend is None, "nobody asked the backend"
    second = actions.active(Owner.of(face.data.shape_keys)).name
    assert (first, second) == ("hello take 1", "hello take 2")
    np.testing.assert_allclose(keyed(face, "jawOpen"), 0.5 * wanted("jawOpen"), atol=1e-6)
    np.testing.assert_array_equal(keyed(face, "mouthPucker"), wanted("mouthPucker"))
    assert actions.metadata(bpy.data.actions[second])["seed"] == 0
    bpy.ops.lsf.show_take(take=first)
    np.testing.assert_array_equal(keyed(face, "jawOpen"), wanted("jawOpen"))
    bpy.ops.lsf.map_clear()
    bpy.ops.lsf.map_apply()
    np.testing.assert_array_equal(keyed(face, "jawOpen"), wanted("jawOpen"))


def test_frames_are_kept_to_the_bit_and_damaged_ones_are_none(scene) -> None:
    values = np.random.default_rng(0).normal(size=(300, 54)).astype(np.float32)
    action = bpy.data.actions.new("a")
    kept = kept_frames.Kept(values, tuple(f"c{i}" for i in range(54)), 59.94, "head")
    kept_frames.keep(action, kept)
    found = kept_frames.read(action)
    np.testing.assert_array_equal(found.values, values)
    assert (found.channels, found.fps, found.face_space) == (kept.channels, 59.94, "head")
    for name, value in (("frames", 7), ("data", "~"), ("data", "")):
        kept_frames.keep(action, kept)
        action[kept_frames.PROPERTY][name] = value
        assert kept_frames.read(action) is None
    assert kept_frames.read(bpy.data.actions.new("b")) is None


def run(*arguments: object) -> int:
    return command_line.main([str(argument) for argument in arguments])


def test_maps_headless(scene, speech, tmp_path, capsys) -> None:
    make_face("Ann", names.CC4_KEYS)
    base, map_file = tmp_path / "ann.blend", tmp_path / "ann.json"
    bpy.ops.wm.save_as_mainfile(filepath=str(base))
    assert run("map", "--blend", base, "--out", map_file) == 0
    assert "cc4: 52 of 52 shapes on 1 object." in capsys.readouterr().out
    row = '"name": "Jaw_Open"'
    map_file.write_text(map_file.read_text().replace(row, f'"offset": 0.25, {row}'))
    out, again = tmp_path / "a.blend", tmp_path / "b.blend"
    assert run("animate", speech(), "--blend", base, "--out", out) == 0
    assert run("apply", "--blend", out, "--map", map_file, "--out", again) == 0
    bpy.ops.wm.open_mainfile(filepath=str(again))
    face = bpy.data.objects["Ann"]
    expected = np.clip(wanted("jawOpen") + 0.25, 0, 1)
    np.testing.assert_allclose(keyed(face, "Jaw_Open"), expected, atol=1e-6)
    assert run("apply", "--blend", base, "--out", tmp_path / "c.blend") == 2
    assert "no take that keeps its frames" in capsys.readouterr().err
    assert run("map", "--blend", base, "--map", base, "--head", "Ann") == 2
