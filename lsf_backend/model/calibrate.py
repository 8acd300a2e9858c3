# SPDX-License-Identifier: Apache-2.0
"""Calibrate the sampling unit tau of a codebook: what temperature 1 means.

p(code) = softmax(-distance^2 / tau) says how often each code should come up around a prediction.
tau is absolute, so it is fitted on held-out clips, level by level: the tau under which the codes of
the recorded motion are most likely given the model's predictions (temperature scaling, Guo et al.
2017). The mean squared distance to the true code then equals its expectation under the sampler.
Not from the paper, which uses 0.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lsf_backend.errors import LsfError
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.quantiser import squared_distances

TAU_RANGE = (1e-6, 1e6)
CLIP_KEYS = ("motion_features", "emotion_features", "betas", "motion")


class Clip(NamedTuple):
    """One held-out clip: features [2T, D] at 50 Hz, betas [300], motion [T, 53] at 25 fps."""

    motion_features: Tensor
    emotion_features: Tensor
    betas: Tensor
    motion: Tensor


def fit_tau(distances: Tensor, codes: Tensor) -> float:
    """The most likely tau: squared distances [N, K] and the true codes [N] -> tau.

    The likelihood is concave in 1 / tau; its slope is E[d | tau] - mean(d of the true code), so
    bisection finds its only root. The ends of ``TAU_RANGE`` come back where there is none.
    """
    distances = distances.double()
    true = distances.gather(1, codes[:, None]).mean()

    def expected(log_tau: float) -> float:
        weight = (-distances / np.exp(log_tau)).softmax(dim=1)
        return float((weight * distances).sum(dim=1).mean())

    low, high = np.log(TAU_RANGE[0]), np.log(TAU_RANGE[1])
    for _ in range(50):
        middle = (low + high) / 2
        if expected(middle) < float(true):
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


@torch.no_grad()
def calibrate(model: LSFModel, clips: Iterable[Clip]) -> list[float]:
    """Fit tau of every level on held-out clips and set it in the model; returns the values."""
    model.eval()
    quantiser = model.vqvae.quantiser
    levels = quantiser.config.n_levels
    distances: list[list[Tensor]] = [[] for _ in range(levels)]
    codes: list[list[Tensor]] = [[] for _ in range(levels)]
    for clip in clips:
        latent = model.sie(*(value[None] for value in clip[:3]))
        n_frames = min(latent.shape[1], clip.motion.shape[0])
        wanted = model.vqvae.quantize(model.vqvae.encode(clip.motion[None, :n_frames])).codes
        residual = quantiser.to_tokens(latent[:, :n_frames])
        for level in range(levels):
            book = quantiser.codebooks[level]
            found = squared_distances(residual, book)
            distances[level].append(found.flatten(0, 2))
            codes[level].append(wanted[..., level].flatten())
            residual = residual - book[wanted[..., level]]
    if not distances[0]:
        raise LsfError("request_invalid", "There are no clips to calibrate on.")
    taus = [fit_tau(torch.cat(d), torch.cat(c)) for d, c in zip(distances, codes, strict=True)]
    quantiser.tau.copy_(torch.tensor(taus))
    return taus


def read_clips(folder: Path) -> Iterator[Clip]:
    """Clips from ``*.npz`` files with the arrays of :class:`Clip`."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            missing = [key for key in CLIP_KEYS if key not in file]
            if missing:
                raise LsfError("request_invalid", f"{path.name} has no {', '.join(missing)}.")
            arrays = (np.asarray(file[key], np.float32) for key in CLIP_KEYS)
            yield Clip(*(torch.from_numpy(array) for array in arrays))
