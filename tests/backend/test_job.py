# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.job import Job
from lsf_backend.protocol import AnimateRequest


def request(speech: Path, **fields: Any) -> AnimateRequest:
    return AnimateRequest(**{"audio": str(speech), "engine": "test", "output": "motion", **fields})


def frames(job: Job) -> np.ndarray:
    chunks = list(job.chunks())
    starts = np.cumsum([0, *(len(chunk.motion) for chunk in chunks)])
    assert [chunk.first_frame for chunk in chunks] == starts[:-1].tolist()
    return np.concatenate([job.values(chunk) for chunk in chunks])


def test_a_sound_becomes_all_its_frames_in_order(speech: Path) -> None:
    job = Job(request(speech))
    motion = frames(job)
    assert motion.shape == (125, 53) and motion.dtype == np.float32 and job.n_frames == 125
    np.testing.assert_allclose(motion[:, 0] * 100, np.arange(125) % 100, atol=1e-4)
    summary = job.summary()
    assert summary["frames"] == 125 and not summary["cancelled"] and summary["warnings"] == []


def test_metadata_says_how_to_make_the_same_again(speech: Path) -> None:
    def make(**fields: Any) -> tuple[np.ndarray, dict[str, Any]]:
        job = Job(request(speech, start_s=1.0, **fields))
        return frames(job), json.loads(json.dumps(job.metadata(), allow_nan=False))

    motion, metadata = make(seed=7, temperature=0.5)
    again = make(seed=metadata["seed"], temperature=metadata["temperature"])[0]
    np.testing.assert_array_equal(motion, again)
    assert not np.array_equal(motion, make(seed=8, temperature=0.5)[0])
    assert metadata["audio"] == speech.name and metadata["model_digest"] == "0123456789abcdef"
    assert metadata["start_s"] == 1.0 and metadata["duration_s"] == pytest.approx(4.02)
    assert {"lsf-animation", "numpy", "av"} <= set(metadata["versions"])


def test_arkit_output_has_52_named_weights(speech: Path) -> None:
    job = Job(request(speech, output="arkit"))
    weights = frames(job)
    assert weights.shape == (125, 52) and job.channels == ARKIT_NAMES
    assert weights.min() >= 0 and weights.max() <= 1
    assert weights[:, ARKIT_NAMES.index("jawOpen")].max() > 0.1
    assert len(Job(request(speech)).channels) == 53
    assert len(Job(request(speech, engine="flame")).channels) == 53


@pytest.mark.parametrize("engine", ["gap", "short", "nan", "broken"])
def test_an_engine_that_breaks_the_rules_is_our_fault(speech: Path, engine: str) -> None:
    with pytest.raises(LsfError) as caught:
        frames(Job(request(speech, engine=engine)))
    assert caught.value.code == "internal" and not caught.value.user_fault
    assert engine in caught.value.message


def test_a_gap_is_noticed_at_once_and_not_at_the_end(speech: Path) -> None:
    job = Job(request(speech, engine="gap"))
    with pytest.raises(LsfError, match="gave frame 50 after 25 frames"):
        frames(job)


@pytest.mark.parametrize("engine", ["test", "deaf"])
def test_cancel_keeps_what_has_come(speech: Path, engine: str) -> None:
    landed: list[int] = []
    job = Job(request(speech, engine=engine), cancelled=lambda: len(landed) >= 2)
    for chunk in job.chunks():
        landed.append(len(chunk.motion))
    summary = job.summary()
    assert summary["cancelled"] and summary["frames"] == sum(landed) == 50


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"audio": ""}, "request_invalid"),
        ({"audio": 5}, "request_invalid"),
        ({"audio": None}, "request_invalid"),
        ({"seed": -1}, "request_invalid"),
        ({"seed": 1.5}, "request_invalid"),
        ({"seed": True}, "request_invalid"),
        ({"seed": 2**64}, "request_invalid"),
        ({"temperature": math.nan}, "request_invalid"),
        ({"temperature": -0.1}, "request_invalid"),
        ({"temperature": "warm"}, "request_invalid"),
        ({"start_s": "0"}, "request_invalid"),
        ({"start_s": None}, "request_invalid"),
        ({"end_s": [1]}, "request_invalid"),
        ({"end_s": 99.0}, "range_invalid"),
        ({"output": "vertices"}, "request_invalid"),
        ({"engine": "flame", "output": "arkit"}, "request_invalid"),
        ({"device": "cuda"}, "request_invalid"),
        ({"engine": "nobody"}, "engine_unavailable"),
        ({"engine": "absent"}, "engine_unavailable"),
        ({"engine": "no-package"}, "engine_unavailable"),
    ],
)
def test_requests_that_cannot_be_met(speech: Path, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(LsfError) as caught:
        Job(dataclasses.replace(request(speech), **fields))
    assert caught.value.code == code and caught.value.user_fault
    assert caught.value.message.endswith(".") and len(str(caught.value)) < 300


def test_identity_is_padded_to_300(speech: Path) -> None:
    motion = frames(Job(request(speech), betas=np.array([1.5, 2.0])))
    assert (motion[:, 11] == 1.5).all()
    assert Job(request(speech), betas=np.ones(300)).metadata()["identity"] is True


@pytest.mark.parametrize(
    "betas",
    [np.zeros(301), np.zeros(0), [np.nan], [np.inf], np.full(300, 11.0), ["a"], [[1], [2, 3]]],
)
def test_identities_that_are_none(speech: Path, betas: Any) -> None:
    with pytest.raises(LsfError) as caught:
        Job(request(speech), betas=betas)
    assert caught.value.code == "identity_invalid" and caught.value.message.endswith(".")
