# SPDX-License-Identifier: Apache-2.0
"""Which clips make a batch, and the batch with its mask: all a function of seed and batch number.

Clips of like length go together, so that little is padding. With crops, clips are drawn by their
length and cut at random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from lsf_backend.model.config import N_BETAS, N_MOTION
from lsf_backend.timing import SAMPLES_PER_FRAME
from training.baselines.base import UNKNOWN, Labels, SpeechBatch
from training.data.sources import TAIL_SAMPLES, Clips


class Crop(NamedTuple):
    """Frames [start, start + count) of clip ``number``."""

    number: int
    start: int
    count: int


class BatchPlan(NamedTuple):
    """How batches are made of clips ``numbers`` with ``counts`` frames."""

    numbers: Sequence[int]
    counts: Sequence[int]
    batch_size: int
    crop_frames: int
    seed: int

    @property
    def per_pass(self) -> int:
        """Batches that go once over all clips."""
        if self.crop_frames:
            return max(1, round(sum(self.counts) / (self.batch_size * self.crop_frames)))
        return -(-len(self.numbers) // self.batch_size)

    def batch(self, index: int) -> list[Crop]:
        """Batch ``index`` of an endless row of passes."""
        if self.crop_frames:
            return self._cropped(index)
        done, place = divmod(index, self.per_pass)
        return self._pass(done)[place]

    def _pass(self, done: int) -> list[list[Crop]]:
        """Whole clips, like lengths together; batches in random order."""
        rng = np.random.default_rng([self.seed, 5, done])
        # A random part of the length keeps a clip from always meeting the same neighbours.
        keys = np.asarray(self.counts) * rng.uniform(0.9, 1.1, len(self.counts))
        order = np.argsort(keys, kind="stable")
        rows = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        return [
            [Crop(self.numbers[i], 0, self.counts[i]) for i in rows[row]]
            for row in rng.permutation(len(rows))
        ]

    def _cropped(self, index: int) -> list[Crop]:
        rng = np.random.default_rng([self.seed, 6, index])
        share = np.asarray(self.counts, float) / sum(self.counts)
        crops = []
        for i in rng.choice(len(self.numbers), size=self.batch_size, p=share):
            room = max(0, self.counts[i] - self.crop_frames)
            start = int(rng.integers(0, room + 1))
            crops.append(Crop(self.numbers[i], start, min(self.crop_frames, self.counts[i])))
        return crops


class Order(Sampler[list[Crop]]):
    """Batches of one epoch, from where training is; of several processes each takes its share.

    ``done()`` tells how many batches this process has trained on since the run began.
    """

    def __init__(
        self, plan: BatchPlan, length: int, done: Callable[[], int], rank: int, world: int
    ) -> None:
        self.plan, self.length, self.done = plan, length, done
        self.rank, self.world = rank, world
        self._cached: tuple[int, list[list[Crop]]] | None = None

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[list[Crop]]:
        first = self.done()
        for index in range(first, first - first % self.length + self.length):
            yield self._batch(index * self.world + self.rank)

    def _batch(self, index: int) -> list[Crop]:
        """Batch of the plan; a pass is laid out once."""
        if self.plan.crop_frames:
            return self.plan.batch(index)
        number, place = divmod(index, self.plan.per_pass)
        if self._cached is None or self._cached[0] != number:
            self._cached = number, self.plan._pass(number)
        return self._cached[1][place]


def held_out(
    numbers: Sequence[int], counts: Sequence[int], batch_size: int, crop_frames: int = 0
) -> list[list[Crop]]:
    """Every frame once, like lengths together: always the same batches.

    What learns from crops hears no more than that at once here either: positions behind were never
    trained. A clip is cut into pieces of nearly equal length, at most ``crop_frames`` (0: whole).
    """
    pieces = []
    for number, count in zip(numbers, counts, strict=True):
        n_pieces = -(-count // crop_frames) if crop_frames else 1
        edges = [count * i // n_pieces for i in range(n_pieces + 1)]
        pieces += [Crop(number, a, b - a) for a, b in pairwise(edges)]
    pieces.sort(key=lambda crop: crop.count)
    return [pieces[i : i + batch_size] for i in range(0, len(pieces), batch_size)]


class Batches(Dataset[SpeechBatch]):
    """Crops -> a padded batch with mask and labels; a person not in ``people`` is unknown."""

    def __init__(self, clips: Clips, people: Sequence[str], speech: bool) -> None:
        self.clips, self.speech = clips, speech
        self._label = {person: place for place, person in enumerate(people)}

    def __getitem__(self, crops: list[Crop]) -> SpeechBatch:
        b, t = len(crops), max(crop.count for crop in crops)
        motion = np.zeros((b, t, N_MOTION), np.float32)
        mask = np.zeros((b, t), bool)
        betas = np.zeros((b, N_BETAS), np.float32)
        for row, (number, start, count) in enumerate(crops):
            motion[row, :count] = self.clips.motion(number)[start : start + count]
            mask[row, :count] = True
            betas[row] = self.clips.betas(number)
        spoken, felt = self._features(crops, t)
        return SpeechBatch(
            spoken,
            felt,
            torch.from_numpy(betas),
            torch.from_numpy(motion),
            torch.from_numpy(mask),
            self._labels(crops),
            self._audio(crops, t) if self.speech and self.clips.hears else None,
        )

    def _features(self, crops: list[Crop], t: int) -> tuple[torch.Tensor, torch.Tensor]:
        streams = [torch.zeros(1, 1, 1).expand(len(crops), 2 * t, d) for d in self.clips.widths]
        if not self.speech:
            return streams[0], streams[1]
        for row, (number, start, count) in enumerate(crops):
            for which, found in enumerate(self.clips.features(number)):
                if found is None:
                    continue
                if row == 0:
                    streams[which] = torch.zeros(len(crops), 2 * t, found.shape[1])
                part = np.asarray(found[2 * start : 2 * (start + count)], np.float32)
                streams[which][row, : 2 * count] = torch.from_numpy(part)
        return streams[0], streams[1]

    def _audio(self, crops: list[Crop], t: int) -> torch.Tensor:
        audio = np.zeros((len(crops), SAMPLES_PER_FRAME * t + TAIL_SAMPLES), np.float32)
        for row, (number, start, count) in enumerate(crops):
            first = SAMPLES_PER_FRAME * start
            own = self.clips.audio(number)[first : first + SAMPLES_PER_FRAME * count + TAIL_SAMPLES]
            audio[row, : own.size] = own
        return torch.from_numpy(audio)

    def _labels(self, crops: list[Crop]) -> Labels:
        clips = [self.clips.clips[crop.number] for crop in crops]
        return Labels(
            torch.tensor([self._label.get(clip.subject, UNKNOWN) for clip in clips]),
            torch.tensor([clip.emotion for clip in clips]),
            torch.tensor([clip.intensity for clip in clips]),
        )
