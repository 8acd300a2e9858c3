# SPDX-License-Identifier: Apache-2.0
"""Keys: exact in time at any frame rate, on every matching mesh, beside the artist's own work."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import actions, sound, targets
from blender_addon.rig.target import Curve, Owner, shape_key_path
from lsf_backend.face.arkit import ARKIT_NAMES

from .conftest import animate, make_face
from .fake_backend import curves


def keys_of(obj, shape: str) -> np.ndarray:
    key = obj.data.shape_keys
    curve = actions.fcurves(key.animation_data.action, Owner.of(key)).find(shape_key_path(shape))
    points = np.empty(len(curve.keyframe_points) * 2, dtype=np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2)


@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (25, 1.0), (30, 1.001), (30, 1.0), (60, 1.0)])
def test_every_motion_frame_is_a_key_at_its_exact_time(scene, face, speech, fps, base) -> None:
    scene.render.fps, scene.render.fps_base = fps, base
    assert animate(speech(), head=face, start_frame=7) == {"FINISHED"}
    wanted = curves(0, 75, 0)
    for column, shape in enumerate(ARKIT_NAMES):
        points = keys_of(face, shape)
        seconds = (points[:, 0] - 7) / (fps / scene.render.fps_base)
        assert np.abs(seconds - np.arange(75) / 25).max() < 1e-5
        assert np.abs(points[:, 1] - wanted[:, column]).max() < 1e-6
    assert scene.frame_start == 7
    assert scene.frame_end == int(np.ceil(7 + 3.0 * fps / scene.render.fps_base - 1e-6)) - 1


def test_the_scene_shows_the_motion_between_frames_too(scene, face, speech) -> None:
    scene.render.fps = 30
    animate(speech(), head=face)
    wanted = curves(0, 75, 0)
    for index in (0, 1, 31, 73):
        frame = 1 + index * 30 / 25
        scene.frame_set(int(frame), subframe=frame % 1)
        value = face.data.shape_keys.key_blocks["jawOpen"].value
        assert abs(value - wanted[index, ARKIT_NAMES.index("jawOpen")]) < 1e-4


def test_each_take_is_a_new_action_that_says_how_it_was_made(scene, face, speech) -> None:
    path = speech("héllo мир.wav")
    animate(path, head=face, seed=3, temperature=0.5)
    animate(path, head=face, seed=4)
    names = actions.takes_of(Owner.of(face.data.shape_keys))
    assert names == ["héllo мир take 1", "héllo мир take 2"]
    told = actions.metadata(bpy.data.actions[names[0]])
    assert (told["seed"], told["engine"], told["model_digest"]) == (3, "compact", "test")
    assert told["temperature"] == 0.5 and told["audio"] == str(path)
    assert all(bpy.data.actions[name].use_fake_user for name in names)
    assert bpy.ops.lsf.show_take(take=names[0]) == {"FINISHED"}
    assert face.data.shape_keys.animation_data.action.name == names[0]
    assert bpy.ops.lsf.remove_take() == {"FINISHED"}
    assert actions.takes_of(Owner.of(face.data.shape_keys)) == names[1:]
    assert face.data.shape_keys.animation_data.action.name == names[1]


def test_ten_takes_and_long_names_stay_apart(scene, face, speech) -> None:
    for _ in range(11):
        assert animate(speech("п" * 60 + ".wav", 0.5), head=face) == {"FINISHED"}
    assert len(actions.takes_of(Owner.of(face.data.shape_keys))) == 11


def test_the_artists_action_is_put_aside_untouched(scene, face, speech) -> None:
    key = face.data.shape_keys
    owner = Owner.of(key)
    own = actions.new_action("mine", owner)
    actions.assign(own, owner)
    frames, values = np.array([1.0, 9.5]), np.array([[0.25, 0.5], [0.75, 1.0]], dtype=np.float32)
    face.shape_key_add(name="wart")
    shapes = ("jawOpen", "wart")
    written = [Curve(owner, shape_key_path(shapes[i]), values[:, i]) for i in (0, 1)]
    actions.write_curves(own, frames, written)
    assert animate(speech(), head=face) == {"FINISHED"}
    own = bpy.data.actions["mine"]
    assert own.use_fake_user and key.animation_data.action != own
    assert "mine" in scene.lsf.report and "1 other" in scene.lsf.report
    actions.assign(own, owner)
    assert np.allclose(keys_of(face, "jawOpen"), [[1, 0.25], [9.5, 0.75]])
    assert len(actions.fcurves(own, owner)) == 2


def test_several_meshes_by_any_spelling(scene, speech) -> None:
    spelled = tuple(name.replace("Left", "_L").replace("Right", "_R") for name in ARKIT_NAMES)
    meshes = [
        make_face("Body", spelled),
        make_face("Teeth", ("JAW-OPEN", "jaw.left", "Other")),
        make_face("Cube", ()),
    ]
    for obj in meshes:
        obj.select_set(True)
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    assert len(keys_of(meshes[0], "eyeBlink_L")) == 75
    assert np.allclose(keys_of(meshes[1], "JAW-OPEN"), keys_of(meshes[0], "jawOpen"))
    assert "3,900" not in scene.lsf.report and "4,050 keys on 54" in scene.lsf.report
    assert "Cube" in scene.lsf.report
    assert bpy.data.objects.get("LSF Head") is None


def test_sliders_open_for_values_outside_0_to_1(scene, face, speech) -> None:
    key = face.data.shape_keys
    key.key_blocks["jawOpen"].slider_max = 0.1
    animate(speech(), head=face)
    assert key.key_blocks["jawOpen"].slider_max > 0.9
    scene.frame_set(40)


def test_takes_share_the_timeline_without_sounding_twice(scene, face, speech) -> None:
    if not sound.available():
        pytest.skip("this build of Blender has no sound")
    path = speech()
    animate(path, head=face)
    animate(path, head=face)
    animate(speech("other.wav"), head=face)
    heard = [strip for strip in sound.strips(scene) if not strip.mute]
    assert len(sound.strips(scene)) == 2 and len(heard) == 1
    assert "other" in heard[0].sound.filepath
    bpy.ops.lsf.show_take(take="hello take 2")
    heard = [strip for strip in sound.strips(scene) if not strip.mute]
    assert len(heard) == 1 and "hello" in heard[0].sound.filepath


def test_a_part_of_the_sound_is_trimmed_to_its_place(scene, face, speech) -> None:
    if not sound.available():
        pytest.skip("this build of Blender has no sound")
    scene.render.fps = 25
    animate(speech(seconds=6.0), head=face, start_frame=101, start_s=2.0, end_s=5.0)
    strip = sound.strips(scene)[0]
    assert (strip.frame_final_start, strip.frame_final_end) == (101, 176)
    assert abs(strip.frame_start - 51) < 1e-3


def test_drivers_and_muted_shapes_are_named_when_nothing_moves(scene, face, speech) -> None:
    for block in face.data.shape_keys.key_blocks[1:]:
        block.mute = True
    animate(speech(), head=face)
    assert not scene.lsf.report_ok
    assert "does not move" in scene.lsf.report and "muted" in scene.lsf.report


def test_takes_of_several_meshes_are_shown_and_removed_together(scene, speech) -> None:
    meshes = [make_face("Body"), make_face("Body.001", ("jawOpen",))]
    for obj in meshes:
        obj.select_set(True)
    animate(speech())
    animate(speech())
    scene.lsf.head = meshes[0]
    keys = [obj.data.shape_keys for obj in meshes]
    assert actions.takes_of(Owner.of(keys[0])) == ["hello take 1", "hello take 2"]
    assert bpy.ops.lsf.show_take(take="hello take 1") == {"FINISHED"}
    shown = [key.animation_data.action for key in keys]
    assert all(actions.metadata(action)["take"] == "hello take 1" for action in shown)
    assert bpy.ops.lsf.remove_take() == {"FINISHED"}
    shown = [key.animation_data.action for key in keys]
    assert all(actions.metadata(action)["take"] == "hello take 2" for action in shown)
    assert len({action.name for action in bpy.data.actions}) == (1 if actions.SLOTS else 2)


def test_the_default_cube_does_not_stop_the_first_take(scene, speech) -> None:
    make_face("Cube", ()).select_set(True)
    plan = targets.plan(scene, list(scene.objects))
    assert plan.creates_head and plan.warnings == ("'Cube' has no shape keys.",)
    assert animate(speech()) == {"FINISHED"}
    assert scene.lsf.head.name == "LSF Head" and scene.lsf.report_ok
