# SPDX-License-Identifier: Apache-2.0
"""One undo step takes a whole take back; the redo brings it again."""

import bpy
import pytest

from .conftest import animate, make_face


def test_one_undo_takes_a_take_back(scene, speech) -> None:
    make_face()
    scene.lsf.head = bpy.data.objects["Face"]
    bpy.ops.ed.undo_push(message="before")
    if not bpy.ops.ed.undo.poll():
        pytest.skip("this build has no undo without a window")
    path = speech()
    assert animate(path) == {"FINISHED"}
    bpy.ops.ed.undo_push(message="Animate from Audio")
    assert len(bpy.data.actions) == 1
    bpy.ops.ed.undo()
    key = bpy.data.objects["Face"].data.shape_keys
    assert len(bpy.data.actions) == 0
    assert key.animation_data is None or key.animation_data.action is None
    bpy.ops.ed.redo()
    assert len(bpy.data.actions) == 1


def test_the_operator_is_one_undo_step() -> None:
    from blender_addon.operators.animate import LSFAnimate
    from blender_addon.operators.head import LSFCreateHead

    assert "UNDO" in LSFAnimate.bl_options and "UNDO" in LSFCreateHead.bl_options
