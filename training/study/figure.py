# SPDX-License-Identifier: Apache-2.0
"""Figure 5: stacked bars of preference, one per system and criterion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from training.study.analyse import ALL, Preference
from training.study.plan import CRITERIA

_COLOURS = ("#1a6fb0", "#b8b8b8", "#d9822b")
_INK = ("white", "black", "black")
_MIN_LABEL = 0.06


def draw_preferences(rows: Sequence[Preference], ours: str, path: Path, emotion: str = ALL) -> None:
    """Draw the rows of one emotion (or of all) as ours / tie / other shares of all votes."""
    chosen = [row for row in rows if row.emotion == emotion]
    if not chosen:
        raise ValueError(f"no votes for emotion {emotion!r}")
    others = list(dict.fromkeys(row.other for row in chosen))
    figure, axes = pyplot.subplots(figsize=(7, 0.6 + 0.42 * len(chosen) + 0.3 * len(others)))
    ticks, labels, y = [], [], 0.0
    for other in others:
        for criterion in CRITERIA:
            row = next((r for r in chosen if (r.other, r.criterion) == (other, criterion)), None)
            if row is None:
                continue
            _bar(axes, y, row)
            ticks.append(y)
            labels.append(f"{other}: {criterion.replace('_', ' ')}")
            y += 1.0
        y += 0.5
    axes.set_yticks(ticks, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    axes.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in _COLOURS]
    axes.legend(
        handles, [ours, "alike", "other"], ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    figure.savefig(path, dpi=200, bbox_inches="tight")
    pyplot.close(figure)


def _bar(axes: pyplot.Axes, y: float, row: Preference) -> None:
    left = 0.0
    for share, colour, ink in zip(row.shares, _COLOURS, _INK, strict=True):
        axes.barh(y, share, left=left, color=colour, height=0.75)
        if share >= _MIN_LABEL:
            text = f"{100 * share:.0f}"
            axes.text(left + share / 2, y, text, ha="center", va="center", fontsize=8, color=ink)
        left += share
