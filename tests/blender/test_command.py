# SPDX-License-Identifier: Apache-2.0
"""Headless use: exit codes, files, the batch with its report and its resume."""

import csv
import json
from pathlib import Path

import bpy
import pytest

from blender_addon import command_line
from blender_addon.rig import actions

from .conftest import make_face


def run(*arguments: object) -> int:
    return command_line.main([str(argument) for argument in arguments])


def test_animate_saves_a_file_that_speaks(speech, tmp_path, capsys) -> None:
    out = tmp_path / "выход dir" / "x.blend"
    assert run("animate", speech(), "--save", out, "--seed", 5, "--fps", 29.97) == 0
    assert f"written: {out}" in capsys.readouterr().out
    bpy.ops.wm.open_mainfile(filepath=str(out))
    scene = bpy.context.scene
    assert (scene.render.fps, round(scene.render.fps_base, 4)) == (30, 1.001)
    key = scene.lsf.head.data.shape_keys
    assert actions.metadata(key.animation_data.action)["seed"] == 5
    assert [p.name for p in out.parent.iterdir()] == ["x.blend"]


def test_animate_works_in_a_file_of_ones_own(speech, tmp_path) -> None:
    make_face("Ann")
    make_face("Bob")
    base = tmp_path / "base.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(base))
    out = tmp_path / "out.blend"
    assert run("animate", speech(), "--out", out) == 2, "two heads: say which"
    assert run("animate", speech(), "--out", out, "--head", "Nobody") == 2
    assert not out.exists()
    assert run("animate", speech(), "--out", out, "--head", "Bob", "--blend", base) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    assert bpy.data.objects["Bob"].data.shape_keys.animation_data is not None
    assert bpy.data.objects["Ann"].data.shape_keys.animation_data is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.wav", "--out", "x.blend"], "does not exist"),
        (["hello.wav"], "Say what should come out"),
        (["hello.wav", "--out", "x.doc"], "outputs end in"),
        (["hello.wav", "--render", "x.fbx"], "ends in .mp4"),
        (["hello.wav", "--out", "/proc/x.blend"], "cannot be written"),
        (["error.wav", "--out", "x.blend"], "cannot be read"),
        (["hello.wav", "--out", "x.blend", "--fps", "0.5"], "frames per second"),
        (["hello.wav", "--out", "x.blend", "--identity", "no.npy"], "does not exist"),
        (["hello.wav", "--out", "x.blend", "--seed", "one"], "invalid int"),
    ],
)
def test_the_users_fault_is_exit_2_and_a_sentence(
    speech, tmp_path, monkeypatch, capsys, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    speech("hello.wav"), speech("error.wav")
    assert run("animate", *arguments) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("*.blend"))


def test_a_dead_backend_is_exit_1(speech, tmp_path) -> None:
    assert run("animate", speech("crash.wav"), "--out", tmp_path / "x.blend") == 1


def test_a_file_is_not_replaced_without_being_told(speech, tmp_path) -> None:
    out = tmp_path / "x.blend"
    out.write_text("mine")
    assert run("animate", speech(), "--out", out) == 2
    assert out.read_text() == "mine"
    assert run("animate", speech(), "--out", out, "--overwrite") == 0
    assert out.stat().st_size > 1000


def test_a_video_has_pictures_and_the_settings_come_back(scene, face, speech, tmp_path) -> None:
    from blender_addon.output.video import render_video

    before = scene.render.engine, scene.render.resolution_x, scene.render.filepath
    scene.frame_start, scene.frame_end = 1, 3
    render_video(scene, face, tmp_path / "x.mp4", size=64)
    assert (tmp_path / "x.mp4").stat().st_size > 500
    assert (scene.render.engine, scene.render.resolution_x, scene.render.filepath) == before
    assert scene.camera is None and not bpy.data.cameras and not bpy.data.lights


def test_a_contact_sheet_has_twelve_frames(scene, face, tmp_path) -> None:
    from blender_addon.output.sheet import contact_sheet

    scene.frame_end = 30
    contact_sheet(scene, face, tmp_path / "sheet.png", "hello", tile=48)
    image = bpy.data.images.load(str(tmp_path / "sheet.png"))
    assert tuple(image.size) == (4 * 48, 3 * 48)


def write_csv(path: Path, rows: list[dict]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_batch_does_every_line_and_resumes(speech, tmp_path, capsys) -> None:
    for name in ("a.wav", "error.wav", "б.wav"):
        speech(name)
    make_face("Ann")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "ann.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    rows = [
        {"sound": "a.wav", "character": "ann.blend", "seed": "2", "name": "first"},
        {"sound": "error.wav"},
        {"sound": "б.wav", "outputs": "blend fbx"},
        {"sound": "a.wav", "seed": "many"},
    ]
    table, out = write_csv(tmp_path / "lines.csv", rows), tmp_path / "out"
    assert run("batch", table, "--out", out) == 2
    told = json.loads((out / "status.json").read_text(encoding="utf-8"))
    assert [told[name]["status"] for name in ("first", "error", "б", "a")] == [
        "done",
        "failed",
        "done",
        "failed",
    ]
    assert "cannot be read" in told["error"]["message"] and "'many'" in told["a"]["message"]
    assert (out / "first.blend").is_file() and (out / "б.fbx").is_file()
    report = list(csv.DictReader((out / "report.csv").open(encoding="utf-8")))
    assert [row["status"] for row in report] == ["done", "failed", "done", "failed"]
    stamp = (out / "first.blend").stat().st_mtime_ns
    rows[1]["sound"], rows[3]["seed"] = "б.wav", "3"
    rows[1]["name"] = "error"
    write_csv(table, rows)
    capsys.readouterr()
    assert run("batch", table, "--out", out) == 0
    said = capsys.readouterr().out
    assert "first: done before" in said and "4 of 4 lines done" in said
    assert (out / "first.blend").stat().st_mtime_ns == stamp


def test_a_list_that_is_none_is_said(tmp_path, capsys) -> None:
    assert run("batch", tmp_path / "none.csv", "--out", tmp_path / "o") == 2
    (tmp_path / "bad.csv").write_text("audio,seed\nx.wav,1\n")
    assert run("batch", tmp_path / "bad.csv", "--out", tmp_path / "o") == 2
    assert "no column 'sound'" in capsys.readouterr().err


def test_a_video_tells_how_far_it_is_and_lends_a_camera(scene, face, tmp_path) -> None:
    from blender_addon.output.video import render_video

    bpy.ops.object.camera_add(location=(50.0, 0.0, 0.0))
    scene.camera = own = bpy.context.object
    scene.frame_start, scene.frame_end = 5, 6
    told: list[float] = []
    render_video(scene, face, tmp_path / "x.mp4", size=64, tell=told.append)
    assert told == [0.5, 1.0]
    assert scene.camera == own and len(bpy.data.cameras) == 1
