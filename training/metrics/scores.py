# SPDX-License-Identifier: Apache-2.0
"""Scores of a system: a small row per clip, from which come means, groups and bootstrap intervals.

A mean weighs clips by their observations (frames, bilabials), as the published code does when it
joins all clips; FDD weighs clips equally. Intervals resample whole clips, or whole people: clips of
one person are alike, so an interval over clips says little about other people.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from training.metrics.clip import BLOCK_BYTES, ClipScore, Truth, Vertices, score_clip
from training.metrics.definitions import Metric, metric_named
from training.metrics.regions import Regions

_RESAMPLES = 2000
_CHUNK = 512
Over = Literal["clip", "subject"]


class Estimate(NamedTuple):
    """A mean with its interval, in m or m^2; ``mm`` gives the same in mm or mm^2."""

    metric: Metric
    value: float
    low: float
    high: float
    n_clips: int

    @property
    def mm(self) -> tuple[float, float, float]:
        """Value, low and high in mm or mm^2."""
        to_mm = self.metric.to_mm
        return to_mm(self.value), to_mm(self.low), to_mm(self.high)


@dataclasses.dataclass(frozen=True)
class Scores:
    """Rows of one system on one set of clips."""

    clips: tuple[ClipScore, ...]

    def metrics(self) -> tuple[str, ...]:
        """Names that at least one clip has, in order of first appearance."""
        return tuple(dict.fromkeys(name for clip in self.clips for name in clip.values))

    def mean(self, metric: str) -> float:
        """Weighted mean in the code's unit; NaN where no clip has the metric."""
        values, counts = self._columns(metric)
        return float(np.dot(values, counts) / counts.sum()) if counts.sum() else float("nan")

    def estimate(
        self, metric: str, over: Over = "clip", level: float = 0.95, resamples: int = _RESAMPLES
    ) -> Estimate:
        """Mean with a percentile bootstrap interval; NaN where fewer than two were resampled."""
        values, counts = self._columns(metric)
        means = _bootstrap((values * counts)[None], counts[None], self._units(over), resamples)[0]
        low, high = _percentiles(means, level)
        n_clips = int((counts > 0).sum())
        return Estimate(metric_named(metric), self.mean(metric), low, high, n_clips)

    def by(self, group: Literal["emotion", "subject"]) -> dict[str, Scores]:
        """The same per emotion or per subject, groups in sorted order."""
        keys = sorted({getattr(clip, group) for clip in self.clips})
        return {
            key: Scores(tuple(clip for clip in self.clips if getattr(clip, group) == key))
            for key in keys
        }

    def save(self, path: Path) -> None:
        """Write all rows as JSON; a reader never sees half a file."""
        rows = [dataclasses.asdict(clip) for clip in self.clips]
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps({"version": 1, "clips": rows}) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Read what :meth:`save` wrote."""
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved.get("version") != 1:
            raise ValueError(f"{path.name} is not a score file of version 1")
        return cls(tuple(ClipScore(**row) for row in saved["clips"]))

    def _units(self, over: Over) -> np.ndarray:
        """What is resampled together: a number for each clip [n]."""
        if over == "clip":
            return np.arange(len(self.clips))
        return np.unique([clip.subject for clip in self.clips], return_inverse=True)[1]

    def _columns(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Values [n] (0 where missing) and counts [n] of a metric, per clip."""
        metric_named(metric)
        values = np.array([clip.values.get(metric, 0.0) for clip in self.clips], dtype=np.float64)
        counts = np.array([clip.counts.get(metric, 0) for clip in self.clips], dtype=np.float64)
        return values, counts


def score_all(
    pairs: Iterable[tuple[Truth, np.ndarray]],
    vertices: Vertices,
    regions: Regions,
    seed: int = 0,
    done: Callable[[ClipScore], None] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Scores:
    """Score (truth, samples [S, T, 53]) pairs as they come; only rows of numbers are kept.

    Each clip shuffles its samples by its own name, so the order of clips changes nothing.
    """
    rows: list[ClipScore] = []
    for truth, samples in pairs:
        generator = np.random.default_rng([seed, *truth.name.encode("utf-8")])
        rows.append(score_clip(truth, samples, vertices, regions, generator, block_bytes))
        if done is not None:
            done(rows[-1])
    return Scores(tuple(rows))


def difference(
    ours: Scores,
    theirs: Scores,
    metric: str,
    over: Over = "clip",
    level: float = 0.95,
    resamples: int = _RESAMPLES,
) -> Estimate:
    """Mean of ``ours`` minus ``theirs`` on the same clips, resampled together.

    Two systems differ where this interval leaves out zero; their own intervals may overlap then.
    """
    names = [clip.name for clip in ours.clips]
    other: Mapping[str, ClipScore] = {clip.name: clip for clip in theirs.clips}
    if len(set(names)) != len(names) or set(names) != set(other):
        raise ValueError("the two systems were not scored on the same clips")
    theirs = Scores(tuple(other[name] for name in names))
    columns = (ours._columns(metric), theirs._columns(metric))
    sums = np.stack([values * counts for values, counts in columns])
    counts = np.stack([counts for _, counts in columns])
    means = _bootstrap(sums, counts, ours._units(over), resamples)
    low, high = _percentiles(means[0] - means[1], level)
    n_clips = int((columns[0][1] > 0).sum())
    value = ours.mean(metric) - theirs.mean(metric)
    return Estimate(metric_named(metric), value, low, high, n_clips)


def _bootstrap(
    sums: np.ndarray, counts: np.ndarray, units: np.ndarray, resamples: int
) -> np.ndarray:
    """Sums and counts [R, n] per clip -> resampled means [R, resamples]; NaN under two units.

    Clips of one unit (``units`` [n], from 0) are drawn together.
    """
    means = np.full((sums.shape[0], resamples), np.nan)
    if units.size == 0:
        return means
    n = int(units.max()) + 1
    together = units[:, None] == np.arange(n)
    sums, counts = sums @ together, counts @ together
    for first in range(0, resamples, _CHUNK):
        stop = min(first + _CHUNK, resamples)
        times = _draws(n, first)[: stop - first].astype(np.float64)
        total, weight = sums @ times.T, counts @ times.T
        np.divide(total, weight, out=means[:, first:stop], where=weight > 0)
    # One clip, drawn again and again, would pretend to an interval of no width.
    means[(counts > 0).sum(axis=1) < 2] = np.nan
    return means


@functools.lru_cache(maxsize=32)
def _draws(n: int, first: int) -> np.ndarray:
    """How often each of ``n`` units falls in resamples ``first`` and on: [_CHUNK, n] uint8.

    The same for every metric and system, so they are drawn once.
    """
    generator = np.random.default_rng([n, first])
    return generator.multinomial(n, np.full(n, 1.0 / n), size=_CHUNK).astype(np.uint8)


def _percentiles(means: np.ndarray, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1")
    if not np.isfinite(means).any():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(means, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
