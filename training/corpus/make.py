# SPDX-License-Identifier: Apache-2.0
"""Write the corpus: sound, sound times and teacher motion in the layout of a 3DMEAD cache.

``wav/S001_003_0_0.wav``, ``phones/…json`` and ``param/…npy`` ([1, T, 403]: 300 shape, 100
expression, 3 jaw) share a stem <subject>_<sentence>_<emotion>_<intensity>. Every clip depends on
the seed and its own number only, so a run that was cut off continues where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import wave
from pathlib import Path

import numpy as np

from training.corpus import text
from training.corpus.engines import SAMPLE_RATE_HZ, Utterance, Voice, speak
from training.corpus.phones import gestures_of
from training.corpus.teacher import Teacher
from training.corpus.voices import subjects

log = logging.getLogger(__name__)
N_SUBJECTS = 96


@dataclasses.dataclass(frozen=True)
class Clip:
    """One sound of the corpus: audio [N] float32 16 kHz, gestures as (name, start_s, end_s)."""

    stem: str
    audio: np.ndarray
    gestures: tuple[tuple[str, float, float], ...]


def make(out: Path, hours: float, seed: int = 1) -> float:
    """Speak until ``hours`` are there; returns the hours written or found."""
    for name in ("wav", "phones", "param"):
        (out / name).mkdir(parents=True, exist_ok=True)
    voices = subjects(N_SUBJECTS, seed)
    (out / "corpus.json").write_text(
        json.dumps({"seed": seed, "voices": [dataclasses.asdict(v) for v in voices]}, indent=1)
    )
    seconds, number = 0.0, 0
    while seconds < hours * 3600.0:
        subject, sentence = number % N_SUBJECTS, number // N_SUBJECTS
        stem = f"S{subject + 1:03d}_{sentence + 1:03d}_0_0"
        seconds += _clip(out, stem, voices[subject], np.random.default_rng([seed, 2, number]))
        number += 1
        if number % 100 == 0:
            log.info("%d clips, %.2f hours", number, seconds / 3600.0)
    return seconds / 3600.0


def _clip(out: Path, stem: str, voice: Voice, rng: np.random.Generator) -> float:
    """Write one clip unless it is there; its length in seconds (0 where the engine failed)."""
    sound, times = out / "wav" / f"{stem}.wav", out / "phones" / f"{stem}.json"
    if times.exists() and sound.exists():
        return float(json.loads(times.read_text())["seconds"])
    parts, gestures, texts, clock_s = [], [], [], 0.0
    try:
        for part in range(2 if rng.random() < 0.35 else 1):
            pause_s = float(rng.uniform(0.1, 0.7) if part == 0 else rng.uniform(0.3, 1.5))
            line = text.sentence(voice.language, rng)
            said = speak(voice, line)
            gestures.append(("sil", clock_s, clock_s + pause_s))
            parts += [np.zeros(round(pause_s * SAMPLE_RATE_HZ), np.float32), said.audio]
            clock_s += pause_s
            gestures += shifted_gestures(said, clock_s)
            clock_s += said.audio.size / SAMPLE_RATE_HZ
            texts.append(line)
    except (RuntimeError, OSError, ValueError) as error:
        log.warning("%s is left out: %s", stem, error)
        return 0.0
    tail_s = float(rng.uniform(0.1, 0.6))
    gestures.append(("sil", clock_s, clock_s + tail_s))
    parts.append(np.zeros(round(tail_s * SAMPLE_RATE_HZ), np.float32))
    audio = np.concatenate(parts)
    audio *= 0.7 / max(1e-4, float(np.abs(audio).max()))
    _write_wav(sound, audio)
    described = {
        "voice": dataclasses.asdict(voice),
        "text": texts,
        "seconds": audio.size / SAMPLE_RATE_HZ,
        "gestures": merged(gestures),
    }
    partial = times.with_suffix(".part")
    partial.write_text(json.dumps(described, ensure_ascii=False))
    os.replace(partial, times)
    return audio.size / SAMPLE_RATE_HZ


def shifted_gestures(said: Utterance, offset_s: float) -> list[tuple[str, float, float]]:
    """Gestures of an utterance, ``offset_s`` later; the parts of a diphthong share its time."""
    found = []
    for symbol, start, end in said.phones:
        names = gestures_of(symbol, said.notation)
        # The first half of a diphthong is the longer one.
        middle = start + 0.55 * (end - start)
        spans = [(start, end)] if len(names) == 1 else [(start, middle), (middle, end)]
        found += [(n, a + offset_s, b + offset_s) for n, (a, b) in zip(names, spans, strict=False)]
    return found


def merged(gestures: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Drop empty sounds and join silences that touch."""
    kept: list[tuple[str, float, float]] = []
    for name, start, end in gestures:
        if end - start < 1e-4:
            continue
        if kept and kept[-1][0] == name == "sil":
            kept[-1] = (name, kept[-1][1], end)
        else:
            kept.append((name, start, end))
    return kept


def teach(out: Path, seed: int = 1) -> int:
    """Write ``param`` for every clip from its sound times; returns the number of clips."""
    teacher = Teacher.load()
    stems = clip_stems(out)
    for number, stem in enumerate(stems):
        clip = read_clip(out, stem)
        subject = int(stem[1:4])
        betas = subject_betas(subject, seed)
        motion = teacher.motion(clip.audio, clip.gestures, betas, seed=number)
        param = np.zeros((1, len(motion), 403), np.float32)
        param[0, :, :300] = betas
        param[0, :, 300:350] = motion[:, :50]
        param[0, :, 400:] = motion[:, 50:]
        np.save(out / "param" / f"{stem}.npy", param)
    return len(stems)


def subject_betas(subject: int, seed: int) -> np.ndarray:
    """Identity of a speaker: [300] float32 z-scores."""
    rng = np.random.default_rng([seed, 3, subject])
    return np.asarray(0.8 * rng.standard_normal(300), dtype=np.float32)


def clip_stems(out: Path) -> list[str]:
    """Stems of all finished clips, sorted."""
    return sorted(path.stem for path in (out / "phones").glob("*.json"))


def read_clip(out: Path, stem: str) -> Clip:
    """Read sound and sound times of one clip."""
    described = json.loads((out / "phones" / f"{stem}.json").read_text())
    with wave.open(str(out / "wav" / f"{stem}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    gestures = tuple((name, start, end) for name, start, end in described["gestures"])
    return Clip(stem, samples.astype(np.float32) / 32768.0, gestures)


def _write_wav(path: Path, audio: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(audio, -1, 1) * 32767.0).astype("<i2").tobytes())
