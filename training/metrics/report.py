# SPDX-License-Identifier: Apache-2.0
"""Every number of one system: means with intervals, overall, per emotion and per person.

One list of lines serves JSON, CSV and Markdown; each line has the code's unit and mm or mm^2.
"""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from training.metrics.definitions import metric_named
from training.metrics.scores import Estimate, Scores

ALL = "all"
_ACRONYMS = ("mve", "lve", "fdd", "mee", "ce")


@dataclasses.dataclass(frozen=True)
class Line:
    """One number: value with its 95 % interval over clips, in ``unit`` and in ``unit_mm``."""

    system: str
    group: str
    metric: str
    title: str
    value: float
    low: float
    high: float
    unit: str
    value_mm: float
    low_mm: float
    high_mm: float
    unit_mm: str
    n_clips: int


def lines_of(system: str, scores: Scores) -> list[Line]:
    """All lines of a system; groups are ``all``, ``emotion <name>``, ``subject <name>``."""
    groups = {ALL: scores}
    for kind in ("emotion", "subject"):
        groups |= {f"{kind} {name}": part for name, part in scores.by(kind).items()}
    return [
        _line(system, group, part.estimate(metric))
        for group, part in groups.items()
        for metric in part.metrics()
    ]


def _line(system: str, group: str, found: Estimate) -> Line:
    metric = found.metric
    values = (found.value, found.low, found.high)
    return Line(
        *(system, group, metric.name, metric.title),
        *(*values, metric.unit, *found.mm, metric.unit_mm, found.n_clips),
    )


def write_csv(lines: Iterable[Any], path: Path) -> None:
    """Write dataclass rows of one kind as CSV, seven figures each; nobody sees half a file."""
    rows = [
        {k: f"{v:.7g}" if isinstance(v, float) else v for k, v in dataclasses.asdict(line).items()}
        for line in lines
    ]
    part = path.with_name(f"{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def to_json(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Lines for JSON, which knows no NaN: it becomes null."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in dataclasses.asdict(line).items()
        }
        for line in lines
    ]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; the first column is text, the others are numbers."""
    marks = ["---"] + ["---:"] * (len(head) - 1)
    return [f"| {' | '.join(row)} |" for row in (head, marks, *rows)]


def number(value: float) -> str:
    """Four significant figures, or a dash where there is no number."""
    return f"{value:.4g}" if math.isfinite(value) else "-"


def with_interval(value: float, low: float, high: float) -> str:
    """``1.224 [1.2, 1.3]``, or the value alone where there is no interval."""
    told = number(value)
    if math.isfinite(low) and math.isfinite(high):
        told += f" [{low:.3g}, {high:.3g}]"
    return told


def report_markdown(lines: Sequence[Line]) -> list[str]:
    """The overall numbers of one system as a table."""
    rows = [
        (
            line.title,
            with_interval(line.value_mm, line.low_mm, line.high_mm) + f" {line.unit_mm}",
            f"{number(line.value)} {line.unit}",
            str(line.n_clips),
        )
        for line in lines
        if line.group == ALL
    ]
    head = ("metric", "mean [95 % interval over clips]", "in the code's unit", "clips")
    return markdown_table(head, rows)


def short_title(metric: str) -> str:
    """``MVE``, ``abs FDD``, ``closure error``: a metric in a line of text."""
    words = [word.upper() if word in _ACRONYMS else word for word in metric.split("_")]
    return " ".join(words).replace("FDD abs", "abs FDD").replace("region ", "MVE of the ")


def title_with_unit(metric: str) -> str:
    """``MVE, mm``: a column head."""
    return f"{short_title(metric)}, {metric_named(metric).unit_mm}"
