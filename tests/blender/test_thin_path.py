# SPDX-License-Identifier: Apache-2.0
"""The thin path: the bundled head, keys from a backend, a file that opens again."""

from pathlib import Path

import bpy

from blender_addon.rig import actions
from blender_addon.rig.target import Owner

from .conftest import animate


def test_one_button_gives_a_keyed_head(scene, speech, tmp_path: Path) -> None:
    assert animate(speech()) == {"FINISHED"}, scene.lsf.report
    head = scene.lsf.head
    action = head.data.shape_keys.animation_data.action
    assert len(actions.fcurves(action, Owner.of(head.data.shape_keys))) == 52
    assert scene.lsf.report_ok, scene.lsf.report
    print(scene.lsf.report)
    path = tmp_path / "out.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert len(bpy.data.actions) == 1
