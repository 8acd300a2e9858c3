# SPDX-License-Identifier: Apache-2.0
"""Recorded performances as takes, through the real backend process, at any frame rate."""

import dataclasses

import bpy
import numpy as np
import pytest

from blender_addon import command_line, runtime
from blender_addon.bridge.launch import bundled
from blender_addon.rig import actions
from blender_addon.rig.target import Owner, shape_key_path
from lsf_backend.exchange import Performance, read_performance, write_arkit_json, write_live_link
from lsf_backend.face.arkit import ARKIT_NAMES

from .conftest import make_face
from .made_up import keyed
from .test_failures import snapshot


@pytest.fixture(autouse=True)
def real_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": bundled())


def performance(fps: float, turning: bool = False, frames: int = 90) -> Performance:
    rng = np.random.default_rng(1)
    t = np.arange(frames)[:, None] / fps
    weights = 0.5 + 0.53 * np.sin(t * rng.uniform(1, 9, 52) + rng.uniform(0, 6, 52))
    turns = turning * 0.2 * np.sin(3 * t) * np.ones((1, 9))
    return Performance(fps, weights.astype(np.float32), turns.astype(np.float32))


def frames_of(obj) -> np.ndarray:
    owner = Owner.of(obj.data.shape_keys)
    curve = actions.fcurves(actions.active(owner), owner).find(shape_key_path("jawOpen"))
    points = np.empty(len(curve.keyframe_points) * 2, dtype=np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2)[:, 0]


@pytest.mark.parametrize(("fps", "scene_fps"), [(60.0, 24), (30.0, 30), (24.0, 60)])
def test_a_live_link_file_is_keyed_at_its_own_rate(
    scene, face, speech, tmp_path, fps, scene_fps
) -> None:
    wanted = performance(fps)
    write_live_link(tmp_path / "слова.csv", wanted, fps)
    scene.render.fps, scene.lsf.head, scene.lsf.audio = scene_fps, face, str(speech())
    path = str(tmp_path / "слова.csv")
    assert bpy.ops.lsf.import_performance(filepath=path) == {"FINISHED"}, scene.lsf.report
    for column, name in enumerate(ARKIT_NAMES):
        assert np.abs(keyed(face, name) - wanted.weights[:, column]).max() < 1e-5
    np.testing.assert_allclose(frames_of(face), 1 + np.arange(90) * scene_fps / fps, atol=1e-4)
    assert keyed(face, "jawOpen").min() < 0 or keyed(face, "jawOpen").max() > 1
    told = actions.metadata(actions.active(Owner.of(face.data.shape_keys)))
    assert told["take"] == "слова take 1" and told["fps"] == fps
    assert face.animation_data is None, "the recorded head was still"


def test_recorded_turns_move_the_head(scene, face, tmp_path) -> None:
    recorded = performance(25.0, turning=True)
    write_arkit_json(tmp_path / "a.json", recorded)
    scene.render.fps, scene.lsf.head = 25, face
    assert bpy.ops.lsf.import_performance(filepath=str(tmp_path / "a.json")) == {"FINISHED"}
    scene.frame_set(14)
    turn = recorded.rotations[13, 0]
    assert abs(face.delta_rotation_euler.to_quaternion().angle - np.sqrt(3) * abs(turn)) < 1e-3


def test_a_file_that_is_none_changes_nothing(scene, face, tmp_path) -> None:
    scene.lsf.head = face
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    before = snapshot(scene)
    for name, words in (("bad.csv", "Timecode"), ("none.csv", "does not exist")):
        try:
            bpy.ops.lsf.import_performance(filepath=str(tmp_path / name))
        except RuntimeError as error:
            assert words in str(error)
        assert words in scene.lsf.report
        assert snapshot(scene) == before


def test_import_headless_onto_a_character_of_other_names(tmp_path) -> None:
    make_face("Ann", tuple(f"!ex-{name}" for name in ARKIT_NAMES))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "ann.blend"))
    wanted = performance(30.0)
    write_live_link(tmp_path / "a.csv", wanted, 30.0)
    arguments = ["import", tmp_path / "a.csv", "--blend", tmp_path / "ann.blend"]
    out = tmp_path / "out.blend"
    assert command_line.main([str(a) for a in [*arguments, "--out", out]]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    found = keyed(bpy.data.objects["Ann"], "!ex-mouthFunnel")
    column = ARKIT_NAMES.index("mouthFunnel")
    assert np.abs(found - wanted.weights[:, column].clip(0, 1)).max() < 1e-5


def test_a_face_in_flames_format_takes_a_recording_as_motion(scene, tmp_path) -> None:
    from blender_addon.rig.face_file import load_face
    from blender_addon.rig.face_rig import create_rig

    wanted = performance(25.0)
    write_live_link(tmp_path / "a.csv", wanted, 25.0)
    head = scene.lsf.head = create_rig(scene, load_face())
    path = str(tmp_path / "a.csv")
    assert bpy.ops.lsf.import_performance(filepath=path) == {"FINISHED"}, scene.lsf.report
    column = ARKIT_NAMES.index("mouthFunnel")
    assert np.abs(keyed(head, "mouthFunnel") - wanted.weights[:, column]).max() < 1e-5
    assert "1 bone" in scene.lsf.report


@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
def test_a_take_is_written_as_a_performance_and_comes_back(scene, face, tmp_path, suffix) -> None:
    """As it was keyed, at the rate asked for; the scene is as before."""
    recorded = performance(50.0, turning=True)
    recorded = dataclasses.replace(recorded, weights=np.clip(recorded.weights, 0, 1))
    write_arkit_json(tmp_path / "in.json", recorded)
    scene.lsf.head = face
    assert bpy.ops.lsf.import_performance(filepath=str(tmp_path / "in.json")) == {"FINISHED"}
    before = snapshot(scene)
    out = tmp_path / f"from the panel{suffix}"
    rate = 0.0 if suffix == ".npz" else 50.0
    done = bpy.ops.lsf.export_performance(filepath=str(out), format=suffix, fps=rate)
    assert done == {"FINISHED"} and snapshot(scene) == before
    found = read_performance(out)
    assert found.fps == (rate or 25.0)
    close = recorded.resampled(found.fps)
    away = 1e-5 if rate else 0.1  # the head's motion has 50 shapes for ARKit's 49
    assert np.abs(found.weights - close.weights).mean() < away
    assert found.rotations[:, 0] == pytest.approx(close.rotations[:, 0], abs=1e-5)


def test_a_performance_that_cannot_be_written_is_a_sentence(scene, face, tmp_path) -> None:
    assert not bpy.ops.lsf.export_performance.poll(), "no take"
    write_arkit_json(tmp_path / "in.json", performance(25.0))
    scene.lsf.head = face
    assert bpy.ops.lsf.import_performance(filepath=str(tmp_path / "in.json")) == {"FINISHED"}
    with pytest.raises(RuntimeError, match="240"):
        bpy.ops.lsf.export_performance(filepath=str(tmp_path / "x"), format=".csv", fps=0.5)
    with pytest.raises(RuntimeError, match="nowhere"):
        path = str(tmp_path / "nowhere" / "x.csv")
        bpy.ops.lsf.export_performance(filepath=path, format=".csv")
    assert not list(tmp_path.glob("x*"))
