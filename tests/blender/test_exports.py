# SPDX-License-Identifier: Apache-2.0
"""Exchange files, judged by reading them back: vertices where the scene had them."""

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.output.export import export
from blender_addon.output.files import OutputError
from blender_addon.rig import sound

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
    if not sound.available():
        pytest.skip("this build of Blender has no sound")
    animate(speech("long.flac.wav", 6.0), head=face, start_s=1.0, end_s=4.0)
    path = tmp_path / "part.fbx"
    assert bpy.ops.lsf.export(filepath=str(path)) == {"FINISHED"}
    assert path.with_suffix(".wav").stat().st_size > 1000


def test_a_folder_that_cannot_be_written_is_one_sentence(scene, face, speech) -> None:
    animate(speech(), head=face)
    with pytest.raises(OutputError, match="could not be|cannot be"):
        export(scene, [face], Path("/proc/nowhere/x.fbx"))
    with pytest.raises(OutputError, match="exports"):
        export(scene, [face], Path("x.obj"))
