# SPDX-License-Identifier: Apache-2.0
"""Layers on a rig of a FLAME file that motion in FLAME's space moves, on the evaluated mesh."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from blender_addon import runtime
from blender_addon.bridge.launch import Launch
from blender_addon.rig import check
from lsf_backend.face.face_model import FaceModel
from tests.backend.sounds import write_wav
from tests.face.flame_disguise import write_disguise
from tests.finishing.talk import talk_sound
from tests.finishing.talk_engine import TALK_DIPS, TALK_LEVELS
from tests.finishing.test_flame_lips import gap_of

from .conftest import ROOT, animate

BETAS = np.random.default_rng(8).normal(0, 0.7, 300).astype(np.float32)
LAYERS = ("closure", "silence", "blinks", "gaze", "head_motion", "breathing")


@pytest.fixture(scope="module")
def flame(tmp_path_factory) -> Path:
    return write_disguise(tmp_path_factory.mktemp("flame") / "flame2020.npz")


@pytest.fixture(autouse=True)
def talk(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = (sys.executable, "-m", "tests.finishing.talk_engine")
    monkeypatch.setattr(runtime.launch, "choose", lambda p="": Launch(command, environment, "test"))


def take(scene, sound: Path, flame: Path, rig: str, **strengths: float):
    """One take with these layers and no others; on the face that is there, after the first."""
    scene.render.fps = 25
    scene.lsf.engine, scene.lsf.face_model, scene.lsf.rig = "lsf", "flame", rig
    scene.lsf.flame_file = str(flame)
    assert animate(sound, **{**dict.fromkeys(LAYERS, 0.0), **strengths}) == {"FINISHED"}, (
        scene.lsf.report
    )
    return scene.lsf.head


@pytest.mark.parametrize("rig", [pytest.param("bones", marks=pytest.mark.slow), "shapes"])
def test_lips_of_the_mesh_meet(scene, tmp_path, flame, rig) -> None:
    sound = write_wav(tmp_path / "talk.wav", talk_sound(TALK_LEVELS))
    identity = tmp_path / "betas.npy"
    np.save(identity, BETAS)
    scene.lsf.identity = str(identity)
    face = FaceModel.load(flame)
    gaps = []
    for strength in (1.0, 0.0, 1.0):  # a new face, then the one that is there
        head = take(scene, sound, flame, rig, closure=strength, near_mm=4.0)
        points = np.stack([check.evaluated_points(scene, head, dip + 1.0) for dip in TALK_DIPS])
        gaps.append(gap_of(face, points[:, :, [0, 2, 1]], BETAS))
    first, before, after = gaps
    assert 0.8 < before.min() and before.max() < 4.0
    np.testing.assert_allclose(after, 0.2, atol=0.02)
    np.testing.assert_array_equal(first, after)
    assert "closures (by up to" in scene.lsf.report


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "bone", "least_deg"),
    [("gaze", "left_eye", 1.0), ("head_motion", "neck", 1.0), ("breathing", "neck", 0.3)],
)
def test_a_bone_turns_by_the_strength_of_its_layer(
    scene, tmp_path, flame, layer, bone, least_deg
) -> None:
    sound = write_wav(tmp_path / "talk.wav", talk_sound(TALK_LEVELS))
    turned = []
    for strength in (0.0, 0.5, 1.0):
        rig = take(scene, sound, flame, "bones", **{layer: strength}).parent
        turns = []
        for frame in range(1, 161, 7):
            scene.frame_set(frame)
            turns.append(
                2 * np.arcsin(np.linalg.norm(rig.pose.bones[bone].rotation_quaternion[1:]))
            )
        turned.append(np.degrees(turns))
    assert turned[0].max() == 0.0
    assert turned[2].max() > least_deg
    np.testing.assert_allclose(turned[1], turned[2] / 2, atol=0.05)
