# SPDX-License-Identifier: Apache-2.0
"""Layers after the engine, as a request asks for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.engine.registry import register_engine
from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.job import Job
from lsf_backend.protocol import AnimateRequest
from tests.backend.engines import LoudnessEngine
from tests.backend.sounds import speechlike, write_wav

OFF = dict.fromkeys(("smoothing", "closure", "silence", "blinks", "gaze"), 0.0)
BLINK = ARKIT_NAMES.index("eyeBlinkLeft")
JAW = ARKIT_NAMES.index("jawOpen")


def weights(speech: Path, cancelled: Any = lambda: False, **fields: Any) -> np.ndarray:
    values = {"audio": str(speech), "engine": "test", "output": "arkit", **fields}
    job = Job(AnimateRequest(**values), cancelled=cancelled)
    parts, at = [], 0
    for chunk in job.chunks():
        assert chunk.first_frame == at
        at += len(chunk.motion)
        parts.append(job.values(chunk))
    assert job.summary()["frames"] == at
    return np.concatenate(parts)


def test_without_finishing_frames_are_the_engines_own(speech: Path) -> None:
    assert (weights(speech)[:, 0] > 0.9).any()  # the test engine counts frames in column 0
    np.testing.assert_allclose(weights(speech, finishing=OFF), weights(speech), atol=1e-6)


def test_layers_add_blinks_and_keep_the_length(speech: Path) -> None:
    engine = {**OFF, "blinks": 1.0}
    blinking = weights(speech, finishing=engine, start_s=0.0)
    assert blinking.shape == weights(speech).shape
    assert blinking[:, BLINK].max() > 0.9
    np.testing.assert_allclose(blinking[:, JAW], weights(speech)[:, JAW], atol=1e-6)


def test_chunks_of_the_engine_change_no_finished_frame(speech: Path) -> None:
    class SmallChunks(LoudnessEngine):
        chunk_frames = 7

    register_engine("small chunks", SmallChunks)
    whole = weights(speech, finishing={})
    np.testing.assert_array_equal(weights(speech, engine="small chunks", finishing={}), whole)


def test_a_cancel_keeps_contiguous_finished_frames(speech: Path) -> None:
    calls: list[int] = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > 4

    kept = weights(speech, cancelled, finishing={})
    assert 0 < len(kept) < len(weights(speech))
    np.testing.assert_allclose(
        kept[:-12, JAW], weights(speech, finishing={})[: len(kept) - 12, JAW], atol=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"finishing": {"blink": 1.0}}, "blink"),
        ({"finishing": {"blinks": 3.0}}, "blinks = 3.0"),
        ({"finishing": 1.0}, "finishing is 1.0"),
        ({"finishing": {}, "extra": ["neck"]}, "extra is"),
        ({"finishing": {}, "extra": ["head", "head"]}, "each once"),
        ({"extra": ["head"]}, "layers make the extras"),
        ({"finishing": {}, "lip_gap_mm": [1.0]}, "lip_gap_mm is"),
        ({"jaw_keys": 1}, "jaw_keys is 1"),
        ({"finishing": {}, "lip_gap_mm": [float("nan")] * 52}, "lip_gap_mm is"),
    ],
)
def test_what_cannot_be_finished_is_said(speech: Path, fields: dict, part: str) -> None:
    with pytest.raises(LsfError, match=part) as caught:
        weights(speech, **fields)
    assert caught.value.code == "request_invalid"


@pytest.mark.parametrize("engine", ["test", "flame"])
def test_extras_come_beside_the_face_only_when_asked(speech: Path, engine: str) -> None:
    def job(**fields: Any) -> tuple[tuple[str, ...], np.ndarray]:
        values = {"audio": str(speech), "engine": engine, "output": "motion", **fields}
        made = Job(AnimateRequest(**values))
        return made.channels, np.concatenate([made.values(chunk) for chunk in made.chunks()])

    layers = {**OFF, "head": 1.0, "gaze": 1.0, "breathing": 1.0}
    names, without = job(finishing=layers)
    assert len(names) == 53 and without.shape[1] == 53
    names, found = job(finishing=layers, extra=["breath", "head", "gaze"])
    extras = ("breath", *(f"head_{axis}_rad" for axis in "xyz"), "eyes_x_rad", "eyes_y_rad")
    assert names[53:] == extras and found.shape == (len(without), 59)
    np.testing.assert_array_equal(found[:, :53], without)
    assert (np.abs(found[:, 53:]).max(axis=0) > 1e-3).all(), "every extra moves"
    names, still = job(finishing=OFF, extra=["head"])
    assert not still[:, 53:].any()


def test_a_flame_face_is_told_which_layers_it_cannot_have(speech: Path) -> None:
    for jaw_keys in (False, True):
        request = AnimateRequest(
            audio=str(speech),
            engine="flame",
            output="motion",
            finishing={"blinks": 1.0, "gaze": 1.0},
            jaw_keys=jaw_keys,
        )
        job = Job(request)
        list(job.chunks())
        notes = " ".join(job.summary()["notes"])
        assert "blinks: left out" in notes
        assert ("gaze: left out, because a face with jaw keys" in notes) == jaw_keys


def test_the_guard_counts_millimetres_of_the_mesh_that_moves(tmp_path: Path) -> None:
    """A mesh whose jaw opens it twice as far is shut with half of the weight left."""
    hush = (0.003 * np.sin(np.arange(48_000))).astype(np.float32)  # far below the loudest second
    speech = write_wav(tmp_path / "hush.wav", np.concatenate([speechlike(2.0), hush]))
    gaps = [0.0] * 52
    found = []
    for opening in (20.0, 40.0):
        gaps[JAW] = opening
        only = {**OFF, "silence": 1.0, "silent_mm": 0.02}
        found.append(weights(speech, finishing=only, lip_gap_mm=gaps)[100:, JAW])
    np.testing.assert_allclose(found[0], 0.02 / 20.0, rtol=0.01)
    np.testing.assert_allclose(found[1], 0.02 / 40.0, rtol=0.01)
