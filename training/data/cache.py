# SPDX-License-Identifier: Apache-2.0
"""One cache for both stages: features at 50 Hz and motion at 25 fps of every clip, back to back.

Every clip is there several times: as it is, and worsened; each copy has its own identity (the mean
face among them), for which the teacher makes the motion anew. Split by subject.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from lsf_backend.engine.features import SpeechReference, log_mel, prosody, raw_prosody
from training.corpus.augment import noise, worsen
from training.corpus.make import clip_stems, read_clip, subject_betas
from training.corpus.teacher import Teacher

log = logging.getLogger(__name__)
D_WHISPER = 384
NO_SPEECH = "S000"
VALIDATION_SUBJECTS = frozenset(range(81, 89))
TEST_SUBJECTS = frozenset(range(89, 97))


@dataclasses.dataclass(frozen=True)
class Entry:
    """One copy of one clip: its frames [first, first + count) at 25 fps in the cache."""

    stem: str
    copy: int
    first: int
    count: int


@dataclasses.dataclass(frozen=True)
class Cache:
    """features [2 * sum T, 774] float16, motion [sum T, 53] float32, betas [entries, 300]."""

    features: np.ndarray
    motion: np.ndarray
    betas: np.ndarray
    entries: tuple[Entry, ...]

    @classmethod
    def open(cls, folder: Path) -> Cache:
        """Map a cache that :func:`build` wrote."""
        entries = tuple(Entry(**e) for e in json.loads((folder / "entries.json").read_text()))
        arrays = [
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ("features", "motion")
        ]
        return cls(*arrays, np.load(folder / "betas.npy", allow_pickle=False), entries)

    def split(self, name: str) -> list[int]:
        """Entry numbers of ``train``, ``validation`` or ``test`` (whole subjects)."""

        def split_of(entry: Entry) -> str:
            subject = int(entry.stem[1:4])
            if subject in VALIDATION_SUBJECTS:
                return "validation"
            return "test" if subject in TEST_SUBJECTS else "train"

        return [i for i, entry in enumerate(self.entries) if split_of(entry) == name]


class Ears:
    """The front-end as the engine runs it: audio -> Whisper layers and prosody."""

    def __init__(self, encoder: Path, threads: int = 2) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(encoder), options, providers=["CPUExecutionProvider"]
        )

    def hear(self, audio: np.ndarray) -> np.ndarray:
        """Audio [N] float32, 16 kHz -> last layer, lower layer, prosody side by side [T50, 774]."""
        raw = raw_prosody(audio)
        reference = SpeechReference()
        reference.hear(raw)
        mel = log_mel(audio * np.float32(reference.gain))
        last, lower = self._session.run(None, {"mel": mel[None]})
        return np.concatenate([last[0], lower[0], prosody(raw, reference)], axis=1)


def build(corpus: Path, encoder: Path, out: Path, copies: int = 2, seed: int = 1) -> Cache:
    """Hear and teach every clip ``copies`` times and write the cache to ``out``."""
    if not (out / "entries.json").exists():
        hear(corpus, encoder, out, copies, seed)
    return teach(corpus, out)


def hear(corpus: Path, encoder: Path, out: Path, copies: int, seed: int) -> None:
    """Write the features and the identities of all copies, and of noise without speech."""
    out.mkdir(parents=True, exist_ok=True)
    ears = Ears(encoder)
    features, betas_of, entries, first = [], [], [], 0

    def add(stem: str, copy: int, audio: np.ndarray, betas: np.ndarray) -> None:
        nonlocal first
        count = audio.size // 640
        features.append(ears.hear(audio)[: 2 * count].astype(np.float16))
        betas_of.append(betas)
        entries.append(Entry(stem, copy, first, count))
        first += count

    stems = clip_stems(corpus)
    for number, stem in enumerate(stems):
        clip = read_clip(corpus, stem)
        add(stem, 0, clip.audio, subject_betas(int(stem[1:4]), seed))
        for copy in range(1, copies):
            rng = np.random.default_rng([seed, 5, number, copy])
            betas = _betas(rng)
            add(stem, copy, worsen(clip.audio, rng), betas)
        if number % 100 == 0:
            log.info("%d clips heard", number)
    for number in range(len(stems) // 6):
        rng = np.random.default_rng([seed, 7, number])
        betas = _betas(rng)
        add(f"{NO_SPEECH}_{number:03d}_0_0", 0, empty_room(rng), betas)
    np.save(out / "features.npy", np.concatenate(features))
    np.save(out / "betas.npy", np.stack(betas_of))
    (out / "entries.json").write_text(json.dumps([dataclasses.asdict(e) for e in entries]))


def teach(corpus: Path, out: Path) -> Cache:
    """Write the teacher's motion for the copies that :func:`hear` wrote."""
    teacher = Teacher.load()
    betas_of = np.load(out / "betas.npy", allow_pickle=False)
    entries = [Entry(**e) for e in json.loads((out / "entries.json").read_text())]
    motions, clip = [], None
    for betas, entry in zip(betas_of, entries, strict=True):
        if entry.stem.startswith(NO_SPEECH):
            motions.append(np.zeros((entry.count, 53), np.float32))
            continue
        if clip is None or clip.stem != entry.stem:
            clip = read_clip(corpus, entry.stem)
        motions.append(teacher.motion(clip.audio, clip.gestures, betas, seed=entry.first))
    np.save(out / "motion.npy", np.concatenate(motions))
    return Cache.open(out)


def empty_room(rng: np.random.Generator) -> np.ndarray:
    """Four seconds of nothing, hiss, hum or clicks at any level, in which no face should move."""
    if rng.random() < 0.25:
        return np.zeros(64_000, np.float32)
    audio = noise(np.zeros(64_000, np.float32) + 1e-3, 0.0, float(rng.uniform(0.0, 1.5)), rng)
    audio = audio / np.abs(audio).max()
    if rng.random() < 0.4:
        hertz = float(rng.choice([50.0, 60.0, 100.0, 120.0, 400.0]))
        audio = 0.3 * audio + np.sin(2 * np.pi * hertz * np.arange(audio.size) / 16_000)
    if rng.random() < 0.3:
        audio[rng.integers(0, audio.size, 6)] += 3.0
    level_db = rng.uniform(-85.0, -25.0)
    return (audio / audio.std() * 10.0 ** (level_db / 20.0)).astype(np.float32)


def _betas(rng: np.random.Generator) -> np.ndarray:
    """A random identity; the mean face in four of ten cases, since many people will not set one."""
    scale = 0.0 if rng.random() < 0.4 else 0.8
    return np.asarray(scale * rng.standard_normal(300), dtype=np.float32)


def main() -> None:
    """``python -m training.data.cache CORPUS ENCODER OUT``: build the cache of both stages."""
    parser = argparse.ArgumentParser(prog="python -m training.data.cache", description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("encoder", type=Path, help="made by: python -m training.export whisper")
    parser.add_argument("out", type=Path)
    parser.add_argument("--copies", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cache = build(options.corpus, options.encoder, options.out, options.copies)
    log.info("%.2f hours in %d entries", len(cache.motion) / 90_000, len(cache.entries))


if __name__ == "__main__":
    main()
