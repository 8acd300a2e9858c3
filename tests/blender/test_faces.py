# SPDX-License-Identifier: Apache-2.0
"""Faces through the button: bundled head and FLAME file, shapes and bones, identity of a mesh."""

import bpy
import numpy as np
import pytest

from blender_addon import runtime
from blender_addon.command_line import main
from blender_addon.faces import FaceChoice
from blender_addon.properties import take_settings
from blender_addon.rig import actions, check, face_file, neutral, targets
from blender_addon.take import Take, TakeError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_file import convert_flame
from lsf_backend.face.landmarks import head_landmarks
from tests.face.flame_disguise import disguised_arrays
from tests.face.flame_fabricate import flame_2020

from .conftest import animate
from .fake_backend import motion


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def flame(tmp_path_factory):
    """A FLAME 2020 pickle as people have it: Python 2, chumpy; the head in disguise is in it."""
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    path.write_bytes(flame_2020(disguised_arrays()))
    return path


def choose(scene, face_model: str, rig: str, flame=None) -> None:
    scene.lsf.face_model, scene.lsf.rig = face_model, rig
    scene.lsf.flame_file = str(flame) if flame else ""


def points_at(scene, obj, frame: float) -> np.ndarray:
    origin = np.array((obj.parent or obj).matrix_world.translation)
    return check.evaluated_points(scene, obj, frame) - origin


@pytest.mark.parametrize("face_model", ["head", "flame"])
@pytest.mark.parametrize("rig", ["bones", "shapes"])
def test_the_button_makes_and_moves_the_chosen_face(scene, speech, flame, face_model, rig) -> None:
    scene.render.fps = 25
    choose(scene, face_model, rig, flame)
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    assert scene.lsf.report_ok, scene.lsf.report
    head = scene.lsf.head
    assert (head.parent is not None) == (rig == "bones")
    assert ("1 bone" in scene.lsf.report) == (rig == "bones")
    off_by = "has no jaw bone: its keys are" in scene.lsf.report
    assert off_by == (face_model == "flame" and rig == "shapes")
    if face_model == "head" and rig == "shapes":
        return  # the 52 ARKit shapes, which have tests of their own
    model = FaceModel.load(convert_flame(flame) if face_model == "flame" else face_file.HEAD_FILE)
    wave = motion(0, 75, 0)[[0, 40, 74]]
    wanted = model.vertices(None, wave[:, :50], wave[:, 50:]) @ face_file.AXES.T
    for index, frame in enumerate((1.0, 41.0, 75.0)):
        off_mm = 1000 * np.linalg.norm(points_at(scene, head, frame) - wanted[index], axis=1)
        # Without bones, what the expression adds is not turned with the jaw.
        assert off_mm.max() < (0.1 if rig == "bones" else 8.0), off_mm.max()
        assert off_mm.mean() < 0.5


def test_a_failed_take_takes_its_rig_along(scene, speech, flame) -> None:
    choose(scene, "flame", "bones", flame)
    assert animate(speech("crash.wav")) == {"CANCELLED"}
    assert not bpy.data.objects and not bpy.data.armatures and not bpy.data.actions
    assert not bpy.data.meshes and not bpy.data.materials


def test_a_hostile_flame_file_is_refused_and_nothing_changes(scene, speech, tmp_path) -> None:
    marker = tmp_path / "owned"
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    choose(scene, "flame", "bones", path)
    assert animate(speech()) == {"CANCELLED"}
    assert "os.system" in scene.lsf.report and not marker.exists()
    assert bpy.ops.lsf.create_head.poll() and not bpy.data.objects
    choose(scene, "flame", "bones", tmp_path / "missing.pkl")
    assert animate(speech()) == {"CANCELLED"} and "does not exist" in scene.lsf.report


def test_takes_and_undo_of_a_rig(scene, speech) -> None:
    choose(scene, "head", "bones")
    animate(speech())
    animate(speech())
    head = scene.lsf.head
    names = actions.takes_of(targets.owners_of(head)[0])
    assert names == ["hello take 1", "hello take 2"]
    assert bpy.ops.lsf.show_take(take=names[0]) == {"FINISHED"}
    assert bpy.ops.lsf.remove_take() == {"FINISHED"}
    assert actions.takes_of(targets.owners_of(head)[0]) == names[1:]


def test_a_rig_cannot_be_made_in_edit_mode(scene, face) -> None:
    bpy.context.view_layer.objects.active = face
    choose(scene, "head", "bones")
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Object Mode"):
        bpy.ops.lsf.create_head()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.lsf.create_head() == {"FINISHED"}
    assert scene.lsf.head.parent.type == "ARMATURE"


def test_the_request_says_what_the_face_is(scene, speech, flame, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(runtime.backend(), "submit", lambda request, betas: asked.append(request))
    scene.lsf.audio = str(speech())
    choose(scene, "flame", "bones", flame)
    Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    assert (asked[-1].output, asked[-1].face_space, asked[-1].face) == (
        "motion",
        "flame",
        str(flame),
    )
    choose(scene, "head", "shapes", flame)
    Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    assert (asked[-1].output, asked[-1].face_space, asked[-1].face) == ("arkit", "", str(flame))
    choose(scene, "flame", "bones", "/nowhere/flame.pkl")
    with pytest.raises(TakeError, match="does not exist"):
        Take(runtime.backend(), scene, take_settings(scene.lsf), [])


def person_mesh(betas, drop: int = 0) -> bpy.types.Object:
    """A neutral mesh of somebody, 100 times too large, turned; ``drop`` vertices fewer."""
    model = FaceModel.load()
    points = model.shaped(betas)[: model.n_vertices - drop]
    faces = model.faces[(model.faces < len(points)).all(axis=1)]
    mesh = bpy.data.meshes.new("Somebody")
    mesh.from_pydata((points @ face_file.AXES.T).tolist(), [], faces.tolist())
    obj = bpy.data.objects.new("Somebody", mesh)
    bpy.context.scene.collection.objects.link(obj)
    obj.scale, obj.location, obj.rotation_euler = (100.0,) * 3, (3, 2, 1), (0.1, 0.2, 0.3)
    bpy.context.view_layer.objects.active = obj
    bpy.context.view_layer.update()
    return obj


def test_identity_from_the_selected_mesh(scene, speech) -> None:
    betas = np.random.default_rng(3).normal(0, 1, 300).astype(np.float32)
    person_mesh(betas)
    assert bpy.ops.lsf.identity_from_mesh() == {"FINISHED"}, scene.lsf.report
    assert "Identity found" in scene.lsf.report and "mm" in scene.lsf.report
    head = scene.lsf.head
    basis = np.array([v.co for v in head.data.shape_keys.key_blocks[0].data])
    truth = FaceModel.load().shaped(betas) @ face_file.AXES.T
    assert 1000 * np.linalg.norm(basis - truth, axis=1).mean() < 0.1
    assert animate(speech()) == {"FINISHED"}


def test_another_topology_asks_for_landmarks_and_takes_them(scene) -> None:
    obj = person_mesh(np.zeros(300), drop=1)
    with pytest.raises(RuntimeError, match="needs landmarks"):
        bpy.ops.lsf.identity_from_mesh()
    assert scene.lsf.head is None
    assert bpy.ops.lsf.add_landmarks() == {"FINISHED"}
    model, places = FaceModel.load(), head_landmarks(FaceModel.load())
    for child in obj.children:
        truth = model.v_template[places[child[neutral.LANDMARK]]] @ face_file.AXES.T
        guess_mm = 1000 * np.linalg.norm(np.array(child.location) - truth)
        assert guess_mm < 40, (child.name, guess_mm)
        child.location = truth
    bpy.context.view_layer.update()
    assert bpy.ops.lsf.identity_from_mesh() == {"FINISHED"}, scene.lsf.report
    assert "at the landmarks" in scene.lsf.report


@pytest.mark.parametrize("spoiled", ["nan", "empty", "other"])
def test_a_mesh_that_is_no_face_changes_nothing(scene, face, spoiled) -> None:
    bpy.context.view_layer.objects.active = face
    if spoiled == "nan":
        person_mesh(np.zeros(300)).data.vertices[7].co.x = float("nan")
    if spoiled == "empty":
        obj = bpy.data.objects.new("Empty", bpy.data.meshes.new("Empty"))
        scene.collection.objects.link(obj)
        bpy.context.view_layer.objects.active = obj
    known = set(bpy.data.objects.keys())
    with pytest.raises(RuntimeError):
        bpy.ops.lsf.identity_from_mesh()
    assert set(bpy.data.objects.keys()) == known and scene.lsf.head is None
    words = {"nan": "NaN", "empty": "no faces", "other": "needs landmarks"}[spoiled]
    assert words in scene.lsf.report


def test_the_command_makes_a_rig(tmp_path, speech, flame) -> None:
    out = tmp_path / "x.blend"
    arguments = ["--face", str(flame), "--rig", "bones", "--quiet", "--save", str(out)]
    assert main(["animate", str(speech()), *arguments]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(out))
    assert bpy.context.scene.lsf.head.parent.type == "ARMATURE"
    assert "7 expressions" in FaceChoice("", "bones", 7).problem()


def test_the_vertex_cache_plays_the_same_vertices(scene, speech, tmp_path) -> None:
    if "alembic_import" not in dir(bpy.ops.wm):
        pytest.skip("this build of Blender has no Alembic")
    scene.render.fps = 25
    choose(scene, "head", "bones")
    animate(speech())
    head, frame = scene.lsf.head, scene.frame_current
    out = tmp_path / "cache.abc"
    assert bpy.ops.lsf.vertex_cache(filepath=str(out)) == {"FINISHED"}
    assert out.is_file() and (scene.frame_current, scene.frame_end) == (frame, 75)
    copy = next(o for o in scene.objects if o.type == "MESH" and o != head)
    assert copy.data.shape_keys is None and copy.parent.type == "EMPTY"
    for at in (1.0, 33.0, 75.0):
        off = check.evaluated_points(scene, copy, at) - check.evaluated_points(scene, head, at)
        assert 1000 * np.linalg.norm(off, axis=1).max() < 0.1
    assert actions.takes_of(targets.owners_of(head)[0]) == ["hello take 1"]
    with pytest.raises(RuntimeError, match="did not write"):
        bpy.ops.lsf.vertex_cache(filepath=str(tmp_path / "none" / "cache.abc"))
