# SPDX-License-Identifier: Apache-2.0
"""Lips of a FLAME face in a whole job, in mm on its own mesh, whatever space the engine speaks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.engine.registry import register_engine
from lsf_backend.face.face_model import FaceModel
from lsf_backend.finishing.flame_lips import FlameLips
from lsf_backend.finishing.lips import gap_mm, gap_per_weight_mm
from lsf_backend.finishing.speech import SpeechTrack
from lsf_backend.job import Job
from lsf_backend.protocol import AnimateRequest
from tests.backend.sounds import write_wav
from tests.face.flame_disguise import write_disguise
from tests.finishing.talk import talk_sound
from tests.finishing.talk_engine import TALK_DIPS, TALK_LEVELS, TalkEngine

OFF = dict.fromkeys(("smoothing", "closure", "silence", "blinks", "gaze"), 0.0)
GUARDS = {**OFF, "closure": 1.0, "silence": 1.0, "near_mm": 2.5}
BETAS = np.random.default_rng(8).normal(0, 0.7, 300).astype(np.float32)


@pytest.fixture(scope="module")
def flame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disguise(tmp_path_factory.mktemp("flame") / "flame2020.npz")


@pytest.fixture(autouse=True)
def engines(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
    register_engine("talk flame", lambda: TalkEngine("flame"))
    register_engine("talk flame 7", lambda: TalkEngine("flame", 7))
    register_engine("talk head", lambda: TalkEngine("head"))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "talk.wav", talk_sound(TALK_LEVELS))


def made(
    sound: Path, betas: np.ndarray | None = None, **fields: Any
) -> tuple[np.ndarray, list[str]]:
    values = {"audio": str(sound), "engine": "talk flame", "output": "motion", **fields}
    job = Job(AnimateRequest(**values), betas)
    found = np.concatenate([job.values(chunk) for chunk in job.chunks()])
    assert len(found) == len(TALK_LEVELS)
    return found, job.summary()["notes"]


def silent() -> np.ndarray:
    active = SpeechTrack.from_levels(TALK_LEVELS).active(0, len(TALK_LEVELS))
    return ~np.any([np.roll(active, shift) for shift in range(-8, 9)], axis=0)


@pytest.mark.parametrize(
    ("engine", "betas"), [("talk flame", None), ("talk flame", BETAS), ("talk head", BETAS)]
)
def test_a_flame_face_shuts_its_own_lips(
    sound: Path, flame: Path, engine: str, betas: np.ndarray | None
) -> None:
    fields = {"engine": engine, "face": str(flame), "face_space": "flame"}
    if betas is not None:
        fields["identity_space"] = "flame"
    lips = FlameLips(FaceModel.load(flame), betas)
    before = lips.gap_mm(made(sound, betas, finishing=OFF, **fields)[0])
    motion, notes = made(sound, betas, finishing=GUARDS, **fields)
    after = lips.gap_mm(motion)
    needy = TALK_DIPS[before[TALK_DIPS] < 2.4]
    assert len(needy) > 2 and before[needy].max() > 0.8 and before[silent()].max() > 0.8
    assert after[needy].max() < 0.21 and after[silent()].max() < 0.51
    assert "closures (by up to" in " ".join(notes) and "silent frames" in " ".join(notes)


def test_an_arkit_face_that_flame_moves_shuts_its_lips(sound: Path, flame: Path) -> None:
    """Motion is carried over first: the guard works on the weights, in mm of their mesh."""
    fields = {"face": str(flame), "output": "arkit"}
    per_weight = gap_per_weight_mm(FaceModel.load())
    before = gap_mm(made(sound, finishing=OFF, **fields)[0], per_weight)
    weights, notes = made(sound, finishing=GUARDS, **fields)
    after = gap_mm(weights, per_weight)
    needy = TALK_DIPS[before[TALK_DIPS] < 2.4]
    assert len(needy) > 2 and before[needy].max() > 0.5
    assert after[needy].max() < 0.21 and after[silent()].max() < 0.51
    assert "closures (by up to" in " ".join(notes)


def test_off_and_raw_are_the_engines_own_frames(sound: Path, flame: Path) -> None:
    raw, _ = made(sound, face=str(flame))
    np.testing.assert_array_equal(made(sound, face=str(flame), finishing=OFF)[0], raw)
    idle = {**OFF, "closure": 1.0, "near_mm": 0.0}  # it runs, and finds nothing to do
    np.testing.assert_array_equal(made(sound, face=str(flame), finishing=idle)[0], raw)


def test_chunks_of_the_engine_change_no_frame_and_extras_keep_their_place(
    sound: Path, flame: Path
) -> None:
    fields = {"face": str(flame), "finishing": {"head": 1.0}, "extra": ["head", "gaze"]}
    whole, _ = made(sound, **fields)
    np.testing.assert_array_equal(made(sound, engine="talk flame 7", **fields)[0], whole)
    alone, _ = made(sound, face=str(flame), finishing={**OFF, "head": 1.0, "gaze": 1.0},
                    extra=["head", "gaze"])  # fmt: skip
    np.testing.assert_array_equal(alone[:, 53:], whole[:, 53:])
    assert (alone[:, :53] != whole[:, :53]).any()


def test_without_a_face_it_says_why_lips_are_not_guarded(sound: Path) -> None:
    motion, notes = made(sound, finishing={"closure": 1.0, "silence": 1.0, "smoothing": 0.0})
    assert any("closure, silence: left out, because no FLAME file" in text for text in notes)
    raw, _ = made(sound)
    np.testing.assert_array_equal(motion, raw)
    assert not made(sound, finishing={})[1], "what nobody asked for is not complained about"
