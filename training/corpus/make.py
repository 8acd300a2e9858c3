# SPDX-License-Identifier: Apache-2.0
"""Write the corpus: sound, sound times and teacher motion in the layout of a 3DMEAD cache.

``wav/S001_003_6_2.wav``, ``phones/…json`` and ``param/…npy`` ([1, T, 403]: 300 shape, 100
expression, 3 jaw) share a stem <subject>_<sentence>_<emotion>_<intensity>. Every clip depends on
the seed and its own number only, so a run that was cut off continues where it stopped, and the
number of processes changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import multiprocessing
import os
import subprocess
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.corpus.engines import SAMPLE_RATE_HZ, Voice, read_wav
from training.corpus.phones import Gestures, gestures_in_time, merged
from training.corpus.spoken import Spoken, label_of, make_clip
from training.corpus.teacher import Teacher
from training.corpus.voices import N_SUBJECTS, subjects

log = logging.getLogger(__name__)
# Clips are counted in batches of this many, so that the end does not depend on who was faster.
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Clip:
    """One sound of the corpus: audio [N] float32 16 kHz, gestures as (name, start_s, end_s).

    ``emotion`` (0..7) and ``intensity`` (0..2) are for the teacher only.
    """

    stem: str
    audio: np.ndarray
    gestures: Gestures
    emotion: int = 0
    intensity: int = 0


def make(out: Path, hours: float, seed: int = 1, jobs: int = 1) -> float:
    """Speak until ``hours`` are there; returns the hours written or found."""
    for name in ("wav", "phones", "param"):
        (out / name).mkdir(parents=True, exist_ok=True)
    voices = subjects(N_SUBJECTS, seed)
    described = json.dumps({"seed": seed, "voices": [dataclasses.asdict(v) for v in voices]})
    kept = out / "corpus.json"
    if kept.exists() and kept.read_text() != described:
        raise ValueError(f"{kept} is of a corpus with another seed or other voices.")
    kept.write_text(described)
    seconds, number = 0.0, 0
    with _workers(jobs) as run:
        while seconds < hours * 3600.0:
            batch = range(number, number + _BATCH)
            work = [(out, i, voices[i % len(voices)], len(voices), seed) for i in batch]
            seconds += sum(run(write_clip, work, 1))
            number += _BATCH
            log.info("%d clips, %.2f hours", number, seconds / 3600.0)
    return seconds / 3600.0


@contextlib.contextmanager
def _workers(jobs: int) -> Iterator[Callable[[Callable, list[tuple], int], Iterable[Any]]]:
    """A function (task, arguments of every call, calls per hand-out) that runs ``jobs`` at once."""
    if jobs == 1:
        yield lambda task, work, _: list(itertools.starmap(task, work))
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield pool.starmap


def write_clip(out: Path, number: int, voice: Voice, n_subjects: int, seed: int) -> float:
    """Write clip ``number`` unless it is there; its seconds (0 where the engine failed)."""
    emotion, intensity, _ = label_of(np.random.default_rng([seed, 2, number]))
    subject, sentence = number % n_subjects + 1, number // n_subjects + 1
    stem = f"S{subject:03d}_{sentence:03d}_{emotion}_{intensity}"
    sound, times = out / "wav" / f"{stem}.wav", out / "phones" / f"{stem}.json"
    if times.exists() and sound.exists():
        return float(json.loads(times.read_text())["seconds"])
    try:
        spoken = make_clip(voice, np.random.default_rng([seed, 2, number]))
    except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
        log.warning("%s is left out: %s", stem, error)
        return 0.0
    _write_wav(sound, spoken.audio)
    partial = times.with_suffix(".part")
    partial.write_text(_described(spoken, voice), encoding="utf-8")
    os.replace(partial, times)
    return float(spoken.described["seconds"])


def _described(spoken: Spoken, voice: Voice) -> str:
    lines = [
        {"notation": notation, "phones": [[p, round(a, 4), round(b, 4)] for p, a, b in phones]}
        for notation, phones in spoken.lines
    ]
    content = {"voice": dataclasses.asdict(voice), **spoken.described, "lines": lines}
    return json.dumps(content, ensure_ascii=False)


def teach(out: Path, seed: int = 1, jobs: int = 1) -> int:
    """Write ``param`` for every clip from its sound times; returns the number of clips."""
    work = [(out, number, stem, seed) for number, stem in enumerate(clip_stems(out))]
    with _workers(jobs) as run:
        run(write_motion, work, 32)
    return len(work)


def write_motion(out: Path, number: int, stem: str, seed: int) -> None:
    """Write the motion of one clip with its speaker's identity."""
    betas = subject_betas(int(stem[1:4]), seed)
    motion = Teacher.load().clip_motion(read_clip(out, stem), betas, seed=number)
    param = np.zeros((1, len(motion), 403), np.float32)
    param[0, :, :300] = betas
    param[0, :, 300:350] = motion[:, :50]
    param[0, :, 400:] = motion[:, 50:]
    np.save(out / "param" / f"{stem}.npy", param)


def subject_betas(subject: int, seed: int) -> np.ndarray:
    """Identity of a speaker: [300] float32 z-scores."""
    rng = np.random.default_rng([seed, 3, subject])
    return np.asarray(0.8 * rng.standard_normal(300), dtype=np.float32)


def clip_stems(out: Path) -> list[str]:
    """Stems of all finished clips, sorted."""
    return sorted(path.stem for path in (out / "phones").glob("*.json"))


def read_clip(out: Path, stem: str) -> Clip:
    """Read sound and sound times of one clip; what is between its lines is silence."""
    described = json.loads((out / "phones" / f"{stem}.json").read_text(encoding="utf-8"))
    audio = read_wav(out / "wav" / f"{stem}.wav")
    gestures: list[tuple[str, float, float]] = []
    clock_s = 0.0
    for line in described["lines"]:
        found = gestures_in_time(line["phones"], line["notation"])
        if found:
            gestures += [("sil", clock_s, found[0][1]), *found]
            clock_s = found[-1][2]
    gestures.append(("sil", clock_s, max(clock_s, audio.size / SAMPLE_RATE_HZ)))
    emotion, intensity = (int(part) for part in stem.split("_")[2:])
    return Clip(stem, audio, merged(gestures), emotion, intensity)


def _write_wav(path: Path, audio: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(audio, -1, 1) * 32767.0).astype("<i2").tobytes())
