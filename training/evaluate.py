# SPDX-License-Identifier: Apache-2.0
"""``python -m training.evaluate RUN...``: score what trained systems say of clips they never saw.

Writes ``scores.json`` (a row per clip), ``report.json|csv|md`` and ``movement.npz`` (figure 4) into
``RUN/evaluation``. Nothing is drawn again where the same weights were scored the same way.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.timing import MOTION_FPS
from training.data.clips import EMOTIONS, SourceError
from training.data.sources import Clips, open_clips
from training.data.splits import PARTS
from training.metrics import (
    MovementAccumulator,
    MovementMap,
    Scores,
    Truth,
    bilabial_spans,
    score_all,
    silent_frames,
    vertices_of,
)
from training.metrics.face_files import FaceFiles
from training.metrics.phones import phones_of
from training.metrics.report import Line, lines_of, report_markdown, to_json, write_csv
from training.runs import WEIGHTS, open_run, write_json
from training.sample import sample

FACTS, SCORES, MOVEMENT = "evaluation.json", "scores.json", "movement.npz"


class Drawn(Protocol):
    """A clip with what a system drew for it, as ``training.sample`` yields it."""

    clip: Any
    motion: np.ndarray
    samples: np.ndarray


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How systems are scored: clips of ``part``, ``samples`` motions each, on ``face``.

    ``phones``: folder of sound times (see ``training.metrics.phones``) for the closure error.
    """

    part: str = "test"
    samples: int = 10
    seed: int = 0
    face: FaceFiles = FaceFiles()
    phones: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be scored."""
        if self.part not in PARTS:
            raise ValueError(f"part is one of {', '.join(PARTS)}, not {self.part!r}")
        if self.samples < 1:
            raise ValueError(f"samples is at least 1, not {self.samples}")

    def check(self) -> None:
        """Refuse files that are not there, before anything is trained or drawn; ValueError."""
        if self.phones is not None and not self.phones.is_dir():
            raise ValueError(f"phones: {self.phones} is not a folder")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EvaluateConfig:
        """Read a configuration; raises ValueError with the keys that nobody knows."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"evaluate has no {', '.join(unknown)}; it knows {', '.join(known)}")
        values = dict(values)
        if values.get("phones") is not None:
            values["phones"] = Path(values["phones"]).expanduser()
        return cls(**values | {"face": FaceFiles.from_dict(values.get("face", {}))})


class Evaluation(NamedTuple):
    """Scores of a system, the movement of its first sample and of the truth, and the facts."""

    scores: Scores
    movement: MovementMap
    true_movement: MovementMap
    facts: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Evaluation:
        """Read a finished evaluation; raises OSError or ValueError where it is not one."""
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        with np.load(folder / MOVEMENT, allow_pickle=False) as saved:
            maps = [
                MovementMap(saved[f"{who}_mean_mm"], saved[f"{who}_std_mm"], int(saved["n_steps"]))
                for who in ("system", "truth")
            ]
        return cls(Scores.load(folder / SCORES), *maps, facts)

    def save(self, folder: Path) -> list[Line]:
        """Write all files, the facts last: they say that the others are whole."""
        system = str(self.facts["system"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).unlink(missing_ok=True)
        self.scores.save(folder / SCORES)
        np.savez(
            folder / MOVEMENT,
            system_mean_mm=self.movement.mean_mm,
            system_std_mm=self.movement.std_mm,
            truth_mean_mm=self.true_movement.mean_mm,
            truth_std_mm=self.true_movement.std_mm,
            n_steps=np.array(self.movement.n_steps),
        )
        lines = lines_of(system, self.scores)
        write_csv(lines, folder / "report.csv")
        head = [f"# {system}", "", *(f"- {k}: {v}" for k, v in self.facts.items()), ""]
        text = "\n".join([*head, *report_markdown(lines)]) + "\n"
        (folder / "report.md").write_text(text, encoding="utf-8")
        report = {"facts": self.facts, "lines": to_json(lines)}
        (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        write_json(folder / FACTS, self.facts)
        return lines


def evaluate_run(
    run: Path, config: EvaluateConfig, folder: Path, system: str | None = None
) -> Evaluation:
    """Score a finished run into ``folder``, or read what was scored there in the same way.

    ``system``: another one that uses the weights of the run.
    """
    config.check()
    trained = open_run(run, system)
    clips = open_clips(trained.facts.config.data)
    weights = hashlib.sha256((run / "stage2" / WEIGHTS).read_bytes()).hexdigest()
    facts = {
        "system": trained.facts.config.system,
        "weights": weights,
        "conditioning": trained.conditioning,
    } | evaluation_facts(config, clips)
    if kept := kept_evaluation(folder, facts):
        return kept
    drawn = sample(trained, config.samples, config.seed, config.part, clips)
    done = evaluate(drawn, config, clips, facts)
    done.save(folder)
    return done


def evaluation_facts(config: EvaluateConfig, clips: Clips) -> dict[str, Any]:
    """What two evaluations must have in common to be compared, for ``evaluation.json``."""
    numbers = clips.split.numbers(2, config.part)
    told = "\n".join(f"{clips.clips[i].stem} {clips.clips[i].count}" for i in numbers)
    face = {k: v and str(v) for k, v in dataclasses.asdict(config.face).items()}
    return {
        "split": clips.split.title,
        "part": config.part,
        "people": len({clips.clips[i].subject for i in numbers}),
        "hours": round(sum(clips.clips[i].count for i in numbers) / (3600 * MOTION_FPS), 4),
        "clips_digest": hashlib.sha256(told.encode()).hexdigest(),
        "samples": config.samples,
        "seed": config.seed,
        "face_files": face,
        "phones": config.phones and str(config.phones),
    }


def kept_evaluation(folder: Path, facts: dict[str, Any]) -> Evaluation | None:
    """What ``folder`` holds, if it was made with exactly these facts."""
    try:
        kept = Evaluation.load(folder)
    except (OSError, ValueError, KeyError):
        return None
    same = all(kept.facts.get(key) == value for key, value in facts.items())
    return kept if same else None


def evaluate(
    drawn: Iterable[Drawn], config: EvaluateConfig, clips: Clips, facts: dict[str, Any]
) -> Evaluation:
    """Score clips as they come; the sound of ``clips`` tells their silences."""
    if clips.face != (shown := config.face.shows):
        raise ValueError(f"the clips are motion of {clips.face}, the face to score on is {shown}")
    face, regions, note = config.face.open()
    vertices = vertices_of(face)
    movements = MovementAccumulator(vertices), MovementAccumulator(vertices)
    numbers = {clip.stem: number for number, clip in enumerate(clips.clips)}

    def pairs() -> Iterator[tuple[Truth, np.ndarray]]:
        for one in drawn:
            for movement, motion in zip(movements, (one.samples[0], one.motion), strict=True):
                movement.add(motion)
            try:
                heard = clips.audio(numbers[one.clip.stem])
            except SourceError:
                heard = None
            yield truth_of(one, heard, config.phones), one.samples

    scores = score_all(pairs(), vertices, regions, config.seed)
    maps = [movement.result() for movement in movements]
    return Evaluation(scores, *maps, {**facts, "face": note, "clips": len(scores.clips)})


def truth_of(one: Drawn, sound: np.ndarray | None, phones: Path | None) -> Truth:
    """The recorded side of a clip, with its bilabials and silences where they can be known."""
    clip, n_frames = one.clip, len(one.motion)
    told = phones_of(phones, clip.stem) if phones is not None else None
    return Truth(
        clip.stem,
        clip.subject,
        EMOTIONS[clip.emotion] if clip.emotion >= 0 else "unknown",
        np.asarray(one.motion, dtype=np.float32),
        bilabial_spans(told, n_frames) if told else (),
        silent_frames(sound, n_frames) if sound is not None else None,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Score every run that was named; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        face = {
            name: getattr(options, name)
            for name in ("flame_version", "lips", "upper_face", "rims", "masks")
            if getattr(options, name) is not None
        }
        values = {"part": options.part, "samples": options.samples, "seed": options.seed}
        config = EvaluateConfig.from_dict(
            {**values, "phones": options.phones, "face": {"file": options.flame, **face}}
        )
        for run in options.runs:
            folder = run / "_".join(["evaluation", *filter(None, [options.system])])
            done = evaluate_run(run, config, folder, options.system)
            lines = lines_of(str(done.facts["system"]), done.scores)
            print("\n".join([f"{run}: {lines[0].system}", "", *report_markdown(lines), ""]))
            print(f"Conditioning: {done.facts['conditioning']}\nAll files: {folder}\n")
    except (LsfError, SourceError, ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a trained run")
    parser.add_argument("--part", default="test", choices=PARTS)
    parser.add_argument("--samples", type=int, default=10, help="motions of each clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--system", help="another system with the same weights: facediffuser_ddim")
    parser.add_argument("--phones", type=Path, help="folder of <stem>.TextGrid or .json, for p b m")
    parser.add_argument("--flame", type=Path, help="FLAME's file; without it the bundled head")
    parser.add_argument("--flame-version", help="where neither file nor name says it: 2020")
    parser.add_argument("--lips", type=Path, help="FLAME's lip vertices, numbers in a text file")
    parser.add_argument("--upper-face", type=Path, help="FLAME's upper-face vertices, likewise")
    parser.add_argument("--rims", type=Path, help="two lines: upper and lower inner lip rim")
    parser.add_argument("--masks", type=Path, help="FLAME_masks.pkl, instead of the lists")
    return parser


if __name__ == "__main__":
    sys.exit(main())
