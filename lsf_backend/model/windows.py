# SPDX-License-Identifier: Apache-2.0
"""A fixed grid of overlapping windows over a sound of any length, and what must be global in it.

Windows have a core of 10 s and 1 s of context on either side, cut on the 640-sample frame grid
(the encoders' 320-sample grid, too), so memory does not grow with the sound. What the encoders
normalise over the whole clip is measured once beforehand (:class:`ClipStats`), from running sums.
Neighbouring windows are cross-faded where they overlap (:class:`Seam`). Not from the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from lsf_backend.timing import SAMPLES_PER_FRAME, samples_from_frames

CORE_FRAMES = 250
CONTEXT_FRAMES = 25
SEAM_FRAMES = 6
# 2 T features of a 400-sample window and a hop of 320 need 80 samples more than T frames have.
TAIL_SAMPLES = 80
_KERNEL, _STRIDE = 10, 5
_BLOCK = 1 << 18


@dataclasses.dataclass(frozen=True)
class Window:
    """Frames ``start``..``stop`` are computed, ``keep_start``..``keep_stop`` are its own."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int

    @property
    def n_frames(self) -> int:
        """Frames computed."""
        return self.stop - self.start


def windows(
    n_frames: int,
    first: int = 0,
    core: int = CORE_FRAMES,
    context: int = CONTEXT_FRAMES,
) -> Iterator[Window]:
    """The windows from frame ``first`` to ``n_frames``; a last core under ``context`` is merged."""
    while first < n_frames:
        stop = first + core
        if n_frames - stop < context:
            stop = n_frames
        yield Window(max(0, first - context), min(n_frames, stop + context), first, stop)
        first = stop


@dataclasses.dataclass(frozen=True)
class ClipStats:
    """Whole-clip statistics of a 16 kHz sound that windows cannot know.

    ``mean`` and ``variance`` of the samples; ``frame_mean`` [10] and ``frame_moment`` [10, 10] are
    the first and second moments of the strided frames that the encoders' first convolution sees
    (kernel 10, stride 5), from which the mean and variance of any of its channels follow exactly.
    """

    mean: float
    variance: float
    frame_mean: np.ndarray
    frame_moment: np.ndarray

    def channel_statistics(
        self, kernels: np.ndarray, eps: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance over the clip of kernel outputs: [C, 10] -> [C], [C] float64.

        For the clip normalised first: y = w . (x - mean) / sqrt(variance + eps).
        """
        centre = self.frame_mean - self.mean
        moment = self.frame_moment - np.outer(self.frame_mean, self.frame_mean)
        scale = max(self.variance + eps, 1e-12)
        mean = kernels @ centre / np.sqrt(scale)
        variance = np.einsum("ci,ij,cj->c", kernels, moment, kernels) / scale
        return mean, np.maximum(variance, 0.0)


def measure_clip(read: Callable[[int, int], np.ndarray], n_samples: int) -> ClipStats:
    """Run once over a sound; ``read(start, count)`` gives [<= count] float samples.

    The sums are those of the samples alone: the zeros after the end are not counted.
    """
    total, square, n_frames = 0.0, 0.0, 0
    frame_sum, frame_square = np.zeros(_KERNEL), np.zeros((_KERNEL, _KERNEL))
    step = _BLOCK - _BLOCK % _STRIDE
    for start in range(0, n_samples, step):
        block = read(start, step + _KERNEL).astype(np.float64)
        own = block[:step]
        total += float(own.sum())
        square += float(own @ own)
        if block.size >= _KERNEL:
            frames = np.lib.stride_tricks.sliding_window_view(block, _KERNEL)[::_STRIDE]
            frames = frames[: step // _STRIDE]
            frame_sum += frames.sum(axis=0)
            frame_square += frames.T @ frames
            n_frames += len(frames)
    mean = total / max(1, n_samples)
    count = max(1, n_frames)
    return ClipStats(
        mean=mean,
        variance=max(0.0, square / max(1, n_samples) - mean * mean),
        frame_mean=frame_sum / count,
        frame_moment=frame_square / count,
    )


def window_audio(read: Callable[[int, int], np.ndarray], window: Window) -> np.ndarray:
    """Samples of a window and the 80 that follow it; zeros after the end of the sound."""
    count = window.n_frames * SAMPLES_PER_FRAME + TAIL_SAMPLES
    samples = read(samples_from_frames(window.start), count)
    return np.pad(samples, (0, count - samples.size)).astype(np.float32)


class Seam:
    """Joins the motion of windows in order, cross-fading where two of them know the same frames."""

    def __init__(self, n_frames: int, half_width: int = SEAM_FRAMES) -> None:
        self.n_frames = n_frames
        self._half = half_width
        self._tail = np.zeros((0, 0), np.float32)
        self._next = 0

    @property
    def next_frame(self) -> int:
        """First frame that has not been given out."""
        return self._next

    def join(self, window: Window, motion: np.ndarray) -> tuple[int, np.ndarray]:
        """Motion of a window [stop - start, 53] -> (first frame, frames that are final)."""
        first = self._next
        stop = self.n_frames if window.keep_stop >= self.n_frames else window.keep_stop
        stop = stop if stop == self.n_frames else stop - self._half
        final = motion[first - window.start : stop - window.start].copy()
        n = min(len(self._tail), len(final))
        if n:
            weight = (np.arange(n, dtype=np.float32)[:, None] + 1) / (len(self._tail) + 1)
            final[:n] = (1 - weight) * self._tail[:n] + weight * final[:n]
        tail_stop = min(window.stop, stop + 2 * self._half)
        self._tail = motion[stop - window.start : tail_stop - window.start].copy()
        self._next = stop
        return first, final
