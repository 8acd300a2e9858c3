# SPDX-License-Identifier: Apache-2.0
"""The head's own motion: neck and head bones, beside an artist's body animation, or as a whole."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import actions, head_turn, targets
from blender_addon.rig.target import Owner, bone_path
from lsf_backend.face.arkit import ARKIT_NAMES

from .conftest import animate, make_face
from .made_up import make_rig

CHANNELS = (*ARKIT_NAMES, "head_x_rad", "head_y_rad", "head_z_rad")


def frames(turn) -> np.ndarray:
    values = np.zeros((2, 55), dtype=np.float32)
    values[1, 52:] = turn
    return values


def key(target, values) -> None:
    from blender_addon.rig.clip import Clip
    from blender_addon.rig.rollback import Rollback

    Clip("turn", [target], Rollback()).write(np.array([1.0, 2.0]), values, CHANNELS)
    bpy.context.scene.frame_set(2)


def world(obj, point) -> np.ndarray:
    from mathutils import Vector

    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array(evaluated.matrix_world @ Vector(point))


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "QUATERNION"])
@pytest.mark.parametrize(("turn", "axis", "sign"), [((0.3, 0, 0), 2, -1), ((0, 0.3, 0), 0, 1)])
def test_a_head_without_bones_turns_about_its_neck(scene, mode, turn, axis, sign) -> None:
    """Nodding lowers the nose, turning moves it to the character's left (+x); the neck stays."""
    face = make_face("Face")
    face.location, face.rotation_mode = (1.0, 2.0, 3.0), mode
    bpy.context.view_layer.update()
    corners = np.array([corner[:] for corner in face.bound_box])
    low = np.append(corners[:, :2].mean(axis=0), corners[:, 2].min())
    nose = low + (0.0, -0.1, 0.1)
    before = world(face, low), world(face, nose)
    target = head_turn.beside(targets.target_of(face), ("head",))
    key(target, frames(turn))
    assert np.abs(world(face, low) - before[0]).max() < 1e-5
    moved = world(face, nose) - before[1]
    assert sign * moved[axis] > 0.02
    assert tuple(face.location) == (1.0, 2.0, 3.0), "the artist's own place is not touched"


def test_neck_and_head_bones_share_the_turn(scene) -> None:
    rig = make_rig({"neck": ((0, 0, 0), (0, 0, 0.1)), "head": ((0, 0, 0.1), (0, 0, 0.2))})
    face = make_face("Face")
    face.parent = rig
    target = head_turn.beside(targets.target_of(face), ("head",))
    key(target, frames((0.0, 0.5, 0.0)))
    angles = [rig.pose.bones[name].matrix_basis.to_quaternion().angle for name in ("neck", "head")]
    assert np.allclose(angles, (0.2, 0.3), atol=1e-4)


def test_body_animation_goes_on_below_the_take(scene) -> None:
    """A hand-made Action of the armature keeps playing where the take has no channels."""
    rig = make_rig({"head": ((0, 0, 0), (0, 0, 1)), "arm": ((1, 0, 0), (2, 0, 0))})
    face = make_face("Face")
    face.parent = rig
    owner = Owner.of(rig)
    own = actions.new_action("walk", owner)
    actions.assign(own, owner)
    for bone, value in (("arm", 0.7), ("head", 0.9)):
        curve = actions.fcurves(own, owner).new(bone_path(bone, "location"), index=1)
        curve.keyframe_points.insert(1, 0.0)
        curve.keyframe_points.insert(2, value)
    turn = actions.fcurves(own, owner).new(bone_path("head"), index=1)
    turn.keyframe_points.insert(1, 0.4)
    target = head_turn.beside(targets.target_of(face), ("head",))
    key(target, frames((0.3, 0.0, 0.0)))
    assert abs(rig.pose.bones["arm"].location[1] - 0.7) < 1e-5
    assert abs(rig.pose.bones["head"].matrix_basis.to_quaternion().angle - 0.3) < 1e-3
    assert bpy.data.actions["walk"].use_fake_user
    assert actions.active(owner).name == "turn"


def test_without_a_neck_that_could_turn_it_is_said(scene) -> None:
    rig = make_rig({"hip": ((0, 0, 0), (0, 0, 1))})
    face = make_face("Face")
    face.parent = rig
    plan = targets.plan(scene, [face], ("head",))
    assert len(plan.targets) == 1 and "no neck or head bone" in plan.still_head
    assert len(targets.plan(scene, [face]).targets) == 1


@pytest.mark.parametrize("kind", ["object", "bones"])
def test_a_take_without_turns_does_not_play_those_of_another(scene, speech, kind) -> None:
    """Off is off, whichever take was shown before, and each take comes back as it was."""
    rig = make_rig({"neck": ((0, 0, 0), (0, 0, 0.1)), "head": ((0, 0, 0.1), (0, 0, 0.2))})
    face, other = make_face("Face"), make_face("Other")
    for obj in (face, other):
        obj.parent = rig if kind == "bones" and obj == face else None
        animate(speech(), head=obj, head_motion=1.0)
    moved = rig if kind == "bones" else face

    def turned(obj=moved) -> float:
        scene.frame_set(40)
        if obj == rig:
            return obj.pose.bones["head"].matrix_basis.to_quaternion().angle
        return float(np.abs(obj.delta_rotation_euler).max())

    with_turns = actions.active(targets.owners_of(face)[0]).name
    there = turned()
    assert there > 1e-3 and turned(other) > 1e-3
    assert animate(speech(), head=face, head_motion=0.0) == {"FINISHED"}
    without = actions.active(targets.owners_of(face)[0]).name
    assert turned() == 0.0 and turned(other) > 1e-3, "another character goes on"
    assert bpy.ops.lsf.show_take(take=with_turns) == {"FINISHED"} and turned() == there
    assert bpy.ops.lsf.show_take(take=without) == {"FINISHED"} and turned() == 0.0
    assert animate(speech("crash.wav"), head=face, head_motion=0.0) == {"CANCELLED"}
    assert turned() == 0.0
    bpy.ops.lsf.show_take(take=with_turns)
    assert animate(speech("crash.wav"), head=face, head_motion=0.0) == {"CANCELLED"}
    assert turned() == there, "a take that failed leaves the turns of the one before"
