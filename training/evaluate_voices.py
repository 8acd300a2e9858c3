# SPDX-License-Identifier: Apache-2.0
"""How the compact engine moves the face for people it never heard in training.

``python -m training.evaluate_voices OUT``: recorded English (prompts and LibriVox) against aligned
sounds, other languages against their transcripts, upper face and chunk borders; ``--rhubarb`` adds
Rhubarb Lip Sync on the same clips, ``--corpus`` the held-out emotional synthetic speech. Writes
``OUT/voices.json`` and pictures; what takes long is kept in ``OUT`` for the next run.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.engine.compact_files import FOLDER
from lsf_backend.face.face_model import FaceModel
from lsf_backend.finishing.lips import gap_per_weight_mm
from training.corpus.make import merged
from training.corpus.phones import gestures_of
from training.corpus.teacher import Teacher
from training.voices import emotion, languages, pictures, upper_face
from training.voices.align import Phones
from training.voices.aligned import aligned_librivox, aligned_prompts
from training.voices.engine import animate, delivered
from training.voices.measures import Counts, SoundFrames, measure_lips, wrong_closures
from training.voices.recordings import SEEN_PROMPTS, Recording, prompts
from training.voices.rhubarb import Rhubarb

log = logging.getLogger(__name__)
Animate = Callable[[Recording, np.ndarray], np.ndarray]
N_PICTURES = 3
RHUBARB_CLIPS = 60


def gestures_from_phones(phones: Phones, end_s: float) -> tuple[tuple[str, float, float], ...]:
    """Aligned ARPAbet phones as the teacher's gestures, up to ``end_s``."""
    found: list[tuple[str, float, float]] = []
    for symbol, start, stop in phones:
        names = gestures_of(symbol, "arpabet")
        middle = start + 0.55 * (stop - start)
        spans = [(start, stop)] if len(names) == 1 else [(start, middle), (middle, stop)]
        found += [(name, a, b) for name, (a, b) in zip(names, spans, strict=False)]
    if found and found[-1][2] < end_s:
        found.append(("sil", found[-1][2], end_s))
    return tuple(merged(found))


class English:
    """Recorded English with the teacher's motion on its aligned sounds."""

    def __init__(self, folder: Path, most: int) -> None:
        self.face, teacher = FaceModel.load(), Teacher.load()
        self.clips = []
        for recording, phones in aligned_librivox(folder) + aligned_prompts(folder, most):
            audio = recording.audio()
            gestures = gestures_from_phones(phones, audio.size / 16_000)
            wanted = teacher.motion(audio, gestures, np.zeros(300, np.float32), seed=0)
            self.clips.append((recording, phones, audio, wanted))

    def parts(self) -> dict[str, list[int]]:
        """Numbers of the clips: LibriVox, prompts that makers looked at, prompts untouched."""
        looked_at = {recording.name for recording in prompts("en")[:SEEN_PROMPTS]}
        names = [clip[0].name for clip in self.clips]
        prompted = [n for n, name in enumerate(names) if name.startswith("en/")]
        return {
            "untouched prompts": [n for n in prompted if names[n] not in looked_at],
            "prompts looked at": [n for n in prompted if names[n] in looked_at],
            "librivox": [n for n in range(len(names)) if n not in prompted],
            "all": list(range(len(self.clips))),
        }

    def measure(self, animate_clip: Animate) -> dict[str, Any]:
        """Lips of every part; upper face and speed over all."""
        motions, busy_s = [], 0.0
        for recording, _, audio, _ in self.clips:
            begun = time.monotonic()
            motions.append(animate_clip(recording, audio))
            busy_s += time.monotonic() - begun
        found: dict[str, Any] = {}
        for part, numbers in self.parts().items():
            counts = Counts()
            for n in numbers:
                _, phones, audio, wanted = self.clips[n]
                sounds = SoundFrames(len(motions[n]), phones, audio)
                measure_lips(self.face, motions[n], wanted, sounds, audio, counts)
            found[part] = counts.summary()
        upper, wrong = Counts(), []
        for motion, (recording, phones, audio, _) in zip(motions, self.clips, strict=True):
            upper_face.measure_upper_face(motion, audio, upper)
            sounds = SoundFrames(len(motion), phones, audio)
            wrong += [f"{recording.name}: {s}" for s in wrong_closures(self.face, motion, sounds)]
        seconds = sum(audio.size for _, _, audio, _ in self.clips) / 16_000
        return {
            "lips": found, "upper face": upper.summary(), "wrong closures": wrong,
            "seconds": round(seconds, 1), "real_time_factor": round(busy_s / seconds, 4),
        }  # fmt: skip

    def borders(self, animate_clip: Animate, folder: Path, most: int = 25) -> dict[str, Any]:
        """Streamed motion against the whole clip known at once, at chunk borders."""
        counts, clips = Counts(), [c for c in self.clips if 4 * 16_000 < c[2].size < 15 * 16_000]
        for recording, _, audio, _ in clips[:most]:
            whole = upper_face.without_borders(audio, folder)
            motion = animate_clip(recording, audio)
            upper_face.measure_borders(motion, whole, self.face, counts)
        found = counts.summary()
        squared = found.pop("border, squared mm")
        rms = round(squared["mean"] ** 0.5, 4)
        return found | {"border, rms mm": {"mean": rms, "n": squared["n"]}}

    def draw(self, animate_clip: Animate, out: Path) -> None:
        """Plots of the first clips and a sheet of mouths of one."""
        for number, (recording, phones, audio, wanted) in enumerate(self.clips[5:][:N_PICTURES]):
            motion, name = animate_clip(recording, audio), recording.name.replace("/", "_")
            pictures.plot(audio, motion, wanted, phones, self.face, out / f"{name}.png")
            if number == 0:
                pictures.mouths(motion, phones, out / f"{name}_faces.png")


def evaluate(
    out: Path, folder: Path = FOLDER, temperature: float = 0.0, most: int = 254,
    other_languages: int = 40, rhubarb: Path | None = None, corpus: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Measure the model of ``folder``; writes ``voices.json`` and pictures to ``out``."""

    def ours(recording: Recording, audio: np.ndarray) -> np.ndarray:
        return animate(audio, folder, temperature)

    out.mkdir(parents=True, exist_ok=True)
    english = English(out, most)
    found: dict[str, Any] = {"temperature": temperature, "english": english.measure(ours)}
    found["borders"] = english.borders(ours, folder)
    per_weight_mm = gap_per_weight_mm(english.face)
    found["english, delivered"] = english.measure(
        lambda recording, audio: delivered(audio, ours(recording, audio), per_weight_mm)
    )
    english.draw(ours, out)
    if other_languages:
        found["warp against alignment, english"] = languages.warp_error(out, other_languages)
        found["languages"] = languages.measure_languages(out, ours, other_languages)
    if rhubarb is not None:
        runner = Rhubarb(rhubarb)

        def theirs(recording: Recording, audio: np.ndarray) -> np.ndarray:
            return runner.animate(recording.name, audio, recording.text)

        # It takes about as long as the sound lasts.
        few = English(out, min(most, RHUBARB_CLIPS))
        found["rhubarb, with the text"] = few.measure(theirs)
        found["ours, rhubarb's clips"] = few.measure(ours)
    if corpus is not None:
        from training.voices import held_out

        clips = held_out.emotional_clips(corpus, lambda audio: animate(audio, folder, temperature))
        found["emotion"] = emotion.measure_emotion(clips)
    name = "voices.json" if temperature == 0.0 else f"voices_temperature_{temperature:g}.json"
    (out / name).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    for recording in [p for p in prompts("it") if p.path.stem.startswith("auth-inc")]:
        audio = recording.audio()
        pictures.plot(audio, ours(recording, audio), None, [], english.face, out / "it.png")
    return found


def table(found: dict[str, Any]) -> str:
    """The measures of the English parts as Markdown, parts side by side."""
    columns = {f"ours, {part}": rows for part, rows in found["english"]["lips"].items()}
    for part, rows in found["english, delivered"]["lips"].items():
        columns[f"delivered, {part}"] = rows
    for name in ("ours, rhubarb's clips", "rhubarb, with the text"):
        if name in found:
            columns[name] = found[name]["lips"]["all"]
    lines = ["| measure | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in found["english"]["lips"]["all"]:
        cells = [
            f"{rows[name]['mean']:.3f} ({rows[name]['n']})" if name in rows else ""
            for rows in columns.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate_voices", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=254, help="English prompts at most")
    parser.add_argument("--other-languages", type=int, default=40, help="clips of each, 0: none")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder of an exported model")
    parser.add_argument("--rhubarb", type=Path, help="folder where npm may install Rhubarb")
    parser.add_argument("--corpus", type=Path, help="folder of python -m training.corpus")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    found = evaluate(
        options.out, options.model, options.temperature, options.clips,
        options.other_languages, options.rhubarb, options.corpus,
    )  # fmt: skip
    english = found["english"]
    log.info("%s", table(found))
    log.info("%s", json.dumps(english["upper face"] | found["borders"], indent=1))
    for name in ("languages", "warp against alignment, english", "emotion"):
        if name in found:
            log.info("%s: %s", name, json.dumps(found[name], ensure_ascii=False))


if __name__ == "__main__":
    main()
