# SPDX-License-Identifier: Apache-2.0
"""Preference for ours over each system, per criterion and emotion, with binomial confidence.

Preference is wins / (wins + losses); ties are counted beside it. The interval is Wilson's, the test
the exact two-sided sign test. Both take votes as independent; votes of one person are not, so an
interval that resamples whole voters stands beside them.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from training.study.plan import CRITERIA
from training.study.votes import Collected, Vote

ALL = "all"


@dataclasses.dataclass(frozen=True)
class Preference:
    """One row: counts, preference with Wilson and by-voter intervals, p of the sign test."""

    other: str
    criterion: str
    emotion: str
    wins: int
    ties: int
    losses: int
    preference: float
    low: float
    high: float
    low_voters: float
    high_voters: float
    p_value: float

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of ours, ties, other among all votes."""
        total = self.wins + self.ties + self.losses
        return self.wins / total, self.ties / total, self.losses / total


def preferences(votes: Sequence[Vote], level: float = 0.95, seed: int = 0) -> list[Preference]:
    """All rows: every system and criterion over all emotions, then per emotion."""
    emotions = sorted({vote.pair.emotion for vote in votes})
    rows = []
    for emotion in (ALL, *emotions) if len(emotions) > 1 else (ALL,):
        for other in sorted({vote.other for vote in votes}):
            for criterion in CRITERIA:
                chosen = [
                    vote
                    for vote in votes
                    if vote.other == other
                    and vote.criterion == criterion
                    and emotion in (ALL, vote.pair.emotion)
                ]
                if chosen:
                    rows.append(_row(other, criterion, emotion, chosen, level, seed))
    return rows


def _row(
    other: str, criterion: str, emotion: str, votes: Sequence[Vote], level: float, seed: int
) -> Preference:
    results = np.array([vote.result for vote in votes])
    wins, ties, losses = (int((results == value).sum()) for value in (1, 0, -1))
    decided = wins + losses
    if decided == 0:
        nan = float("nan")
        return Preference(
            other, criterion, emotion, wins, ties, losses, nan, 0.0, 1.0, 0.0, 1.0, 1.0
        )
    test = stats.binomtest(wins, decided, 0.5)
    interval = test.proportion_ci(level, method="wilson")
    low, high = _by_voter(votes, level, seed)
    return Preference(
        other,
        criterion,
        emotion,
        wins,
        ties,
        losses,
        wins / decided,
        float(interval.low),
        float(interval.high),
        low,
        high,
        float(test.pvalue),
    )


def _by_voter(votes: Sequence[Vote], level: float, seed: int) -> tuple[float, float]:
    """Percentile interval of the preference when whole voters are resampled; 0..1 for one voter."""
    voters = sorted({vote.voter for vote in votes})
    if len(voters) < 2:
        return 0.0, 1.0
    place = {voter: index for index, voter in enumerate(voters)}
    counts = np.zeros((len(voters), 2))
    for vote in votes:
        if vote.result:
            counts[place[vote.voter], 0 if vote.result > 0 else 1] += 1
    n = len(voters)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=2000)
    drawn = times @ counts
    total = drawn.sum(axis=1)
    share = drawn[total > 0, 0] / total[total > 0]
    low, high = np.percentile(share, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def write_tables(collected: Collected, rows: Sequence[Preference], out: Path) -> None:
    """Write ``preferences.csv`` and ``preferences.md`` (with what was left out, and why)."""
    fields = [field.name for field in dataclasses.fields(Preference)]
    with (out / "preferences.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)
    lines = [
        f"{collected.n_voters} voters, {len(collected.votes)} answers. Preference leaves ties out; "
        "95 % intervals: Wilson, and with whole voters resampled; p: exact sign test.",
        "",
        "| against | criterion | emotion | ours | tie | other | preference | Wilson | voters | p |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- | ---: |",
    ]
    lines += [_line(row) for row in rows]
    if collected.left_out:
        lines += ["", "Left out:", ""]
        lines += [f"- {name} {reason}" for name, reason in collected.left_out]
    (out / "preferences.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(row: Preference) -> str:
    wilson = f"{100 * row.low:.0f}-{100 * row.high:.0f}"
    voters = f"{100 * row.low_voters:.0f}-{100 * row.high_voters:.0f}"
    share = f"{100 * row.preference:.0f} %" if row.wins + row.losses else "-"
    return (
        f"| {row.other} | {row.criterion} | {row.emotion} | {row.wins} | {row.ties} | {row.losses} "
        f"| {share} | {wilson} | {voters} | {row.p_value:.3g} |"
    )
