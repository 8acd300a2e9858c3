# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets of exactly the layouts on disk: EMOTE's tree, ProbTalk3D's cache, captures."""

import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from training.data.clips import EMOTIONS

RATE = 16_000


def tone(seconds: float, seed: int = 0) -> np.ndarray:
    """Voice-like enough: [N] int16 at 16 kHz."""
    rng = np.random.default_rng(seed)
    return (8000 * rng.uniform(-1, 1, round(seconds * RATE))).astype(np.int16)


def write_wav(path: Path, pcm: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.tobytes())


def write_aac(path: Path, pcm: np.ndarray) -> None:
    """Sound as m4a or as the track of an mp4."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts, frame.time_base = 0, Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def params(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shape [1, T, 300], expression [1, T, 100], jaw [1, T, 3], float32."""
    rng = np.random.default_rng(seed)
    shape = 0.5 * rng.standard_normal((1, 1, 300)) + 1e-3 * rng.standard_normal((1, count, 300))
    expression = rng.standard_normal((1, count, 100))
    jaw = rng.uniform(0, 0.3, (1, count, 3))
    return shape.astype("f4"), expression.astype("f4"), jaw.astype("f4")


def add_release_clip(
    root: Path,
    subject: str,
    emotion: int,
    level: int,
    sentence: str,
    count: int = 20,
    seed: int = 0,
) -> Path:
    """Motion of one clip in EMOTE's tree; returns the sentence's folder."""
    import h5py

    tree = root if root.name.startswith("EMICA") else root / "EMICA-MEAD_flame2020"
    folder = tree / subject / "front" / EMOTIONS[emotion] / f"level_{level}" / sentence
    folder.mkdir(parents=True)
    shape, expression, jaw = params(count, seed)
    with h5py.File(folder / "shape_pose_cam.hdf5", "w") as file:
        file["shape"], file["exp"], file["jaw"] = shape, expression, jaw
        file["global_pose"] = np.zeros((1, count, 3), "f4")
        file["cam"] = np.zeros((1, count, 3), "f4")
    with h5py.File(folder / "appearance.hdf5", "w") as file:
        file["tex"] = np.zeros((1, count, 5), "f4")
    return folder


def add_cache_clip(root: Path, stem: str, count: int = 20, seed: int = 0) -> np.ndarray:
    """One pair of a ProbTalk3D-style cache; returns the 403 columns."""
    (root / "param").mkdir(parents=True, exist_ok=True)
    param = np.concatenate(params(count, seed), axis=2)
    np.save(root / "param" / f"{stem}.npy", param)
    write_wav(root / "wav" / f"{stem}.wav", tone(count / 25, seed))
    return param


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Six good clips of three people."""
    root = tmp_path / "cache"
    for seed, stem in enumerate(stems_of(("M003", "M032", "M037"))):
        add_cache_clip(root, stem, 15 + seed, seed)
    return root


def stems_of(subjects: Sequence[str]) -> list[str]:
    return [f"{s}_{n}_{e}" for s in subjects for n, e in (("001", "0_0"), ("030", "6_2"))]
