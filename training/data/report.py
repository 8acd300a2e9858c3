# SPDX-License-Identifier: Apache-2.0
"""What a preparation kept and what it left out, for people (``report.md``) and as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsf_backend.timing import MOTION_FPS, seconds_from_frames
from training.data.clips import EMOTIONS
from training.data.journal import Line

# A steady difference of rates shows in the median of many clips long before it shows in one.
_STEADY = 0.015


@dataclasses.dataclass(frozen=True)
class Report:
    """``skipped`` rows are (clip, code, sentence); ``left_out`` are things that are no clips."""

    source: dict[str, Any]
    kept: int
    hours: float
    skipped: tuple[tuple[str, str, str], ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    by_emotion: dict[str, int]
    by_subject: dict[str, int]
    was_there: bool = False

    @classmethod
    def of(cls, source: dict[str, Any], lines: Sequence[Line], left_out: Sequence[str]) -> Report:
        """Count what a journal tells."""
        kept = [line.kept for line in lines if line.kept]
        notes = [note for clip in kept for note in clip.notes]
        ratios = [clip.motion_frames / max(1, clip.audio_frames) for clip in kept]
        if ratios and abs(statistics.median(ratios) - 1.0) > _STEADY:
            fps = MOTION_FPS * statistics.median(ratios)
            notes.insert(
                0,
                f"Most clips have motion at {fps:.1f} frames per second of sound, not "
                f"{MOTION_FPS}: check the rate before training.",
            )
        emotions = Counter(
            EMOTIONS[clip.emotion] if clip.emotion >= 0 else "unknown" for clip in kept
        )
        return cls(
            source=source,
            kept=len(kept),
            hours=seconds_from_frames(sum(clip.count for clip in kept)) / 3600.0,
            skipped=tuple((line.stem, *line.skipped) for line in lines if line.skipped),
            left_out=tuple(left_out),
            notes=tuple(notes),
            by_emotion=dict(sorted(emotions.items())),
            by_subject=dict(sorted(Counter(clip.subject for clip in kept).items())),
        )

    @property
    def reasons(self) -> dict[str, int]:
        """How many clips were skipped for each code, most frequent first."""
        return dict(Counter(code for _, code, _ in self.skipped).most_common())

    def summary(self) -> str:
        """One paragraph for a terminal."""
        space, version = self.source["face_space"], self.source["flame_version"]
        face = f"FLAME {version}" if space == "flame" else "the bundled head"
        text = f"{self.kept} clips, {self.hours:.2f} hours, motion of {face}"
        if self.skipped:
            reasons = ", ".join(f"{count} {code}" for code, count in self.reasons.items())
            text += f"; {len(self.skipped)} left out ({reasons})"
        return text


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` and ``report.md``."""
    described = {**dataclasses.asdict(report), "reasons": report.reasons}
    del described["was_there"]
    _write(folder / "report.json", json.dumps(described, indent=1))
    _write(folder / "report.md", markdown(report))


def markdown(report: Report) -> str:
    """Report as Markdown."""
    lines = [f"# Data from {report.source['source']}", "", f"{report.summary()}.", ""]
    for title, counts in (("Emotion", report.by_emotion), ("Subject", report.by_subject)):
        lines += [f"| {title} | clips |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in counts.items()] + [""]
    if report.skipped:
        lines += ["## Left out", "", "| clip | why | in words |", "|---|---|---|"]
        lines += [
            f"| {stem} | {code} | {_cell(message)} |" for stem, code, message in report.skipped
        ]
        lines.append("")
    for title, texts in (("Not looked at", report.left_out), ("Notes", report.notes)):
        if texts:
            lines += [f"## {title}", "", *(f"- {text}" for text in texts), ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(part, path)
