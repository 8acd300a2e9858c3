# SPDX-License-Identifier: Apache-2.0
"""Random crops of the cache as batches with masks; the order is a function of the seed and step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.data.cache import D_WHISPER, Cache


class Batch(NamedTuple):
    """``motion_features`` [B, 2T, 384], ``emotion_features`` [B, 2T, 390], ``betas`` [B, 300],
    ``motion`` [B, T, 53], ``mask`` [B, T] bool.
    """

    motion_features: Tensor
    emotion_features: Tensor
    betas: Tensor
    motion: Tensor
    mask: Tensor


def draw(cache: Cache, numbers: list[int], step: int, seed: int, size: int, length: int) -> Batch:
    """The training batch of ``step``: crops of ``length`` frames, long clips more often."""
    rng = np.random.default_rng([seed, 6, step])
    counts = np.array([cache.entries[n].count for n in numbers], dtype=float)
    picked = rng.choice(len(numbers), size=size, p=counts / counts.sum())
    crops = []
    for index in picked:
        entry = cache.entries[numbers[index]]
        room = max(0, entry.count - length)
        start = int(rng.integers(0, room + 1))
        crops.append((numbers[index], start, min(length, entry.count)))
    return gather(cache, crops)


def gather(cache: Cache, crops: list[tuple[int, int, int]]) -> Batch:
    """Crops (entry, start, count) as one padded batch."""
    longest = max(count for _, _, count in crops)
    b, d = len(crops), cache.features.shape[1]
    features = np.zeros((b, 2 * longest, d), np.float32)
    motion = np.zeros((b, longest, cache.motion.shape[1]), np.float32)
    mask = np.zeros((b, longest), bool)
    for row, (number, start, count) in enumerate(crops):
        first = cache.entries[number].first + start
        features[row, : 2 * count] = cache.features[2 * first : 2 * (first + count)]
        motion[row, :count] = cache.motion[first : first + count]
        mask[row, :count] = True
    betas = np.stack([cache.betas[number] for number, _, _ in crops])
    x = torch.from_numpy(features)
    return Batch(
        x[..., :D_WHISPER],
        x[..., D_WHISPER:],
        torch.from_numpy(betas),
        torch.from_numpy(motion),
        torch.from_numpy(mask),
    )
