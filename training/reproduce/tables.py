# SPDX-License-Identifier: Apache-2.0
"""Markdown and CSV of a table: measured numbers, the paper's beside them, and what may be compared.

Numbers are in mm and mm^2 (the CSV has the code's m and m^2 as well), with 95 % intervals over
clips. Differences from our system are paired; an order of systems is told only as far as they bear.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.baselines.printed import NOT_COMPARABLE, TABLE1_PRINTED, TABLE2_PRINTED
from training.baselines.registry import TABLE2
from training.evaluate import Evaluation
from training.metrics import METRICS, PUBLISHED, Scores, difference, metric_named
from training.metrics.definitions import REGION_PREFIX
from training.metrics.report import (
    ALL,
    Line,
    lines_of,
    markdown_table,
    number,
    short_title,
    title_with_unit,
    with_interval,
    write_csv,
)
from training.reproduce.config import TABLES
from training.reproduce.pipeline import REFERENCES
from training.runs import write_text

OURS = {"table1": "lsf", "table2": "hifb"}
PRINTED = {"table1": TABLE1_PRINTED, "table2": TABLE2_PRINTED}
TITLES = {
    "faceformer": "FaceFormer",
    "codetalker": "CodeTalker",
    "emote": "EMOTE",
    "facediffuser_ddpm": "FaceDiffuser-DDPM",
    "facediffuser_ddim": "FaceDiffuser-DDIM",
    "probtalk3d": "ProbTalk3D",
    "lsf": "LSF-Animation",
    **{name: row.title for name, row in TABLE2.items()},
    "still": "(still face)",
    "average": "(average pose)",
}
_COMPARED = ("mve", "lve", "fdd_abs", "mee", "ce", "closure_error", "silence_error")
_EXTRA = ("fdd_abs", "closure_error", "closure_gap", "silence_error", "jitter")
_MARK = "†"
_NOT_HERE = "not reproduced here"


@dataclasses.dataclass(frozen=True)
class TableLine(Line):
    """A line of the CSV: ``printed`` is the paper's number in the code's unit, NaN without one."""

    printed: float
    printed_mm: float
    comparable: str


def write_table(table: str, found: Mapping[str, Evaluation], about: str, out: Path) -> str:
    """Write ``<table>.md`` and ``<table>.csv`` into ``out``; returns the Markdown."""
    lines = [
        _with_printed(table, line)
        for name, evaluation in found.items()
        for line in lines_of(name, evaluation.scores)
    ]
    write_csv(lines, out / f"{table}.csv")
    scores = {name: evaluation.scores for name, evaluation in found.items()}
    parts = [
        [f"# Table {table[-1]}", "", *_facts(found, about)],
        ["## Scores", "", *_main_table(table, scores)],
        ["## Order", "", *_orders(table, scores)],
        [f"## Against {TITLES[OURS[table]]}", "", *_differences(table, scores)],
        ["## What the paper does not report", "", *_extras(scores)],
        *_per_emotion(scores),
        ["## Conditioning for unseen people", "", *_conditioning(found)],
    ]
    text = "\n\n".join("\n".join(part) for part in parts) + "\n"
    write_text(out / f"{table}.md", text)
    return text


def _facts(found: Mapping[str, Evaluation], about: str) -> list[str]:
    facts = next(iter(found.values())).facts
    leaky = " Its test people were seen in training." if "leaky" in facts["split"] else ""
    return [
        about,
        "",
        f"- Clips: {facts['clips']} of {facts['people']} people, {60 * facts['hours']:.1f} "
        f"minutes, the {facts['part']} part of the split {facts['split']}.{leaky}",
        f"- Samples of each clip: {facts['samples']}; the first stands for the system where one is "
        "asked for.",
        f"- Face: {facts['face']}.",
        "- Every system was trained once: intervals tell how the mean varies over clips, not over "
        "trainings.",
        f"- Numbers of the paper are those of 3DMEAD on FLAME, in its true units; {_MARK} marks "
        "those that contradict the metrics' definitions and are no targets.",
    ]


def _main_table(table: str, scores: Mapping[str, Scores]) -> list[str]:
    """Each system's row, and under it what the paper prints for it."""
    rows = []
    for name, own in scores.items():
        estimates = [own.estimate(metric) for metric in PUBLISHED]
        rows.append((TITLES[name], *(with_interval(*found.mm) for found in estimates)))
        if name in TABLES[table]:
            rows.append(("&nbsp;&nbsp;*paper*", *_paper_row(PRINTED[table].get(name), name)))
    notes = [
        f"- {_MARK} {TITLES[system]}, {metric.upper()}: {why}"
        for (system, metric), why in NOT_COMPARABLE.items()
        if system in scores
    ]
    if table == "table2":
        notes.append(
            "- What the paper prints for the other rows of its Table 2 is not reproduced here; "
            "only the two rows that are also in its Table 1 were at hand."
        )
    head = ("system", *(title_with_unit(metric) for metric in PUBLISHED))
    return [*markdown_table(head, rows), "", *notes]


def _paper_row(printed: Mapping[str, float] | None, system: str) -> list[str]:
    """The paper's numbers under a system's own, or that they are not given here."""
    if printed is None:
        return [f"*{_NOT_HERE}*", *[""] * (len(PUBLISHED) - 1)]
    return [_printed(system, metric, printed) for metric in PUBLISHED]


def _printed(system: str, metric: str, printed: Mapping[str, float]) -> str:
    if metric not in printed:
        return "-"
    mark = f" {_MARK}" if (system, metric) in NOT_COMPARABLE else ""
    return f"*{number(METRICS[metric].to_mm(printed[metric]))}*{mark}"


def _orders(table: str, scores: Mapping[str, Scores]) -> list[str]:
    """Systems from best to worst; ``=`` where clips cannot tell two neighbours apart."""
    systems = [name for name in scores if name in TABLES[table]]
    lines = []
    for metric in _COMPARED:
        means = {name: scores[name].mean(metric) for name in systems}
        if not all(math.isfinite(value) for value in means.values()):
            continue
        ordered = sorted(systems, key=lambda name: means[name])  # noqa: B023
        told = TITLES[ordered[0]]
        for better, worse in zip(ordered, ordered[1:], strict=False):
            apart = difference(scores[worse], scores[better], metric)
            told += f" {'<' if apart.low > 0 else '='} {TITLES[worse]}"
        lines.append(f"- {short_title(metric)}: {told}")
    return [
        "Lower is better. `=` stands where the paired difference of two neighbours may be zero "
        "(95 % over clips).",
        "",
        *lines,
    ]


def _differences(table: str, scores: Mapping[str, Scores]) -> list[str]:
    """Every other row minus ours on the same clips."""
    ours = scores[OURS[table]]
    metrics = [m for m in _COMPARED if math.isfinite(ours.mean(m))]
    rows = []
    for name, theirs in scores.items():
        if name == OURS[table]:
            continue
        cells = []
        for metric in metrics:
            clips = difference(theirs, ours, metric)
            people = difference(theirs, ours, metric, over="subject")
            cells.append(f"{with_interval(*clips.mm)}{_verdict(clips, people)}")
        rows.append((TITLES[name], *cells))
    head = ("minus ours", *(title_with_unit(metric) for metric in metrics))
    return [
        "Positive: ours is better. **+** or **-**: the interval leaves out zero over clips and "
        "over people; (+) or (-): over clips only.",
        "",
        *markdown_table(head, rows),
    ]


def _verdict(clips: tuple[float, ...], people: tuple[float, ...]) -> str:
    signs = []
    for _, _, low, high, _ in (clips, people):
        signs.append("+" if low > 0 else "-" if high < 0 else "")
    if not signs[0]:
        return ""
    return f" **{signs[0]}**" if signs[0] == signs[1] else f" ({signs[0]})"


def _extras(scores: Mapping[str, Scores]) -> list[str]:
    first = next(iter(scores.values()))
    known = first.metrics()
    metrics = [
        m for m in (*_EXTRA, *(m for m in known if m.startswith(REGION_PREFIX))) if m in known
    ]
    rows = [
        (TITLES[name], *(with_interval(*own.estimate(metric).mm) for metric in metrics))
        for name, own in scores.items()
    ]
    truths = {"jitter": "jitter_truth", "closure_gap": "closure_gap_truth"}
    rows.append(
        (
            "(ground truth)",
            *(
                number(metric_named(m).to_mm(first.mean(truths[m]))) if m in truths else "-"
                for m in metrics
            ),
        )
    )
    return markdown_table(("system", *(title_with_unit(metric) for metric in metrics)), rows)


def _per_emotion(scores: Mapping[str, Scores]) -> list[list[str]]:
    """MVE and LVE per emotion, where there is more than one."""
    parts = {name: own.by("emotion") for name, own in scores.items()}
    names = list(next(iter(parts.values())))
    if len(names) < 2:
        return []
    out = []
    for metric in ("mve", "lve"):
        rows = [
            (TITLES[system], *(with_interval(*own[name].estimate(metric).mm) for name in names))
            for system, own in parts.items()
        ]
        out += [*markdown_table((title_with_unit(metric), *names), rows), ""]
    return [["## Per emotion", "", *out[:-1]]]


def _conditioning(found: Mapping[str, Evaluation]) -> list[str]:
    return [
        f"- {TITLES[name]}: {evaluation.facts['conditioning']}"
        for name, evaluation in found.items()
        if name not in REFERENCES
    ]


def _with_printed(table: str, line: Line) -> TableLine:
    printed = PRINTED[table].get(line.system, {}).get(line.metric, float("nan"))
    if line.group != ALL:
        printed = float("nan")
    comparable = ""
    if math.isfinite(printed):
        comparable = NOT_COMPARABLE.get((line.system, line.metric), "yes")
    elif line.group == ALL and line.system in TABLES[table] and line.system not in PRINTED[table]:
        comparable = _NOT_HERE if line.metric in PUBLISHED else ""
    values = {field.name: getattr(line, field.name) for field in dataclasses.fields(Line)}
    printed_mm = metric_named(line.metric).to_mm(printed)
    return TableLine(**values, printed=printed, printed_mm=printed_mm, comparable=comparable)


def titles(names: Sequence[str]) -> list[str]:
    """Names as they stand in tables and figures."""
    return [TITLES[name] for name in names]
