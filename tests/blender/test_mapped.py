# SPDX-License-Identifier: Apache-2.0
"""Everyone's own character: any names, several meshes, bones in any pose and rotation mode."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.retarget.channels import viseme_curves
from blender_addon.rig import actions, bones, mapped, targets
from blender_addon.rig.target import Owner
from lsf_backend.face.arkit import ARKIT_NAMES
from tests.retarget import characters as names

from .conftest import animate, make_face
from .fake_backend import curves
from .made_up import EYES, JAW, bind, keyed, make_rig, world_points

JAW_OPEN, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")


def wanted(name: str) -> np.ndarray:
    return curves(0, 75, 0)[:, ARKIT_NAMES.index(name)]


@pytest.mark.parametrize(
    ("keys", "key", "source"),
    [
        (tuple(f"!ex-{name}" for name in ARKIT_NAMES), "!ex-eyeBlinkLeft", "eyeBlinkLeft"),
        (names.CC4_KEYS, "Eye_L_Look_R", "eyeLookInLeft"),
        (names.META_HUMAN_KEYS, "CTRL_expressions_mouthCornerPullR", "mouthSmileRight"),
        (tuple(name.upper() for name in ARKIT_NAMES), "TONGUEOUT", "tongueOut"),
    ],
)
def test_other_names_just_work_and_say_what_was_matched(scene, speech, keys, key, source) -> None:
    face = make_face("Ann", keys)
    assert "52 of 52" in targets.plan(scene, [face]).sentence()
    assert animate(speech(), head=face) == {"FINISHED"}, scene.lsf.report
    assert np.abs(keyed(face, key) - wanted(source)).max() < 1e-6


@pytest.mark.parametrize(
    ("keys", "family", "key", "viseme"),
    [
        (names.OCULUS_KEYS, "oculus", "viseme_PP", "PP"),
        (names.MICROSOFT_KEYS, "microsoft", "viseme_21", "21"),
        (names.VRM1_KEYS, "vrm", "ou", "ou"),
        (names.VROID_KEYS, "vrm", "Face.M_F00_000_00_Fcl_MTH_A", "aa"),
    ],
)
def test_visemes_are_mixed(scene, speech, keys, family, key, viseme) -> None:
    face = make_face("Ann", keys)
    assert animate(speech(), head=face) == {"FINISHED"}, scene.lsf.report
    mixed = viseme_curves(curves(0, 75, 0), family)[viseme]
    assert np.abs(keyed(face, key) - mixed).max() < 1e-5


def test_parts_of_one_armature_speak_together(scene, speech) -> None:
    rig = make_rig({"Head": ((0, 0, 0), (0, 0, 0.1))})
    face, teeth = make_face("Face"), make_face("Teeth", ("Jaw_Open", "jawLeft"))
    lashes, stranger = make_face("Lashes", ("eye_blink_L", "fancy")), make_face("Other")
    for part in (face, teeth, lashes):
        part.parent = rig
    assert animate(speech(), head=face) == {"FINISHED"}, scene.lsf.report
    np.testing.assert_array_equal(keyed(teeth, "Jaw_Open"), keyed(face, "jawOpen"))
    np.testing.assert_array_equal(keyed(lashes, "eye_blink_L"), keyed(face, "eyeBlinkLeft"))
    assert stranger.data.shape_keys.animation_data is None
    assert rig.animation_data is None, "no bone is needed, so none is touched"


# What turns the armature, and what turns the character in the world.
SPUN = Matrix.Rotation(2.0, 4, "Z")
TURNS = [
    (Matrix(), Matrix()),
    (Matrix.Rotation(math.pi / 2, 4, "X"), Matrix()),
    (SPUN, SPUN),
    (Matrix(), SPUN),
]


@pytest.mark.parametrize("turned", range(len(TURNS)))
@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "ZXY", "AXIS_ANGLE"])
def test_a_jaw_bone_opens_downwards_by_the_angle_asked(scene, mode, turned) -> None:
    """Whatever the bone's roll and rotation mode and the armature's own axes."""
    around, spun = TURNS[turned]
    place = {
        "jaw": (*(spun @ _v(p) for p in JAW), 0.7),
        "eye.L": tuple(spun @ _v(p) for p in EYES[0]),
        "eye.R": tuple(spun @ _v(p) for p in EYES[1]),
    }
    rig = make_rig(place, turned=around)
    face = make_face("Body", ())
    chin = spun @ _v((0.0, -0.08, -0.03))
    for vertex in face.data.vertices:
        vertex.co = chin
    bind(face, rig, {"jaw": list(range(64))})
    rig.pose.bones["jaw"].rotation_mode = mode
    turn = np.zeros((3, 3))
    turn[:, 0] = (0.0, 12.0, 24.0)
    made = bones.turn_curves(rig, "jaw", turn)
    owner = Owner.of(rig)
    action = actions.new_action("turn", owner)
    actions.assign(action, owner)
    actions.write_curves(action, np.array([1.0, 2.0, 3.0]), made)
    for frame, degrees in ((1, 0.0), (2, 12.0), (3, 24.0)):
        expected = spun @ (Matrix.Rotation(math.radians(degrees), 4, "X") @ _v((0, -0.08, -0.03)))
        found = world_points(face, frame)
        assert np.abs(found - np.array(expected)).max() < 1e-5, f"frame {frame}"


def _v(values):
    from mathutils import Vector

    return Vector(values)


def test_a_plain_bone_rig_gets_jaw_eyes_and_lids(scene, speech) -> None:
    rig = make_rig(
        {
            "Jaw": JAW,
            **{f"eye.{side}": EYES[i] for i, side in enumerate("LR")},
            **{f"upperlid.{side}": EYES[i] for i, side in enumerate("LR")},
        }
    )
    body = make_face("Body", ())
    bind(body, rig, {"Jaw": list(range(32))})
    scene.render.fps = 25
    assert animate(speech(), head=body) == {"FINISHED"}, scene.lsf.report
    assert "on 5 bones" in scene.lsf.report and "Nothing drives mouthPucker" in scene.lsf.report
    weights = curves(0, 75, 0)
    net = np.maximum(weights[:, JAW_OPEN] - weights[:, CLOSE], 0)
    angles = []
    for frame in range(1, 76, 9):
        scene.frame_set(frame)
        angles.append(math.degrees(rig.pose.bones["Jaw"].matrix_basis.to_quaternion().angle))
    opens = mapped.proposed(body).rows[0]  # fitted to the lips that the jaw carries
    assert opens.target.name == "Jaw" and opens.high > 10
    assert max(angles) > 0.95 * opens.high * net[::9].max()
    assert np.corrcoef(angles, net[::9])[0, 1] > 0.95


@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_the_angle_of_a_jaw_fits_the_face_not_the_units(scene, size) -> None:
    """A short lever needs a larger angle; the same face in other units needs the same."""

    def degrees(lever: float) -> float:
        place = {"jaw": ((0, 0, 0), (0, -lever * size, 0))}
        eyes = {f"eye.{s}": tuple(size * _v(p) for p in EYES[i]) for i, s in enumerate("LR")}
        rig = make_rig({**place, **eyes}, name="Any")
        opening = bones.wanted_opening(rig, ("eye.L", "eye.R"))
        found = bones.jaw_degrees(rig, "jaw", opening)
        bpy.data.objects.remove(rig)
        return found

    short, long = degrees(0.05), degrees(0.1)
    angles = ((0.05, short), (0.1, long))
    opened = [2 * lever * math.sin(math.radians(angle) / 2) for lever, angle in angles]
    assert short > long and np.allclose(opened, 0.467 * 0.06, rtol=1e-3)


def test_character_creator_moves_its_jaw_bone_and_its_keys(scene, speech) -> None:
    rig = make_rig({"CC_Base_JawRoot": JAW, "CC_Base_L_Eye": EYES[0], "CC_Base_R_Eye": EYES[1]})
    face, tongue = make_face("CC_Base_Body", names.CC4_KEYS), make_face("Tongue", ("Tongue_Out",))
    for part in (face, tongue):
        part.parent = rig
    assert animate(speech(), head=face) == {"FINISHED"}, scene.lsf.report
    np.testing.assert_allclose(keyed(face, "Jaw_Open"), wanted("jawOpen"), atol=1e-6)
    np.testing.assert_allclose(keyed(tongue, "Tongue_Out"), wanted("tongueOut"), atol=1e-6)
    driven = actions.driven_paths(actions.active(Owner.of(rig)), Owner.of(rig))
    assert driven == {bones.rotation_path(rig, "CC_Base_JawRoot")}, "eyes have keys already"


def test_what_only_looks_like_a_face_is_not_driven(scene) -> None:
    assert mapped.recognise(make_face("Cube", ("Key 1", "smile", "A"))) is None
    assert targets.plan(scene, [make_face("Plain", ())]).creates_head
