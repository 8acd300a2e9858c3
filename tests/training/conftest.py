# SPDX-License-Identifier: Apache-2.0
"""Tiny data for training: a cache as the bundled model's, and a store with features."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsf_backend.timing import SAMPLES_PER_FRAME
from training.data.cache import D_MOTION, Entry
from training.data.clips import Face
from training.data.features import cache_features
from training.data.store import (
    AUDIO,
    BETAS,
    FACTS,
    MOTION,
    Store,
    StoredClip,
    crc_of,
    facts_of,
)
from training.settings import RunConfig

PEOPLE = ("M003", "M005", "M007", "M032", "M033", "M037", "M039")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These networks are so small that threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def waves(count: int, seed: int) -> np.ndarray:
    """Three slow movements spread over all channels, as faces move: [T, 53]."""
    rng = np.random.default_rng(seed)
    phase = np.arange(count)[:, None] * np.array([0.3, 0.5, 0.7]) + rng.uniform(0, 6, 3)
    mix = np.random.default_rng(0).random((3, 53))
    return (0.1 * (np.sin(phase) + 1.0) @ mix).astype(np.float32)


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven clips, five of training speakers, with the widths of the compact front-end."""
    rng = np.random.default_rng(0)
    entries, motions, first = [], [], 0
    for number, subject in enumerate((1, 2, 3, 4, 5, 88, 89)):
        count = 30 + 5 * number
        entries.append(Entry(f"S{subject:03d}_001_0_0", 0, first, count))
        motions.append(waves(count, number))
        first += count
    folder = tmp_path_factory.mktemp("corpus") / "cache"
    folder.mkdir()
    rng.standard_normal((2 * first, D_MOTION)).astype(np.float16).tofile(folder / "features.f16")
    np.concatenate(motions).tofile(folder / "motion.f32")
    rng.standard_normal((len(entries), 300)).astype(np.float32).tofile(folder / "betas.f32")
    lines = [json.dumps(dataclasses.asdict(entry)) + "\n" for entry in entries]
    (folder / "entries.jsonl").write_text("".join(lines))
    return folder


def write_store(folder: Path, face: Face, people: tuple[str, ...] = PEOPLE) -> Store:
    """Two clips of each person, neutral and angry, 12 to 33 frames."""
    clips, motions, sounds, shapes = [], [], [], []
    for number, subject in enumerate(person for person in people for _ in (0, 1)):
        count = 12 + (5 * number) % 22
        motion, betas = waves(count, number), np.full((1, 300), 0.01 * number, np.float32)
        rng = np.random.default_rng(number)
        audio = rng.integers(-9000, 9000, count * SAMPLES_PER_FRAME).astype("<i2")
        clips.append(
            StoredClip(
                f"{subject}_{number:03d}", subject, f"{number:03d}", 6 * (number % 2), 0,
                sum(map(len, motions)), count, sum(map(len, sounds)), audio.size,
                crc_of(motion, betas, audio), count, count,
            )
        )  # fmt: skip
        motions.append(motion)
        sounds.append(audio)
        shapes.append(betas)
    folder.mkdir()
    np.concatenate(motions).astype("<f4").tofile(folder / MOTION)
    np.concatenate(sounds).tofile(folder / AUDIO)
    np.concatenate(shapes).astype("<f4").tofile(folder / BETAS)
    (folder / FACTS).write_text(json.dumps(facts_of(face, clips, {})))
    return Store.open(folder)


def loudness(width: int) -> Callable[[np.ndarray], np.ndarray]:
    """Stand-in for an encoder: [N] -> [2T, width]."""

    def hear(audio: np.ndarray) -> np.ndarray:
        cut = audio[: audio.size // 640 * 640].reshape(-1, 320)
        return np.stack([np.abs(cut[:, i::width]).mean(axis=1) for i in range(width)], axis=1)

    return hear


@pytest.fixture(scope="session")
def mead(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The "data" of a configuration: people of 3DMEAD in FLAME's space, two feature caches."""
    root = tmp_path_factory.mktemp("mead")
    store = write_store(root / "store", Face("flame", "2020"))
    cache_features(store, root / "spoken", loudness(6), "spoken")
    cache_features(store, root / "felt", loudness(5), "felt")
    return {
        "store": str(root / "store"),
        "motion_features": str(root / "spoken"),
        "emotion_features": str(root / "felt"),
    }


Config = Callable[..., RunConfig]


@pytest.fixture
def compact_config(corpus_cache: Path, tmp_path: Path) -> Config:
    """Make small configurations of the compact preset."""

    def make(out: str, stage: dict[str, Any], **more: Any) -> RunConfig:
        changes = {"vq": {"n_layers": 1, "n_codes": 16}, "sie": {"n_layers": 2}}
        values = {
            "preset": "compact",
            "changes": changes,
            "data": {"cache": str(corpus_cache)},
            "out": str(tmp_path / out),
            "stage1": stage,
            "stage2": stage,
            "trainer": {"accelerator": "cpu"},
        }
        return RunConfig.from_dict(values | more)

    return make


@pytest.fixture
def tiny_config(mead: dict[str, str], tmp_path: Path) -> Config:
    """Make configurations of any system at the size for tests."""

    def make(system: str, out: str, stage: dict[str, Any], **more: Any) -> RunConfig:
        values = {
            "system": system,
            "size": "tiny",
            "data": mead,
            "out": str(tmp_path / out),
            "stage1": stage,
            "stage2": stage,
            "trainer": {"accelerator": "cpu"},
        }
        return RunConfig.from_dict(values | more)

    return make
