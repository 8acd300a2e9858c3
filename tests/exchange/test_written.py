# SPDX-License-Identifier: Apache-2.0
"""Frames of a take written as files, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.exchange import read_performance
from lsf_backend.exchange.loaded import load
from lsf_backend.exchange.written import write
from lsf_backend.face.arkit import ARKIT_NAMES


def header(path: Path, **fields: Any) -> dict[str, Any]:
    return {"path": str(path), "channels": list(ARKIT_NAMES), "fps": 25, **fields}


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@pytest.mark.parametrize("rate", [24.0, 30.0, 60.0])
def test_frames_come_back_at_the_rate_asked_for(tmp_path: Path, suffix: str, rate: float) -> None:
    values = np.random.default_rng(0).uniform(-0.1, 1.1, (50, 52)).astype(np.float32)
    path = tmp_path / f"take{suffix}"
    told = write(header(path, out_fps=rate), values)
    found = read_performance(path)
    assert found.fps == rate and found.n_frames == told["frames"]
    assert found.weights[0] == pytest.approx(values[0], abs=1e-5), "beyond 0..1 is kept"


def test_motion_of_a_flame_face_survives_as_npz_alone(tmp_path: Path) -> None:
    names = [*(f"expression_{i}" for i in range(50)), *(f"jaw_{a}_rad" for a in "xyz")]
    motion = np.random.default_rng(0).normal(0, 0.1, (20, 53)).astype(np.float32)
    fields = {"channels": names, "face_space": "flame"}
    write(header(tmp_path / "flame.npz", **fields), motion)
    found = load(str(tmp_path / "flame.npz"))
    assert found.face_space == "flame" and found.channels == tuple(names)
    np.testing.assert_array_equal(found.values, motion)
    with pytest.raises(LsfError, match="has no ARKit weights"):
        write(header(tmp_path / "flame.csv", **fields), motion)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"path": "take.fbx"}, "not as 'take.fbx'"),
        ({"path": 3}, "not as 3"),
        ({"out_fps": 1000.0}, "240"),
        ({"fps": "25"}, "fps is a number"),
        ({"channels": ["jawOpen"]}, "frames \\[T, C\\]"),
        ({"channels": ["jawOpen", *(f"x{i}" for i in range(51))]}, "no channel 'eyeBlinkLeft'"),
        ({"channels": [f"x{i}" for i in range(52)]}, "no channel"),
    ],
)
def test_other_requests_are_a_sentence(tmp_path: Path, fields: dict, sentence: str) -> None:
    with pytest.raises(LsfError, match=sentence):
        write({**header(tmp_path / "take.csv"), **fields}, np.zeros((5, 52), np.float32))
    assert not list(tmp_path.iterdir())
