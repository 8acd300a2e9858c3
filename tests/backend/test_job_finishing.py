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
        ({"finishing": {}, "engine": "flame"}, "'flame' face"),
    ],
)
def test_what_cannot_be_finished_is_said(speech: Path, fields: dict, part: str) -> None:
    with pytest.raises(LsfError, match=part) as caught:
        weights(speech, **fields)
    assert caught.value.code == "request_invalid"
