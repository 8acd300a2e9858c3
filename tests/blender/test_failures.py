# SPDX-License-Identifier: Apache-2.0
"""Failures: one sentence each, and the scene as it was, or complete keys after a cancel."""

import os
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import runtime
from blender_addon.properties import take_settings
from blender_addon.rig import actions, head_file
from blender_addon.rig.target import Curve, Owner, shape_key_path
from blender_addon.take import Take, TakeError

from .conftest import animate, fake_launch, make_face


def snapshot(scene) -> dict:
    """Everything of the file that a take may touch."""
    rooms = ("objects", "meshes", "materials", "actions", "shape_keys", "sounds", "worlds")
    found = {room: sorted(getattr(bpy.data, room).keys()) for room in rooms}
    for key in bpy.data.shape_keys:
        data = key.animation_data
        action = data.action if data else None
        found[f"{key.name} action"] = (action.name, action.use_fake_user) if action else data
        found[f"{key.name} sliders"] = [(b.slider_min, b.slider_max) for b in key.key_blocks]
    head = scene.lsf.head.name if scene.lsf.head else None
    range_ = (scene.frame_start, scene.frame_end, scene.frame_current, scene.sync_mode)
    return {**found, "scene": (range_, head, scene.sequence_editor is None)}


@pytest.mark.parametrize("name", ["error.wav", "crash.wav", "nan.wav"])
@pytest.mark.parametrize("with_face", [True, False])
def test_a_failed_take_leaves_the_scene_as_it_was(scene, speech, name, with_face) -> None:
    if with_face:
        face = scene.lsf.head = make_face()
        key = face.data.shape_keys
        own = actions.new_action("mine", Owner.of(key))
        actions.assign(own, Owner.of(key))
        curve = Curve(Owner.of(key), shape_key_path("jawOpen"), np.zeros(1))
        actions.write_curves(own, np.array([5.0]), [curve])
    before = snapshot(scene)
    assert animate(speech(name)) == {"CANCELLED"}
    assert snapshot(scene) == before
    assert scene.lsf.report and not scene.lsf.report_ok
    assert runtime.current is None
    assert animate(speech()) == {"FINISHED"}, "the next take works"


def test_a_backend_that_dies_once_is_started_again(scene, face, speech) -> None:
    assert animate(speech("crash_once.wav"), head=face) == {"FINISHED"}
    assert "3,900 keys" in scene.lsf.report


def test_a_backend_that_is_killed_is_not_missed(scene, face, speech) -> None:
    animate(speech(), head=face)
    pid = runtime.backend().pid
    os.kill(pid, 9)
    time.sleep(0.2)
    assert animate(speech(), head=face) == {"FINISHED"}
    assert runtime.backend().pid not in (None, pid)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda speech: "", "Choose a sound file"),
        (lambda speech: "/nowhere/мир.wav", "does not exist"),
    ],
)
def test_a_missing_sound_is_said_before_anything_starts(scene, speech, prepare, words) -> None:
    assert animate(Path(prepare(speech)) if prepare(speech) else "") == {"CANCELLED"}
    assert words in scene.lsf.report
    assert runtime._backend is None or runtime._backend.pid is None


@pytest.mark.parametrize(
    ("names", "words"),
    [((), "has no shape keys"), (("smirk", "frown"), "none has an ARKit name")],
)
def test_a_mesh_that_cannot_speak_is_named(scene, speech, names, words) -> None:
    animate(speech(), head=make_face("Cube", names))
    assert "'Cube'" in scene.lsf.report and words in scene.lsf.report
    assert not bpy.data.actions


def test_nla_tweak_mode_is_said(scene, face, speech) -> None:
    key = face.data.shape_keys
    action = actions.new_action("mine", Owner.of(key))
    actions.assign(action, Owner.of(key))
    curve = Curve(Owner.of(key), shape_key_path("jawOpen"), np.ones(2))
    actions.write_curves(action, np.array([1.0, 20.0]), [curve])
    track = key.animation_data.nla_tracks.new()
    track.strips.new("s", 1, action)
    key.animation_data.action = None
    key.animation_data.nla_tracks.active = track
    track.select = track.strips[0].select = True
    key.animation_data.use_tweak_mode = True
    if not key.animation_data.use_tweak_mode:
        pytest.skip("tweak mode needs a window in this version")
    animate(speech(), head=face)
    assert "tweak mode" in scene.lsf.report


def test_cancel_keeps_what_has_landed(scene, face, speech) -> None:
    scene.lsf.head, scene.lsf.audio = face, str(speech("slow.wav"))
    take = Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    while not take.action_name:
        take.step(0.2)
    take.cancel()
    take.run()
    assert take.cancelled and take.ok and take.report[0].startswith("Cancelled after")
    key = face.data.shape_keys
    curves = actions.fcurves(key.animation_data.action, Owner.of(key))
    lengths = {len(curve.keyframe_points) for curve in curves}
    assert len(curves) == 52 and len(lengths) == 1 and 0 < lengths.pop() < 1500
    assert actions.metadata(key.animation_data.action)["frames"] > 0


def test_cancel_works_on_a_backend_that_does_not_listen(scene, face, speech, monkeypatch) -> None:
    monkeypatch.setattr("blender_addon.bridge.backend.CANCEL_LIMIT_S", 0.3)
    scene.lsf.head, scene.lsf.audio = face, str(speech("deaf.wav"))
    take = Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    while not take.action_name:
        take.step(0.2)
    take.cancel()
    began = time.monotonic()
    take.run()
    assert take.cancelled and time.monotonic() - began < 4
    assert not runtime.backend().busy


def test_a_head_that_is_deleted_meanwhile_ends_the_take(scene, face, speech) -> None:
    scene.lsf.head, scene.lsf.audio = face, str(speech("slow.wav"))
    take = Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    while not take.action_name:
        take.step(0.2)
    bpy.data.objects.remove(face)
    take.run()
    assert not take.ok and "removed" in take.report[0]


def test_another_protocol_and_no_backend_are_explained(scene, face, speech, monkeypatch) -> None:
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": fake_launch("--old"))
    animate(speech(), head=face)
    assert "protocol 99" in scene.lsf.report
    runtime.close()
    nowhere = runtime.launch.Launch(("/nowhere/python", "-m", "x"), {}, "nowhere")
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": nowhere)
    animate(speech(), head=face)
    assert "/nowhere/python" in scene.lsf.report


def test_identity_files_are_checked(scene, tmp_path) -> None:
    for name, values, words in (
        ("long.npy", np.zeros(301), "301 numbers"),
        ("nan.npy", np.full(10, np.nan), "-20..20"),
        ("objects.npy", np.array([{}], dtype=object), "not a list of numbers"),
    ):
        np.save(tmp_path / name, values, allow_pickle=True)
        with pytest.raises(head_file.HeadError, match=words):
            head_file.load_betas(tmp_path / name)
    np.save(tmp_path / "short.npy", np.array([1.0, -2.0]))
    assert head_file.load_betas(tmp_path / "short.npy").tolist() == [1.0, -2.0] + [0.0] * 298
    scene.lsf.identity = str(tmp_path / "none.npy")
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.lsf.create_head()


def test_two_takes_at_once_are_refused(scene, face, speech) -> None:
    scene.lsf.head, scene.lsf.audio = face, str(speech("slow.wav"))
    Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    with pytest.raises(TakeError, match="Another take"):
        Take(runtime.backend(), scene, take_settings(scene.lsf), [])


def test_a_real_missing_model_is_one_sentence(scene, face, speech, monkeypatch, tmp_path) -> None:
    """The real backend, without its model files, says so and nothing changes."""
    launch = runtime.launch.bundled()
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": launch)
    before = snapshot(scene)
    scene.lsf.engine = "lsf"
    assert animate(speech(), head=face) == {"CANCELLED"}
    assert "'lsf'" in scene.lsf.report or "engine" in scene.lsf.report
    after = snapshot(scene)
    assert {**after, "scene": None} == {**before, "scene": None}
