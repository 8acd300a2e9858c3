# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.engine.compact_files import FOLDER
from training.corpus.make import Clip
from training.corpus.teacher import Teacher
from training.data import cache as cache_module
from training.data.cache import (
    D_EMOTION,
    D_MOTION,
    NO_SPEECH,
    Cache,
    hear,
    streams,
    teach,
)
from training.data.clips import SourceError
from training.data.journal import only_one

STEMS = ("S001_001_0_0", "S008_001_6_2", "S009_001_3_1")


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three clips of about a second, of a train, a validation and a test speaker."""

    def read(folder: Path, stem: str) -> Clip:
        rng = np.random.default_rng(int(stem[1:4]))
        audio = (0.1 * rng.standard_normal(16_000 + 640 * int(stem[3]))).astype(np.float32)
        return Clip(stem, audio, (("sil", 0.0, 0.3), ("AA", 0.3, 1.0)))

    monkeypatch.setattr(cache_module, "clip_stems", lambda folder: list(STEMS))
    monkeypatch.setattr(cache_module, "read_clip", read)
    monkeypatch.setattr(cache_module, "NO_SPEECH_CLIPS", 2)

    # Other processes would not see the replaced functions.
    class Here:
        def __init__(self, workers, start=None, args=()):
            if start is not None:
                start(*args)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return None

        def imap(self, function, jobs, chunksize=1):
            return map(function, jobs)

    class Context:
        Pool = Here

    monkeypatch.setattr(cache_module.multiprocessing, "get_context", lambda kind: Context)
    return tmp_path / "corpus"


def test_a_cut_off_cache_goes_on_and_ends_the_same(corpus: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert hear(corpus, FOLDER / "encoder.onnx", whole, 2, 1) == 8
    hear(corpus, FOLDER / "encoder.onnx", cut, 2, 1)
    # As if it had been cut off after three copies and half of the fourth.
    lines = (cut / "entries.jsonl").read_text().splitlines(keepends=True)
    (cut / "entries.jsonl").write_text("".join(lines[:3]))
    with (cut / "features.f16").open("r+b") as file:
        file.truncate(json.loads(lines[3])["first"] * 2 * D_MOTION * 2 + 501)
    assert hear(corpus, FOLDER / "encoder.onnx", cut, 2, 1) == 5
    for name in ("features.f16", "betas.f32", "entries.jsonl"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes()


def test_entries_motion_and_splits_fit_together(corpus: Path, tmp_path: Path) -> None:
    hear(corpus, FOLDER / "encoder.onnx", tmp_path / "cache", 2, 1)
    cache = teach(corpus, tmp_path / "cache")
    assert [(e.stem, e.copy) for e in cache.entries][:6] == [(s, c) for c in (0, 1) for s in STEMS]
    assert [e.first for e in cache.entries[1:]] == list(
        np.cumsum([e.count for e in cache.entries])[:-1]
    )
    assert [len(cache.split(part)) for part in ("train", "validation", "test")] == [4, 2, 2]
    entry = cache.entries[4]
    wanted = Teacher.load().clip_motion(
        cache_module.read_clip(corpus, entry.stem), cache.betas[4], seed=entry.first
    )
    np.testing.assert_array_equal(cache.motion[entry.first : entry.first + entry.count], wanted)
    for entry in cache.entries:
        if entry.stem.startswith(NO_SPEECH):
            assert not cache.motion[entry.first : entry.first + entry.count].any()
    assert isinstance(Cache.open(tmp_path / "cache"), Cache)


def test_nobody_hears_twice_at_once(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with only_one(tmp_path / "cache"), pytest.raises(SourceError, match="another process"):
        hear(corpus, FOLDER / "encoder.onnx", tmp_path / "cache", 1, 1)


def test_the_emotion_stream_is_the_end_of_the_motion_stream() -> None:
    features = np.arange(2 * D_MOTION).reshape(2, D_MOTION)
    motion, emotion = streams(features)
    assert motion.shape == (2, D_MOTION) and emotion.shape == (2, D_EMOTION)
    np.testing.assert_array_equal(emotion, motion[:, -D_EMOTION:])
