# SPDX-License-Identifier: Apache-2.0
"""FaceDiffuser (Stan et al. 2023) on 53-d motion: a GRU that takes the noise out of motion.

Cosine schedule, predicts the clean motion, mean squared error; drawn by DDPM (every step) or DDIM
(eta 0, few steps). Differs from the original: motion coefficients instead of vertices or rig
controls, scaled to unit spread, and speech features that the harness computes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lsf_backend.model.config import N_MOTION
from lsf_backend.model.layers import sinusoidal_positions
from lsf_backend.model.sie import pair_frames
from training.baselines.base import (
    Baseline,
    LabelConfig,
    MotionScale,
    SpeechBatch,
    clip_generators,
    clip_noise,
    masked_mean,
    one_hot,
    repeat_clips,
)


@dataclasses.dataclass(frozen=True)
class FaceDiffuserConfig:
    """``n_steps`` of the schedule; ``ddim_steps`` of them are visited by the DDIM sampler."""

    d_motion_features: int = 768
    d: int = 256
    n_layers: int = 2
    dropout: float = 0.1
    n_steps: int = 1000
    sampler: Literal["ddpm", "ddim"] = "ddpm"
    ddim_steps: int = 100
    labels: LabelConfig = LabelConfig()
    scale: MotionScale = MotionScale()

    def __post_init__(self) -> None:
        """Refuse more DDIM steps than there are."""
        if not 1 <= self.ddim_steps <= self.n_steps:
            raise ValueError(f"ddim_steps={self.ddim_steps} is not in 1..{self.n_steps}")


def signal_share(n_steps: int) -> Tensor:
    """Cosine schedule: share of signal alpha_bar [n_steps] after each noising step, float64."""
    offset = 0.008
    t = torch.arange(n_steps + 1, dtype=torch.float64) / n_steps
    curve = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
    beta = (1 - curve[1:] / curve[:-1]).clamp_max(0.999)
    return (1 - beta).cumprod(dim=0)


class Denoiser(nn.Module):
    """Noisy motion, speech, style and step -> clean motion; looks back only."""

    def __init__(self, config: FaceDiffuserConfig) -> None:
        super().__init__()
        d = config.d
        self.speech_in = nn.Linear(2 * config.d_motion_features, d)
        self.style = nn.Linear(config.labels.width("subject", "emotion", "intensity"), d)
        self.motion_in = nn.Sequential(nn.Linear(N_MOTION, d), nn.Mish(), nn.Linear(d, d))
        self.step_in = nn.Sequential(nn.Linear(d, d), nn.Mish(), nn.Linear(d, d))
        dropout = config.dropout if config.n_layers > 1 else 0.0
        self.gru = nn.GRU(2 * d, d, config.n_layers, batch_first=True, dropout=dropout)
        self.motion_out = nn.Linear(d, N_MOTION)
        self.d, self.n_steps = d, config.n_steps

    def condition(self, features: Tensor, style: Tensor) -> Tensor:
        """Features [B, 2T, Dm], style [B, 43] -> condition [B, T, d]."""
        return self.speech_in(pair_frames(features)) * self.style(style)[:, None]

    def forward(self, noisy: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Noisy [B, T, 53], step [B] int64, condition [B, T, d] -> clean [B, T, 53]."""
        table = sinusoidal_positions(noisy.new_zeros((1, self.n_steps, self.d)))[0]
        when = self.step_in(table[step])[:, None]
        rows = torch.cat((condition, self.motion_in(noisy) + when), dim=-1)
        return self.motion_out(self.gru(rows)[0])


class FaceDiffuser(Baseline):
    """Speech features and speaker, emotion and intensity one-hots -> samples by denoising."""

    conditioning = (
        "Speaker, emotion and intensity one-hots (43 wide), multiplied in; emotion and intensity "
        "are the true labels of the clip; an unseen speaker gets the average of all training "
        "people."
    )

    def __init__(self, config: FaceDiffuserConfig) -> None:
        super().__init__()
        self.config = config
        self.denoiser = Denoiser(config)
        self.register_buffer("spread", config.scale.row(), persistent=False)
        self.register_buffer("share", signal_share(config.n_steps), persistent=False)

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Squared error of the clean motion that is seen through a random amount of noise."""
        clean = batch.motion / self.spread
        b, device = clean.shape[0], clean.device
        step = torch.randint(self.config.n_steps, (b,), generator=generator, device=device)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        share = self.share[step].to(clean.dtype)[:, None, None]
        noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
        found = self.denoiser(noisy, step, self._condition(batch))
        return {"loss": masked_mean((found - clean).square(), batch.mask)}

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """S draws by the sampler of the configuration: [S, B, T, 53]."""
        b, t = batch.mask.shape
        owners = clip_generators(b, generator, batch.mask.device)
        condition = repeat_clips(self._condition(batch), n_samples)

        def noise() -> Tensor:
            shape = (n_samples, t, N_MOTION)
            return clip_noise(owners, batch.lengths, shape).flatten(0, 1)

        x = noise()
        steps = self.steps()
        for index, step in enumerate(steps):
            when = torch.full((x.shape[0],), step, device=x.device)
            clean = self.denoiser(x, when, condition)
            before = float(self.share[steps[index + 1]]) if index + 1 < len(steps) else 1.0
            x = self._step_back(x, clean, float(self.share[step]), before, noise)
        return x.unflatten(0, (n_samples, b)) * self.spread

    def steps(self) -> list[int]:
        """Steps that the sampler visits, noisiest first."""
        if self.config.sampler == "ddpm":
            return list(range(self.config.n_steps - 1, -1, -1))
        picked = torch.linspace(self.config.n_steps - 1, 0, self.config.ddim_steps)
        return [round(float(step)) for step in picked]

    def _step_back(
        self, x: Tensor, clean: Tensor, share: float, before: float, noise: Callable[[], Tensor]
    ) -> Tensor:
        """One step from share of signal ``share`` to ``before``; ``noise`` makes normal numbers."""
        if before == 1.0:
            return clean
        if self.config.sampler == "ddim":
            direction = (x - share**0.5 * clean) / (1 - share) ** 0.5
            return before**0.5 * clean + (1 - before) ** 0.5 * direction
        alpha = share / before
        mean = before**0.5 * (1 - alpha) * clean + alpha**0.5 * (1 - before) * x
        variance = (1 - alpha) * (1 - before) / (1 - share)
        return mean / (1 - share) + variance**0.5 * noise()

    def _condition(self, batch: SpeechBatch) -> Tensor:
        style = one_hot(batch.labels, self.config.labels, "subject", "emotion", "intensity")
        return self.denoiser.condition(batch.speech, style)
