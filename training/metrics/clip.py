# SPDX-License-Identifier: Apache-2.0
"""Scores of one clip: S sampled motions against the truth, computed block of frames by block.

Definitions are those of the published evaluation code, see ``definitions.py``. Both sides use the
same neutral face, which is the business of the ``vertices`` callable. S is a vector dimension.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from lsf_backend.timing import MOTION_FPS
from training.metrics.definitions import REGION_PREFIX
from training.metrics.events import Span
from training.metrics.regions import Regions
from training.metrics.streaming import HighPass, RunningSpread

# motion [S, T, 53] -> vertices [S, T, V, 3] in metres.
Vertices = Callable[[np.ndarray], np.ndarray]

JITTER_HZ = 8.0
BLOCK_BYTES = 24 * 2**20


@dataclasses.dataclass(frozen=True)
class Truth:
    """A recorded clip: motion [T, 53] at 25 fps, and what is known about its sound.

    ``bilabials`` and ``silent`` [T] bool come from :mod:`training.metrics.events`; without them
    the measures that need them are left out.
    """

    name: str
    subject: str
    emotion: str
    motion: np.ndarray
    bilabials: tuple[Span, ...] = ()
    silent: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class ClipScore:
    """Mean values of one clip in m and m^2, and how many observations stand behind each."""

    name: str
    subject: str
    emotion: str
    n_frames: int
    values: Mapping[str, float]
    counts: Mapping[str, int]


def score_clip(
    truth: Truth,
    samples: np.ndarray,
    vertices: Vertices,
    regions: Regions,
    generator: np.random.Generator,
    block_bytes: int = BLOCK_BYTES,
) -> ClipScore:
    """Samples [S, T, 53] of a clip -> its :class:`ClipScore`.

    The first sample stands for the system where one is asked for. ``generator`` shuffles the
    samples into pairs for Diversity. A block holds at most ``block_bytes`` of float32 vertices.
    """
    _check(truth, samples)
    if (samples == samples[0]).all():
        # Ten times the work for nothing, and matrix products round a row by its place in the batch:
        # equal motions would get a Diversity of a few nanometres.
        samples = samples[:1]
    n_samples, n_frames = samples.shape[:2]
    neutral = vertices(np.zeros((1, 1, samples.shape[2]), dtype=np.float32))[0, 0]
    regions.check(neutral.shape[0])
    sums = _Sums(regions, neutral, n_samples, generator)
    step = max(1, block_bytes // (n_samples * neutral.size * 4))
    for first in range(0, n_frames, step):
        block = slice(first, first + step)
        sums.add(vertices(truth.motion[None, block])[0], vertices(samples[:, block]))
    values, counts = sums.values()
    _add_gaps(truth, sums, values, counts)
    return ClipScore(truth.name, truth.subject, truth.emotion, n_frames, values, counts)


class _Sums:
    """Running sums over the frames of one clip."""

    def __init__(
        self, regions: Regions, neutral: np.ndarray, n_samples: int, generator: np.random.Generator
    ) -> None:
        self.regions = regions
        self.neutral = neutral
        self.neutral_upper = neutral[regions.upper_face].astype(np.float64)
        order = generator.permutation(n_samples)
        half = n_samples // 2
        self.pairs = (order[:half], order[half : 2 * half])
        self.n_frames = 0
        self.vertex_error = self.mean_lip_error = self.between = 0.0
        self.lip_error = np.zeros(n_samples)
        self.of_region = dict.fromkeys(regions.named, 0.0)
        self.spread = (RunningSpread(), RunningSpread())
        self.shake = (HighPass(JITTER_HZ, MOTION_FPS), HighPass(JITTER_HZ, MOTION_FPS))
        self.gaps: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])

    def add(self, true: np.ndarray, drawn: np.ndarray) -> None:
        """True [n, V, 3], drawn [S, n, V, 3] in m."""
        lips = self.regions.lips
        self.n_frames += true.shape[0]
        distance = _lengths(drawn[0] - true)
        self.vertex_error += float(distance.mean(axis=1, dtype=np.float64).sum())
        for name, region in self.regions.named.items():
            self.of_region[name] += float(distance[:, region].mean(axis=1, dtype=np.float64).sum())

        true_lips, drawn_lips = true[:, lips], drawn[:, :, lips]
        self.lip_error += _lip_error(drawn_lips - true_lips)
        mean_lips = drawn_lips.mean(axis=0, dtype=np.float64).astype(true.dtype)
        self.mean_lip_error += float(_lip_error(mean_lips - true_lips))
        for left, right in zip(*self.pairs, strict=True):
            self.between += float(_lengths(drawn[left] - drawn[right]).mean(axis=1).sum())

        for index, face in enumerate((true, drawn[0])):
            away = face[:, self.regions.upper_face].astype(np.float64) - self.neutral_upper
            self.spread[index].add(np.square(away).sum(axis=-1))
            self.shake[index].add(face)
            if self.regions.upper_rim.size:
                self.gaps[index].append(lip_gap(face, self.regions, self.neutral))

    def values(self) -> tuple[dict[str, float], dict[str, int]]:
        """Means over the clip, and their counts of observations."""
        n = self.n_frames
        lip_error = self.lip_error / n
        n_pairs = len(self.pairs[0])
        fdd = float(self.spread[0].std.mean() - self.spread[1].std.mean())
        per_frame = {
            "mve": self.vertex_error / n,
            "lve": float(lip_error[0]),
            "mee": self.mean_lip_error / n,
            "ce": float(lip_error.min()),
            "diversity": self.between / (n * n_pairs) if n_pairs else 0.0,
            "jitter": self.shake[1].rms,
            "jitter_truth": self.shake[0].rms,
            **{REGION_PREFIX + name: value / n for name, value in self.of_region.items()},
        }
        per_clip = {"fdd": fdd, "fdd_abs": abs(fdd)}
        counts = dict.fromkeys(per_frame, n) | dict.fromkeys(per_clip, 1)
        return per_frame | per_clip, counts


def lip_gap(vertices: np.ndarray, regions: Regions, neutral: np.ndarray) -> np.ndarray:
    """Vertices [T, V, 3] m, neutral [V, 3] m -> opening of the mouth [T] m.

    Height between the rims, a mean over the pairs, less that of the neutral face, whose lips meet;
    lips that press past each other count as closed.
    """
    upper, lower = regions.upper_rim, regions.lower_rim
    closed = neutral[upper, 1] - neutral[lower, 1]
    gap = vertices[:, upper, 1] - vertices[:, lower, 1] - closed
    return np.maximum(gap.mean(axis=1, dtype=np.float64), 0.0)


def _add_gaps(truth: Truth, sums: _Sums, values: dict[str, float], counts: dict[str, int]) -> None:
    """Lip gaps at bilabials and in silence, where the clip says where those are."""
    if not sums.gaps[0]:
        return
    true, drawn = (np.concatenate(blocks) for blocks in sums.gaps)
    if truth.bilabials:
        smallest = np.array([[gap[a:b].min() for a, b in truth.bilabials] for gap in (true, drawn)])
        found = {
            "closure_error": np.abs(smallest[1] - smallest[0]).mean(),
            "closure_gap": smallest[1].mean(),
            "closure_gap_truth": smallest[0].mean(),
        }
        values.update({name: float(value) for name, value in found.items()})
        counts.update(dict.fromkeys(found, len(truth.bilabials)))
    if truth.silent is not None and truth.silent.any():
        values["silence_error"] = float(np.abs(drawn - true)[truth.silent].mean())
        counts["silence_error"] = int(truth.silent.sum())


def _lengths(difference: np.ndarray) -> np.ndarray:
    """[..., 3] -> [...]."""
    return np.sqrt(np.einsum("...c,...c->...", difference, difference))


def _lip_error(difference: np.ndarray) -> np.ndarray:
    """[..., T, L, 3] -> [...]: sum over frames of the largest squared distance."""
    squared = np.einsum("...c,...c->...", difference, difference)
    return squared.max(axis=-1).sum(axis=-1, dtype=np.float64)


def _check(truth: Truth, samples: np.ndarray) -> None:
    if samples.ndim != 3 or samples.shape[0] < 1 or samples.shape[1] < 1:
        raise ValueError(f"{truth.name}: samples must be [S, T, 53], got {list(samples.shape)}")
    if samples.shape[1:] != truth.motion.shape:
        raise ValueError(
            f"{truth.name}: samples are {list(samples.shape[1:])}, the truth is "
            f"{list(truth.motion.shape)}"
        )
    if not np.isfinite(samples).all() or not np.isfinite(truth.motion).all():
        raise ValueError(f"{truth.name}: motion holds NaN or infinite values")
    if truth.silent is not None and truth.silent.shape != truth.motion.shape[:1]:
        raise ValueError(f"{truth.name}: silent must be [{truth.motion.shape[0]}]")
    for span in truth.bilabials:
        if not 0 <= span[0] < span[1] <= truth.motion.shape[0]:
            raise ValueError(f"{truth.name}: bilabial {tuple(span)} lies outside the clip")
