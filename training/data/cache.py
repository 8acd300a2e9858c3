# SPDX-License-Identifier: Apache-2.0
"""One cache for both stages: features at 50 Hz and motion at 25 fps of every clip, back to back.

Every clip is there several times: as it is, and worsened; each copy has its own identity (the mean
face among them), for which the teacher makes the motion anew. Split by subject. Hearing may begin
while the corpus still grows and goes on where it stopped; teaching may be done again at any time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import multiprocessing
import os
import zlib
from pathlib import Path

import numpy as np

from lsf_backend.engine.features import (
    PROSODY_NAMES,
    SpeechReference,
    log_mel,
    prosody,
    raw_prosody,
)
from training.corpus.augment import noise, worsen
from training.corpus.make import clip_stems, read_clip, subject_betas
from training.corpus.teacher import Teacher
from training.corpus.voices import split_of
from training.data.journal import only_one

log = logging.getLogger(__name__)
D_WHISPER = 384
# The motion stream hears everything; the emotion stream the lower layer and the prosody.
D_EMOTION = D_WHISPER + len(PROSODY_NAMES)
D_MOTION = D_WHISPER + D_EMOTION
N_MOTION = 53
NO_SPEECH = "S000"
NO_SPEECH_CLIPS = 400


@dataclasses.dataclass(frozen=True)
class Entry:
    """One copy of one clip: its frames [first, first + count) at 25 fps in the cache."""

    stem: str
    copy: int
    first: int
    count: int


@dataclasses.dataclass(frozen=True)
class Cache:
    """features [2 * sum T, D_MOTION] float16, motion [sum T, 53] float32, betas [entries, 300].

    The motion stream's features are the first D_MOTION columns, the emotion stream's the last
    D_EMOTION.
    """

    features: np.ndarray
    motion: np.ndarray
    betas: np.ndarray
    entries: tuple[Entry, ...]

    @classmethod
    def open(cls, folder: Path) -> Cache:
        """Map a cache that :func:`build` wrote."""
        entries = _entries(folder)
        total = sum(entry.count for entry in entries)
        betas = np.fromfile(folder / "betas.f32", np.float32).reshape(-1, 300)[: len(entries)]
        return cls(
            np.memmap(folder / "features.f16", np.float16, "r", shape=(2 * total, D_MOTION)),
            np.memmap(folder / "motion.f32", np.float32, "r", shape=(total, N_MOTION)),
            betas,
            entries,
        )

    def split(self, name: str) -> list[int]:
        """Entry numbers of ``train``, ``validation`` or ``test`` (whole subjects)."""
        return [i for i, entry in enumerate(self.entries) if entry_split(entry) == name]


def streams(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [T50, D] -> the motion stream's [T50, D_MOTION], the emotion stream's [T50, De]."""
    return features[:, :D_MOTION], features[:, -D_EMOTION:]


def entry_split(entry: Entry) -> str:
    """Split of the entry's subject; sounds without speech are trained on."""
    return "train" if entry.stem.startswith(NO_SPEECH) else split_of(entry.stem)


def _entries(folder: Path) -> tuple[Entry, ...]:
    path = folder / "entries.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return tuple(Entry(**json.loads(line)) for line in lines)


class Ears:
    """The front-end as the engine runs it: audio -> Whisper layers and prosody."""

    def __init__(self, encoder: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(encoder), options, providers=["CPUExecutionProvider"]
        )

    def hear(self, audio: np.ndarray) -> np.ndarray:
        """Audio [N] float32, 16 kHz -> upper layer, lower layer, prosody side by side [T50, D]."""
        raw = raw_prosody(audio)
        reference = SpeechReference()
        reference.hear(raw)
        mel = log_mel(audio * np.float32(reference.gain))
        upper, lower = self._session.run(None, {"mel": mel[None]})
        return np.concatenate([upper[0], lower[0], prosody(raw, reference)], axis=1)


@dataclasses.dataclass(frozen=True)
class Job:
    """One copy to hear: ``copy`` 0 is the clip as it is, others are worsened."""

    corpus: Path
    stem: str
    copy: int
    seed: int

    def rng(self) -> np.random.Generator:
        """Chance of this copy alone, whatever else the corpus holds."""
        return np.random.default_rng([self.seed, zlib.crc32(self.stem.encode()), self.copy])

    def sound(self) -> tuple[np.ndarray, np.ndarray]:
        """Audio [N] and betas [300]."""
        rng = self.rng()
        if self.stem.startswith(NO_SPEECH):
            return empty_room(rng), _betas(rng)
        audio = read_clip(self.corpus, self.stem).audio
        if self.copy == 0:
            return audio, subject_betas(int(self.stem[1:4]), self.seed)
        return worsen(audio, rng), _betas(rng)


def build(corpus: Path, encoder: Path, out: Path, copies: int = 2, seed: int = 1) -> Cache:
    """Hear and teach every clip ``copies`` times and write the cache to ``out``."""
    hear(corpus, encoder, out, copies, seed)
    return teach(corpus, out, seed)


_ears: Ears | None = None


def _start_hearing(encoder: Path) -> None:
    global _ears
    _ears = Ears(encoder)


def _hear_one(job: Job) -> tuple[np.ndarray, np.ndarray]:
    assert _ears is not None
    audio, betas = job.sound()
    return _ears.hear(audio)[: 2 * (audio.size // 640)].astype(np.float16), betas


def hear(corpus: Path, encoder: Path, out: Path, copies: int, seed: int, workers: int = 2) -> int:
    """Add features and identities of all copies that are not there yet; returns how many."""
    out.mkdir(parents=True, exist_ok=True)
    with only_one(out):
        return _hear(corpus, encoder, out, copies, seed, workers)


def _hear(corpus: Path, encoder: Path, out: Path, copies: int, seed: int, workers: int) -> int:
    known = _entries(out)
    first = sum(entry.count for entry in known)
    _cut(out / "features.f16", 2 * first * D_MOTION * 2)
    _cut(out / "betas.f32", len(known) * 300 * 4)
    done = {(entry.stem, entry.copy) for entry in known}
    # All clips once before any clip twice: the cache is useful early.
    wanted = [(stem, copy) for copy in range(copies) for stem in clip_stems(corpus)]
    wanted += [(f"{NO_SPEECH}_{number:03d}_0_0", 0) for number in range(NO_SPEECH_CLIPS)]
    jobs = [Job(corpus, stem, copy, seed) for stem, copy in wanted if (stem, copy) not in done]
    context = multiprocessing.get_context("forkserver")
    with (
        context.Pool(workers, _start_hearing, (encoder,)) as pool,
        (out / "features.f16").open("ab") as features_file,
        (out / "betas.f32").open("ab") as betas_file,
        (out / "entries.jsonl").open("a") as entries_file,
    ):
        for number, (features, betas) in enumerate(pool.imap(_hear_one, jobs, chunksize=4)):
            entry = Entry(jobs[number].stem, jobs[number].copy, first, len(features) // 2)
            features_file.write(features.tobytes())
            betas_file.write(betas.astype(np.float32).tobytes())
            features_file.flush(), betas_file.flush()
            # Last, so that a run that was cut off leaves no entry without its numbers.
            entries_file.write(json.dumps(dataclasses.asdict(entry)) + "\n")
            entries_file.flush()
            first += entry.count
            if (number + 1) % 500 == 0:
                log.info("%d of %d heard, %.1f hours", number + 1, len(jobs), first / 90_000)
    return len(jobs)


def _cut(path: Path, size: int) -> None:
    """Cut what was written of an entry that is not listed."""
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


_teacher: Teacher | None = None


def _start_teaching() -> None:
    global _teacher
    _teacher = Teacher.load()


def _teach_one(task: tuple[Path, str, list[tuple[Entry, np.ndarray]]]) -> list[np.ndarray]:
    corpus, stem, copies = task
    if stem.startswith(NO_SPEECH):
        return [np.zeros((entry.count, N_MOTION), np.float32) for entry, _ in copies]
    assert _teacher is not None
    clip = read_clip(corpus, stem)
    return [
        _teacher.clip_motion(clip, betas, seed=entry.first)[: entry.count]
        for entry, betas in copies
    ]


def teach(corpus: Path, out: Path, seed: int = 1, workers: int = 2) -> Cache:
    """Write the teacher's motion for the copies that :func:`hear` wrote."""
    entries = _entries(out)
    betas_of = np.fromfile(out / "betas.f32", np.float32).reshape(-1, 300)
    of_stem: dict[str, list[tuple[Entry, np.ndarray]]] = {}
    for entry, betas in zip(entries, betas_of, strict=False):
        of_stem.setdefault(entry.stem, []).append((entry, betas))
    total = sum(entry.count for entry in entries)
    part = out / "motion.part"
    motion = np.memmap(part, np.float32, "w+", shape=(total, N_MOTION))
    tasks = [(corpus, stem, copies) for stem, copies in of_stem.items()]
    context = multiprocessing.get_context("forkserver")
    with context.Pool(workers, _start_teaching) as pool:
        for number, found in enumerate(pool.imap(_teach_one, tasks, chunksize=4)):
            for (entry, _), rows in zip(tasks[number][2], found, strict=True):
                motion[entry.first : entry.first + entry.count] = rows
            if (number + 1) % 500 == 0:
                log.info("%d of %d clips taught", number + 1, len(tasks))
    motion.flush()
    os.replace(part, out / "motion.f32")
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
    parser.add_argument("--workers", type=int, default=2)
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--hear-only", action="store_true", help="the corpus may still grow")
    steps.add_argument("--teach-only", action="store_true", help="the motion anew")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not options.teach_only:
        hear(options.corpus, options.encoder, options.out, options.copies, 1, options.workers)
    if not options.hear_only:
        cache = teach(options.corpus, options.out, 1, options.workers)
        log.info("%.2f hours in %d entries", len(cache.motion) / 90_000, len(cache.entries))


if __name__ == "__main__":
    main()
