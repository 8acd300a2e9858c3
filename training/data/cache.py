# SPDX-License-Identifier: Apache-2.0
"""One cache for both stages: features at 50 Hz and motion at 25 fps of every clip, back to back.

Every clip is there several times: as it is, and worsened; each copy has its own identity (the mean
face among them), for which the teacher makes the motion anew. Split by subject.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np

from lsf_backend.engine.features import SpeechReference, log_mel, prosody, raw_prosody
from training.corpus.augment import worsen
from training.corpus.make import clip_stems, read_clip, subject_betas
from training.corpus.teacher import Teacher

log = logging.getLogger(__name__)
D_WHISPER = 384
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
        arrays = [np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("features", "motion")]
        return cls(*arrays, np.load(folder / "betas.npy"), entries)

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


def build(corpus: Path, encoder: Path, out: Path, copies: int = 3, seed: int = 1) -> Cache:
    """Hear and teach every clip ``copies`` times and write the cache to ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    ears, teacher = Ears(encoder), Teacher.load()
    features, motions, betas_of, entries, first = [], [], [], [], 0
    for number, stem in enumerate(clip_stems(corpus)):
        clip = read_clip(corpus, stem)
        for copy in range(copies):
            rng = np.random.default_rng([seed, 5, number, copy])
            betas = subject_betas(int(stem[1:4]), seed) if copy == 0 else _betas(rng)
            audio = clip.audio if copy == 0 else worsen(clip.audio, rng)
            motion = teacher.motion(clip.audio, clip.gestures, betas, seed=number)
            heard = ears.hear(audio)[: 2 * len(motion)].astype(np.float16)
            features.append(heard)
            motions.append(motion)
            betas_of.append(betas)
            entries.append(Entry(stem, copy, first, len(motion)))
            first += len(motion)
        if number % 100 == 0:
            log.info("%d clips heard", number)
    np.save(out / "features.npy", np.concatenate(features))
    np.save(out / "motion.npy", np.concatenate(motions))
    np.save(out / "betas.npy", np.stack(betas_of))
    (out / "entries.json").write_text(json.dumps([dataclasses.asdict(e) for e in entries]))
    return Cache.open(out)


def _betas(rng: np.random.Generator) -> np.ndarray:
    """A random identity; the mean face in four of ten cases, since most users will not set one."""
    scale = 0.0 if rng.random() < 0.4 else 0.8
    return np.asarray(scale * rng.standard_normal(300), dtype=np.float32)
