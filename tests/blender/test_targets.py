# SPDX-License-Identifier: Apache-2.0
"""The seam: a target may drive shape keys and bones at once; everything else goes on working."""

import dataclasses

import bpy
import numpy as np
import pytest

from blender_addon.rig import actions, check, targets
from blender_addon.rig.target import Curve, Owner, bone_path, shape_key_path

from .conftest import animate, make_face
from .fake_backend import curves

TURN = bone_path('Kiefer "x"')
SHAPE = shape_key_path("jawOpen")


@dataclasses.dataclass(frozen=True)
class KeyAndBone:
    """Half the first channel opens a key, the other half turns a bone."""

    name: str
    output: str = "arkit"

    def objects(self):
        obj = bpy.data.objects.get(self.name)
        return [obj, obj.parent] if obj else []

    def paths(self):
        mesh, rig = self.objects()
        return {Owner.of(mesh.data.shape_keys): {SHAPE}, Owner.of(rig): {TURN}}

    def curves(self, values, channels):
        key, rig = self.paths()
        half = values[:, channels.index("jawOpen")] / 2
        turn = {0: np.cos(half), 1: np.sin(half)}
        return [
            Curve(key, SHAPE, half),
            *(Curve(rig, TURN, turn.get(part, 0 * half), part) for part in range(4)),
        ]

    def lips(self):
        return np.zeros(0, dtype=np.int64)

    def summary(self):
        return f"{self.name}: a key and a bone"

    def concerns(self):
        return []


@pytest.fixture
def character(monkeypatch):
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = rig.data.edit_bones.new('Kiefer "x"')
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    bpy.ops.object.mode_set(mode="OBJECT")
    face = make_face("Face", ("jawOpen",))
    face.parent = rig

    def recognise(obj):
        return KeyAndBone(obj.name) if obj.parent == rig else None

    monkeypatch.setattr(targets, "RECOGNISERS", (recognise, *targets.RECOGNISERS))
    return face


def bone_of(face):
    return face.parent.pose.bones[0]


def test_one_take_drives_keys_and_bones(scene, character, speech) -> None:
    assert animate(speech(), head=character) == {"FINISHED"}, scene.lsf.report
    assert f"{75 * 5} keys on 1 shape key and 1 bone" in scene.lsf.report
    half = curves(0, 75, 0)[:, 17] / 2
    scene.render.fps = 25
    rig, key = Owner.of(character.parent), Owner.of(character.data.shape_keys)
    assert (actions.active(rig) == actions.active(key)) == actions.SLOTS
    scene.frame_set(1)
    assert np.isclose(character.data.shape_keys.key_blocks["jawOpen"].value, half[0])
    wanted = (np.cos(half[0]), np.sin(half[0]), 0, 0)
    assert np.allclose(bone_of(character).rotation_quaternion, wanted, atol=1e-6)


def test_takes_of_keys_and_bones_are_shown_and_removed_together(scene, character, speech) -> None:
    animate(speech(), head=character)
    animate(speech(), head=character)
    owners = targets.owners_of(character)
    assert actions.takes_of(owners[0]) == ["hello take 1", "hello take 2"]
    bpy.ops.lsf.show_take(take="hello take 1")
    shown = [actions.metadata(actions.active(owner))["take"] for owner in owners]
    assert shown == ["hello take 1", "hello take 1"]
    bpy.ops.lsf.remove_take()
    assert actions.metadata(actions.active(owners[1]))["take"] == "hello take 2"
    bpy.ops.lsf.remove_take()
    assert not bpy.data.actions
    assert tuple(bone_of(character).rotation_quaternion) == (1, 0, 0, 0)
    assert character.data.shape_keys.key_blocks["jawOpen"].value == 0


def test_a_failed_take_gives_keys_and_bones_back(scene, character, speech) -> None:
    bone_of(character).rotation_quaternion = (0.6, 0.8, 0, 0)
    assert animate(speech("crash.wav"), head=character) == {"CANCELLED"}
    assert not bpy.data.actions and character.parent.animation_data is None
    assert np.allclose(bone_of(character).rotation_quaternion, (0.6, 0.8, 0, 0))


def test_targets_that_need_other_frames_are_not_mixed(
    scene, character, speech, monkeypatch
) -> None:
    wanting = lambda obj: KeyAndBone(obj.name, "motion") if obj == character else None  # noqa: E731
    monkeypatch.setattr(targets, "RECOGNISERS", (wanting, *targets.RECOGNISERS))
    for obj in (character, make_face("Other")):
        obj.select_set(True)
    assert animate(speech()) == {"CANCELLED"}
    assert "one after the other" in scene.lsf.report and not bpy.data.actions


def test_the_check_compares_the_widest_jaw_not_a_busy_shut_mouth() -> None:
    channels = ("mouthPucker", "mouthPressLeft", "jawOpen", "browInnerUp")
    values = np.array([[0, 0, 0, 1], [0.9, 0.9, 0.1, 0], [0, 0, 0.6, 0]], dtype=np.float32)
    assert check.frames_to_compare(values, channels) == (0, 2)
    still = values * (1, 1, 0, 1)
    assert check.frames_to_compare(still, channels) == (0, 1)
