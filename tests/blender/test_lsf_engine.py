# SPDX-License-Identifier: Apache-2.0
"""The full-size engine from the same button: a FLAME checkpoint moves FLAME and ARKit faces."""

import os
import sys
from pathlib import Path

import bpy
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("funasr")

from blender_addon import runtime  # noqa: E402
from blender_addon.bridge.launch import Launch  # noqa: E402
from blender_addon.rig import actions, targets  # noqa: E402
from tests.face.flame_disguise import write_disguise  # noqa: E402

from .conftest import HERE, ROOT, animate  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def small_lsf(tmp_path_factory, monkeypatch) -> None:
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("LSF_CACHE_DIR", str(base / "cache"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("weights")
    command = (sys.executable, str(HERE / "small_lsf_backend.py"), str(folder))
    monkeypatch.setattr(runtime.launch, "choose", lambda p="": Launch(command, environment, "test"))


@pytest.fixture(scope="session")
def flame(tmp_path_factory) -> Path:
    return write_disguise(tmp_path_factory.mktemp("flame") / "flame2020.npz")


def test_a_flame_checkpoint_moves_a_flame_rig_and_an_arkit_face(scene, speech, face, flame) -> None:
    scene.lsf.engine, scene.lsf.face_model, scene.lsf.rig = "lsf", "flame", "bones"
    scene.lsf.flame_file = str(flame)
    assert animate(speech(seconds=1.0)) == {"FINISHED"}, scene.lsf.report
    rig = scene.lsf.head
    assert rig.parent.type == "ARMATURE" and "by geometry" not in scene.lsf.report
    told = actions.metadata(actions.active(targets.owners_of(rig)[0]))
    assert (told["engine"], told["flame_version"], told["face_space"]) == ("lsf", "2020", "flame")

    assert animate(speech(seconds=1.0), head=face) == {"FINISHED"}, scene.lsf.report
    assert "FLAME to ARKit by geometry" in scene.lsf.report and " mm " in scene.lsf.report


def test_what_does_not_go_together_is_said(scene, speech, face, flame, tmp_path) -> None:
    scene.lsf.engine = "lsf"
    assert animate(speech(seconds=1.0), head=face) == {"CANCELLED"}
    assert "no ARKit weights of its own" in scene.lsf.report and not bpy.data.actions
    other = tmp_path / "flame2023.npz"
    other.write_bytes(flame.read_bytes())
    scene.lsf.flame_file = str(other)
    assert animate(speech(seconds=1.0)) == {"CANCELLED"}
    assert "FLAME 2020, and the file is FLAME 2023" in scene.lsf.report
