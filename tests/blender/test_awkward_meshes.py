# SPDX-License-Identifier: Apache-2.0
"""Meshes and characters that are not as they should be: handled, or refused before any change."""

import bpy
import numpy as np
import pytest

from blender_addon import character_files, runtime
from blender_addon.rig import actions, mapped, targets
from blender_addon.rig.target import Curve, Owner, bone_path
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel

from .conftest import animate, make_face
from .fake_backend import curves
from .made_up import EYES, JAW, bind, keyed, make_rig
from .test_faces import person_mesh
from .test_failures import snapshot

NAN = float("nan")


def points_of(obj) -> np.ndarray:
    """Every coordinate that a mesh keeps: its vertices, then each shape key."""
    key = obj.data.shape_keys
    rooms = [obj.data.vertices, *(b.data for b in (key.key_blocks if key else ()))]
    found = [np.empty(3 * len(room), dtype=np.float32) for room in rooms]
    for room, points in zip(rooms, found, strict=True):
        room.foreach_get("co", points)
    return np.concatenate(found)


def bone_rig():
    """An armature with a jaw and eyes, and a mesh that follows its jaw."""
    rig = make_rig({"Jaw": JAW, **{f"eye.{side}": EYES[i] for i, side in enumerate("LR")}})
    body = make_face("Body", ())
    bind(body, rig, {"Jaw": list(range(32))})
    return rig, body


def made_face(scene, rig: str) -> bpy.types.Object:
    """The bundled head in FLAME's format, through the button."""
    scene.lsf.rig = rig
    if rig == "shapes":
        from blender_addon.rig.face_file import HEAD_FILE, load_face
        from blender_addon.rig.face_rig import KEYS, create_rig

        scene.lsf.head = create_rig(scene, load_face(HEAD_FILE), KEYS)
    else:
        bpy.ops.lsf.create_head()
    return scene.lsf.head


CHARACTERS = {
    "arkit": lambda scene: make_face(),
    "mapped": lambda scene: make_face("Ann", tuple(f"!ex-{name}" for name in ARKIT_NAMES)),
    "bones": lambda scene: bone_rig()[1],
    "face with bones": lambda scene: made_face(scene, "bones"),
    "face with jaw keys": lambda scene: made_face(scene, "shapes"),
}


@pytest.mark.parametrize("where", ["vertex", "basis", "shape"])
@pytest.mark.parametrize("character", CHARACTERS)
def test_a_character_with_nan_is_refused_before_any_change(scene, speech, character, where) -> None:
    mesh = CHARACTERS[character](scene)
    blocks = mesh.data.shape_keys.key_blocks if mesh.data.shape_keys else None
    if where != "vertex" and blocks is None:
        pytest.skip("this character has no shape keys")
    rooms = {"vertex": mesh.data.vertices, **({"basis": blocks[0].data} if blocks else {})}
    room = rooms[where] if where in rooms else blocks[3].data
    room[5].co.y = room[9].co.z = NAN
    before = snapshot(scene)
    assert animate(speech(), head=mesh) == {"CANCELLED"}
    assert f"'{mesh.name}' has 2 vertices whose place is not a number" in scene.lsf.report
    scene.lsf.head = bpy.data.objects[before["scene"][1]] if before["scene"][1] else None
    assert snapshot(scene) == before
    assert runtime._backend is None or runtime._backend.pid is None or not runtime._backend.busy


def test_one_broken_part_stops_the_whole_character(scene, speech) -> None:
    rig = make_rig({"Head": ((0, 0, 0), (0, 0, 0.1))})
    face, teeth = make_face("Face"), make_face("Teeth", ("Jaw_Open",))
    face.parent = teeth.parent = rig
    teeth.data.shape_keys.key_blocks[1].data[0].co.x = NAN
    assert animate(speech(), head=face) == {"CANCELLED"}
    assert "'Teeth' has 1 vertices" in scene.lsf.report and not bpy.data.actions


@pytest.mark.parametrize("character", ["arkit", "face with jaw keys", "face with bones"])
def test_locked_shapes_are_keyed_and_stay_as_they_were_locked(scene, speech, character) -> None:
    """Blender's lock keeps a shape from being sculpted; its value can be animated all the same."""
    mesh = CHARACTERS[character](scene)
    blocks = mesh.data.shape_keys.key_blocks
    if not hasattr(blocks[0], "lock_shape"):
        pytest.skip("this version has no locks on shapes")
    for block in blocks:
        block.lock_shape = True
    before = points_of(mesh)
    assert animate(speech(), head=mesh) == {"FINISHED"}, scene.lsf.report
    assert scene.lsf.report_ok
    assert all(block.lock_shape for block in blocks)
    np.testing.assert_array_equal(points_of(mesh), before)
    if character == "arkit":
        wanted = curves(0, 75, 0)[:, ARKIT_NAMES.index("jawOpen")]
        np.testing.assert_allclose(keyed(mesh, "jawOpen"), wanted, atol=1e-6)


def test_locked_bones_turn_all_the_same(scene, speech) -> None:
    rig, body = bone_rig()
    bone = rig.pose.bones["Jaw"]
    bone.lock_rotation, bone.lock_location = (True,) * 3, (True,) * 3
    assert animate(speech(), head=body) == {"FINISHED"}, scene.lsf.report
    assert scene.lsf.report_ok and tuple(bone.lock_rotation) == (True,) * 3


@pytest.mark.parametrize("held", ["muted", "driven", "constrained", "rest", "euler"])
def test_what_keeps_a_made_face_still_is_said(scene, held) -> None:
    mesh = made_face(scene, "bones")
    rig, block = mesh.parent, mesh.data.shape_keys.key_blocks[1]
    if held == "muted":
        block.mute = True
    elif held == "driven":
        block.driver_add("value")
    elif held == "constrained":
        rig.pose.bones["jaw"].constraints.new("LIMIT_ROTATION")
    elif held == "rest":
        rig.data.pose_position = "REST"
    else:
        rig.pose.bones["jaw"].rotation_mode = "XYZ"
    words = {
        "muted": "1 shapes of",
        "driven": "have drivers",
        "constrained": "Constraints may hold 1 bones",
        "rest": "rest pose",
        "euler": "not in quaternion mode",
    }
    told = targets.plan(scene, []).warnings
    assert any(words[held] in sentence for sentence in told), told


def test_hand_made_keys_on_the_same_bones_stay_in_their_own_action(scene, speech) -> None:
    rig, body = bone_rig()
    owner, path = Owner.of(rig), bone_path("Jaw")
    mine = actions.new_action("mine", owner)
    actions.assign(mine, owner)
    frames, values = np.array([1.0, 9.5]), np.array([0.25, 0.75], dtype=np.float32)
    nose = Curve(owner, bone_path("eye.L", "location"), values)
    actions.write_curves(mine, frames, [Curve(owner, path, values), nose])
    assert animate(speech(), head=body) == {"FINISHED"}, scene.lsf.report
    mine = bpy.data.actions["mine"]
    assert mine.use_fake_user and actions.active(owner) != mine
    assert "The Action 'mine'" in scene.lsf.report
    kept = actions.fcurves(mine, owner).find(path)
    points = np.empty(4, dtype=np.float32)
    kept.keyframe_points.foreach_get("co", points)
    assert points.tolist() == [1.0, 0.25, 9.5, 0.75]


@pytest.fixture
def library(scene, tmp_path):
    """A file with a character, and the way to link its datablocks into an empty scene."""
    face = make_face("Ann")
    person_mesh(np.zeros(300, dtype=np.float32))
    rig = make_rig({"Jaw": JAW, **{f"eye.{s}": EYES[i] for i, s in enumerate("LR")}}, "Linked rig")
    path = tmp_path / "library.blend"
    bpy.data.libraries.write(str(path), {face, bpy.data.objects["Somebody"], rig})
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    bpy.ops.outliner.orphans_purge(do_recursive=True)

    def link(room: str, name: str):
        with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
            setattr(wanted, room, [name])
        found = getattr(wanted, room)[0]
        if room == "objects":
            scene.collection.objects.link(found)
            bpy.context.view_layer.update()
        return found

    return link


def refused(scene, speech, head) -> str:
    """Take on ``head``: give the sentence that refuses it, and check that nothing has changed."""
    scene.lsf.head = head
    before = snapshot(scene)
    assert animate(speech(), head=head) == {"CANCELLED"}
    assert snapshot(scene) == before
    return scene.lsf.report


def test_linked_characters_are_refused(scene, speech, library) -> None:
    ann = library("objects", "Ann")
    assert "'Ann' is linked from another file" in refused(scene, speech, ann)
    bpy.context.view_layer.objects.active = ann
    for operator in (bpy.ops.lsf.map_build, bpy.ops.lsf.map_add, bpy.ops.lsf.map_solve):
        assert not operator.poll()
    with pytest.raises(character_files.MapError, match="linked from another file"):
        character_files.proposal(ann)
    assert not len(ann.lsf_character.rows)


def test_a_library_override_keeps_its_take_and_has_no_map(scene, speech, library, tmp_path) -> None:
    ann = library("objects", "Ann").override_create(remap_local_usages=True)
    ann.data = ann.data.override_create(remap_local_usages=True)
    assert animate(speech(), head=ann) == {"FINISHED"}, scene.lsf.report
    assert not bpy.ops.lsf.map_build.poll()
    with pytest.raises(character_files.MapError, match="is a library override"):
        character_files.proposal(ann)
    shot = tmp_path / "shot.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(shot))
    bpy.ops.wm.open_mainfile(filepath=str(shot))
    ann = bpy.context.scene.lsf.head
    assert actions.takes_of(targets.owners_of(ann)[0]) == ["hello take 1"]
    assert len(keyed(ann, "jawOpen")) == 75


def test_a_local_object_of_linked_data_is_refused(scene, speech, library) -> None:
    obj = bpy.data.objects.new("Local", library("meshes", "Ann"))
    scene.collection.objects.link(obj)
    assert "'Local' is linked from another file" in refused(scene, speech, obj)


def test_a_local_mesh_on_a_linked_armature_is_refused(scene, speech, library) -> None:
    rig, body = library("objects", "Linked rig"), make_face("Body", ())
    bind(body, rig, {"Jaw": list(range(32))})
    assert "'Linked rig' is linked from another file" in refused(scene, speech, body)


def test_the_identity_of_a_linked_mesh_is_found_without_touching_it(scene, library) -> None:
    somebody = library("objects", "Somebody")
    before = points_of(somebody)
    bpy.context.view_layer.objects.active = somebody
    assert bpy.ops.lsf.identity_from_mesh() == {"FINISHED"}, scene.lsf.report
    np.testing.assert_array_equal(points_of(somebody), before)
    assert scene.lsf.head.library is None


def basis_of(head) -> np.ndarray:
    points = np.empty(3 * len(head.data.vertices), dtype=np.float32)
    head.data.shape_keys.key_blocks[0].data.foreach_get("co", points)
    return points.reshape(-1, 3)


def identity_of(scene, obj) -> np.ndarray:
    bpy.context.view_layer.objects.active = obj
    assert bpy.ops.lsf.identity_from_mesh() == {"FINISHED"}, scene.lsf.report
    return basis_of(scene.lsf.head)


def random_betas() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, 300).astype(np.float32)


def test_ngons_give_the_same_identity(scene) -> None:
    import bmesh

    obj = person_mesh(random_betas())
    wanted = identity_of(scene, obj)
    cut = bmesh.new()
    cut.from_mesh(obj.data)
    count = len(cut.faces)
    inner = [edge for edge in list(cut.edges)[:4000:9] if len(edge.link_faces) == 2]
    bmesh.ops.dissolve_edges(cut, edges=inner, use_verts=False)
    assert len(cut.faces) < count and any(len(face.verts) > 4 for face in cut.faces)
    cut.to_mesh(obj.data)
    cut.free()
    np.testing.assert_allclose(identity_of(scene, obj), wanted, atol=1e-7)


def test_modifiers_and_shapes_that_identity_leaves_out_are_said(scene) -> None:
    obj = person_mesh(random_betas())
    wanted = identity_of(scene, obj)
    assert "left out" not in scene.lsf.report
    obj.modifiers.new("Subdivision", "SUBSURF")
    obj.modifiers.new("Unseen", "MIRROR").show_viewport = False
    obj.shape_key_add(name="Basis")
    grin = obj.shape_key_add(name="grin", from_mix=False)
    grin.value = 0.5
    np.testing.assert_allclose(identity_of(scene, obj), wanted, atol=1e-7)
    assert "left out: the modifier 'Subdivision' and the shape key 'grin'." in scene.lsf.report


def test_a_mesh_with_a_modifier_applied_is_refused_with_what_to_do(scene) -> None:
    obj = person_mesh(random_betas())
    obj.modifiers.new("Subdivision", "SUBSURF")
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    known = set(bpy.data.objects.keys())
    with pytest.raises(RuntimeError, match="needs landmarks"):
        bpy.ops.lsf.identity_from_mesh()
    assert set(bpy.data.objects.keys()) == known and scene.lsf.head is None


def test_an_asymmetrical_face_keeps_its_asymmetry(scene) -> None:
    """No step may assume that left and right are alike."""
    model = FaceModel.load()
    mirrored = model.v_template * np.array([-1.0, 1.0, 1.0])
    partner = np.array([np.abs(mirrored - v).sum(axis=1).argmin() for v in model.v_template[::50]])
    betas = random_betas()

    def skew_mm(points: np.ndarray) -> np.ndarray:
        return 1000 * (points[partner] * (-1, 1, 1) - points[::50])

    truth = model.shaped(betas)
    assert np.linalg.norm(skew_mm(truth), axis=1).mean() > 0.5, "the face must be asymmetrical"
    found = identity_of(scene, person_mesh(betas))
    from blender_addon.rig.face_file import AXES

    np.testing.assert_allclose(skew_mm(found @ AXES), skew_mm(truth), atol=0.3)


def test_a_face_with_one_side_only_speaks_with_that_side(scene, speech) -> None:
    half = make_face("Half", tuple(n for n in ARKIT_NAMES if not n.endswith("Right")))
    assert animate(speech(), head=half) == {"FINISHED"}, scene.lsf.report
    wanted = curves(0, 75, 0)[:, ARKIT_NAMES.index("mouthSmileLeft")]
    np.testing.assert_allclose(keyed(half, "mouthSmileLeft"), wanted, atol=1e-6)
    assert "'Half' lacks" in scene.lsf.report or "Nothing drives" in scene.lsf.report


def test_a_character_of_ngons_is_keyed_as_it_is(scene, speech) -> None:
    face = make_face()
    corners = [0, *range(1, 8), *range(15, 64, 8), *range(62, 55, -1), *range(48, 0, -8)]
    mesh = bpy.data.meshes.new("Ngon")
    points = points_of(face)[: 3 * 64].reshape(-1, 3)
    mesh.from_pydata(points.tolist(), [], [corners])
    obj = bpy.data.objects.new("Ngon", mesh)
    scene.collection.objects.link(obj)
    for name in ("Basis", *ARKIT_NAMES):
        block = obj.shape_key_add(name=name, from_mix=False)
        block.data.foreach_set("co", _shape(face, name))
    assert animate(speech(), head=obj) == {"FINISHED"}, scene.lsf.report
    assert scene.lsf.report_ok and len(mesh.polygons) == 1
    assert mapped.recognise(obj) is None


def _shape(obj, name: str) -> np.ndarray:
    points = np.empty(3 * len(obj.data.vertices), dtype=np.float32)
    obj.data.shape_keys.key_blocks[name].data.foreach_get("co", points)
    return points


def test_solving_by_geometry_refuses_nan(scene) -> None:
    scene.lsf.rig = "shapes"
    bpy.ops.lsf.create_head()
    head = scene.lsf.head
    head.data.shape_keys.key_blocks["jawOpen"].data[5].co.x = NAN
    with pytest.raises(RuntimeError, match="not a number"):
        bpy.ops.lsf.map_solve()
    assert not head.lsf_character.solve
