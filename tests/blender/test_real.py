# SPDX-License-Identifier: Apache-2.0
"""The real engine from the button: the bundled sentence moves lips, bad sounds change nothing."""

import os
import signal
import time

import bpy
import numpy as np
import pytest

from blender_addon import runtime
from blender_addon.bridge.launch import bundled
from blender_addon.properties import take_settings
from blender_addon.rig import actions
from blender_addon.rig.target import Owner, shape_key_path
from blender_addon.take import Take
from lsf_backend.engine.registry import engine_info
from lsf_backend.protocol import ASSETS

from .conftest import animate
from .test_failures import snapshot

if not engine_info("compact").available:
    pytest.skip("the compact model is not in this checkout", allow_module_level=True)

SAMPLE = ASSETS / "sample.wav"


@pytest.fixture(autouse=True)
def real_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": bundled())


def curve_of(name: str = "jawOpen") -> np.ndarray:
    key = bpy.context.scene.lsf.head.data.shape_keys
    action = key.animation_data.action
    curve = actions.fcurves(action, Owner.of(key)).find(shape_key_path(name))
    points = np.empty(len(curve.keyframe_points) * 2, dtype=np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2)[:, 1]


def test_the_bundled_sentence_moves_the_lips_and_says_so(scene) -> None:
    assert animate(SAMPLE) == {"FINISHED"}, scene.lsf.report
    assert scene.lsf.report_ok, scene.lsf.report
    assert f"{52 * len(curve_of()):,} keys on 52 shape keys; lips moved" in scene.lsf.report
    moved_mm = float(scene.lsf.report.split("moved ")[1].split(" mm")[0])
    assert 2.0 < moved_mm < 40.0
    told = actions.metadata(scene.lsf.head.data.shape_keys.animation_data.action)
    assert told["model_digest"] and told["versions"]["onnxruntime"]


def test_a_seed_gives_the_same_take_again_and_another_another(scene) -> None:
    curves = []
    for seed in (1, 1, 2):
        animate(SAMPLE, seed=seed, temperature=1.0, end_s=2.0)
        curves.append(curve_of())
    assert np.array_equal(curves[0], curves[1])
    assert not np.array_equal(curves[0], curves[2])


def test_the_eyes_blink_unless_the_layer_is_left_out(scene) -> None:
    seed = next(seed for seed in range(20) if blinks(seed))
    assert curve_of("eyeBlinkLeft").max() > 0.9 and curve_of("eyeBlinkRight").max() > 0.9
    told = actions.metadata(scene.lsf.head.data.shape_keys.animation_data.action)
    assert told["finishing"]["blinks"] == 1.0
    assert not blinks(seed, blinks=0.0)


def blinks(seed: int, **layers: float) -> bool:
    animate(SAMPLE, seed=seed, **layers)
    return bool(curve_of("eyeBlinkLeft").max() > 0.5)


@pytest.mark.parametrize("kind", ["text", "empty", "short", "silent", "range"])
def test_a_sound_that_cannot_be_used_is_one_sentence(scene, speech, tmp_path, kind) -> None:
    path = speech("звук no.wav", 0.1 if kind == "short" else 1.0)
    if kind == "text":
        path.write_text("this is not a sound")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "silent":
        data = bytearray(path.read_bytes())
        data[44:] = bytes(len(data) - 44)
        path.write_bytes(bytes(data))
    before = snapshot(scene)
    done = animate(path, start_s=50.0 if kind == "range" else 0.0)
    if kind == "silent" and done == {"FINISHED"}:
        assert "sil" in scene.lsf.report.lower() or "quiet" in scene.lsf.report.lower()
        return
    assert done == {"CANCELLED"}
    assert len(scene.lsf.report) > 20 and "Traceback" not in scene.lsf.report
    assert snapshot(scene) == before


def test_the_real_backend_killed_in_the_middle_is_replayed(scene, tmp_path) -> None:
    import wave

    with wave.open(str(SAMPLE)) as stream:
        parameters, data = stream.getparams(), stream.readframes(stream.getnframes())
    long = tmp_path / "long.wav"
    with wave.open(str(long), "wb") as stream:
        stream.setparams(parameters)
        stream.writeframes(data * 8)
    scene.lsf.audio = str(long)
    take = runtime.current = Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    end = time.monotonic() + 60
    while not take.action_name and time.monotonic() < end:
        take.step(0.1)
    os.kill(runtime.backend().pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    take.run()
    runtime.current = None
    assert take.ok, take.report
    assert len(curve_of()) == int(25 * 8 * len(data) / 2 / parameters.framerate)
