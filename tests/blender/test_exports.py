# SPDX-License-Identifier: Apache-2.0
"""Exchange files, judged by reading them back: vertices where the scene had them."""

import wave
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.output.export import export
from blender_addon.output.files import OutputError
from blender_addon.rig import actions
from blender_addon.rig.target import Curve, Owner, shape_key_path

from .conftest import animate

FRAMES = (1, 2, 37, 74)
# Blender's FBX importer brings animation in one frame late.
LATE = {".fbx": 1}
READERS = {
    ".fbx": (bpy.ops.import_scene, "fbx"),
    ".glb": (bpy.ops.import_scene, "gltf"),
    ".abc": (bpy.ops.wm, "alembic_import"),
    ".usd": (bpy.ops.wm, "usd_import"),
}


def world_points(scene, obj, frame: int) -> np.ndarray:
    scene.frame_set(frame)
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    matrix = np.array(evaluated.matrix_world)
    evaluated.to_mesh_clear()
    return points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def read_back(path: Path):
    room, name = READERS[path.suffix]
    known = set(bpy.data.objects.keys())
    getattr(room, name)(filepath=str(path))
    new = [obj for obj in bpy.data.objects if obj.name not in known and obj.type == "MESH"]
    assert len(new) == 1
    return new[0]


@pytest.mark.parametrize("suffix", READERS)
def test_what_is_exported_comes_back_where_it_was(scene, face, speech, tmp_path, suffix) -> None:
    room, name = READERS[suffix]
    if name not in dir(room):
        pytest.skip(f"this build of Blender has no {suffix}")
    scene.render.fps = 25
    face.location = (0.5, -0.25, 1.0)
    assert animate(speech(), head=face) == {"FINISHED"}
    wanted = [world_points(scene, face, frame) for frame in FRAMES]
    path = tmp_path / f"out{suffix}"
    export(scene, [face], path)
    scene.frame_end = 100
    copy = read_back(path)
    for frame, points in zip(FRAMES, wanted, strict=True):
        found = world_points(scene, copy, frame + LATE.get(suffix, 0))
        # Corners may come back in another order, or doubled: compare as sets of places.
        gap = np.linalg.norm(points[:, None] - found[None], axis=2).min(axis=1)
        assert gap.max() < 2e-5, f"frame {frame}: {1000 * gap.max():.3f} mm"
    moved = np.linalg.norm(wanted[2] - wanted[0], axis=1).max()
    assert moved > 1e-3, "the test's own face moves"


def test_the_export_button_puts_the_sound_beside(scene, face, speech, tmp_path) -> None:
    animate(speech(), head=face)
    face.select_set(False)
    path = tmp_path / "take.fbx"
    assert bpy.ops.lsf.export(filepath=str(path)) == {"FINISHED"}
    assert path.stat().st_size > 1000
    assert path.with_suffix(".wav").read_bytes() == speech().read_bytes()
    assert not face.select_get(), "the artist's selection is as it was"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".lsf-")]


def test_a_part_of_a_sound_is_cut_for_the_export(scene, face, speech, tmp_path) -> None:
    animate(speech("long.flac.wav", 6.0), head=face, start_s=1.0, end_s=4.0)
    path = tmp_path / "part.fbx"
    assert bpy.ops.lsf.export(filepath=str(path)) == {"FINISHED"}
    with (
        wave.open(str(speech("long.flac.wav", 6.0))) as whole,
        wave.open(str(path.with_suffix(".wav"))) as cut,
    ):
        assert cut.getnframes() == 3 * 16000
        whole.setpos(16000)
        assert cut.readframes(999) == whole.readframes(999)


def test_a_folder_that_cannot_be_written_is_one_sentence(scene, face, speech) -> None:
    animate(speech(), head=face)
    with pytest.raises(OutputError, match="could not be|cannot be"):
        export(scene, [face], Path("/proc/nowhere/x.fbx"))
    with pytest.raises(OutputError, match="exports"):
        export(scene, [face], Path("x.obj"))


@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".usd"])
def test_signed_and_large_weights_survive_importers_that_clamp(
    scene, face, tmp_path, suffix
) -> None:
    room, name = READERS[suffix]
    if name not in dir(room):
        pytest.skip(f"this build of Blender has no {suffix}")
    scene.render.fps, scene.frame_end = 25, 20
    owner = Owner.of(face.data.shape_keys)
    action = actions.new_action("signed", owner)
    actions.assign(action, owner)
    frames = np.arange(1, 21, dtype=np.float64)
    waves = {"jawOpen": 2.5 * np.sin(frames / 3), "mouthPucker": 0.5 + 0.5 * np.cos(frames)}
    for shape in waves:
        block = face.data.shape_keys.key_blocks[shape]
        block.slider_min, block.slider_max = -5.0, 5.0
    curves = [Curve(owner, shape_key_path(n), v.astype(np.float32)) for n, v in waves.items()]
    actions.write_curves(action, frames, curves)
    before = (set(bpy.data.objects), set(bpy.data.meshes), set(bpy.data.actions), face.name)
    done = export(scene, [face], tmp_path / f"a{suffix}", check=True)
    assert "split or scaled" in done.notes[0] and "1 shape keys" in done.notes[0]
    assert done.verdict.max_mm < 0.05, done.verdict
    after = (set(bpy.data.objects), set(bpy.data.meshes), set(bpy.data.actions), face.name)
    assert after == before, "copies and what was read back are gone"
    assert len(face.data.shape_keys.key_blocks) == 53


@pytest.mark.parametrize(
    ("preset", "suffix"), [("unreal", ".fbx"), ("unity", ".fbx"), ("godot", ".glb")]
)
def test_presets_are_read_back_within_a_tenth_of_a_millimetre(
    scene, face, speech, tmp_path, preset, suffix
) -> None:
    animate(speech(), head=face)
    done = export(scene, [face], tmp_path / f"a{suffix}", preset, check=True)
    assert done.verdict.max_mm < 0.1 and done.verdict.meshes == 1
    assert "within" in done.sentences()[-1]
    with pytest.raises(OutputError, match="is for"):
        export(scene, [face], tmp_path / "a.usd", preset)


def test_a_file_that_differs_is_found_out(scene, face, speech, tmp_path) -> None:
    animate(speech(), head=face)
    path = tmp_path / "a.fbx"
    export(scene, [face], path)
    face.scale = (1.5, 1.0, 1.0)
    bpy.context.view_layer.update()
    from blender_addon.output.verify import verify

    assert verify(scene, [face], path).max_mm > 5.0
