# SPDX-License-Identifier: Apache-2.0
"""EMOTE (Danecek et al. 2023) on 53-d motion, without the losses that need a renderer.

Phase "prior" learns FLINT: a temporal VAE that squashes 8 frames into one latent of 128 numbers.
Phase "speech": speech features and the one-hots of emotion, intensity and speaker, one transformer
layer, squashed to latents that the frozen prior decodes; vertex loss. Differs from the original: no
lip-reading, emotion-video or disentanglement losses, squashing by one linear map per 8 frames, and
the vertex loss uses vertices that are linear in the motion (skinning at a small jaw angle).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.config import N_MOTION, BlockConfig
from lsf_backend.model.layers import Block, hold_last, sinusoidal_positions
from lsf_backend.model.sie import pair_frames
from training.baselines.base import (
    Baseline,
    LabelConfig,
    MotionScale,
    SpeechBatch,
    masked_mean,
    one_hot,
)


@dataclasses.dataclass(frozen=True)
class EmoteConfig:
    """``squash`` frames share one latent of ``d_latent``; ``kl_weight`` is that of the prior."""

    d_motion_features: int = 768
    block: BlockConfig = BlockConfig(d=128, n_heads=8, d_ffn=512, dropout=0.1)
    n_prior_layers: int = 1
    n_speech_layers: int = 1
    d_latent: int = 128
    squash: int = 8
    kl_weight: float = 1e-4
    labels: LabelConfig = LabelConfig()
    scale: MotionScale = MotionScale()


class Squash(nn.Module):
    """``squash`` neighbouring frames become one: [B, T, d] -> [B, ceil(T / squash), d_out]."""

    def __init__(self, d: int, d_out: int, squash: int) -> None:
        super().__init__()
        self.squash = squash
        self.linear = nn.Linear(squash * d, d_out)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, d], mask [B, T] -> rows, and a mask that is True where any frame is real."""
        missing = -x.shape[1] % self.squash
        mask = F.pad(mask, (0, missing))
        x = hold_last(F.pad(x, (0, 0, 0, missing)), mask)
        rows = x.unflatten(1, (-1, self.squash)).flatten(2)
        return self.linear(rows), mask.unflatten(1, (-1, self.squash)).any(dim=2)


class TemporalVAE(nn.Module):
    """FLINT: motion [B, T, 53] (scaled) <-> latents [B, ceil(T / 8), 128]."""

    def __init__(self, config: EmoteConfig) -> None:
        super().__init__()
        d = config.block.d
        self.squash = config.squash
        self.motion_in = nn.Linear(N_MOTION, d)
        self.down = Squash(d, d, config.squash)
        self.encoder = nn.ModuleList(Block(config.block) for _ in range(config.n_prior_layers))
        self.moments = nn.Linear(d, 2 * config.d_latent)
        self.latent_in = nn.Linear(config.d_latent, d)
        self.decoder = nn.ModuleList(Block(config.block) for _ in range(config.n_prior_layers))
        self.up = nn.Linear(d, config.squash * d)
        self.motion_out = nn.Linear(d, N_MOTION)

    def encode(self, scaled: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled motion [B, T, 53] -> mean and log variance [B, T', 128], their mask [B, T']."""
        x, few = self.down(self.motion_in(scaled), mask)
        x = _through(self.encoder, x, few)
        mean, log_variance = self.moments(x).chunk(2, dim=-1)
        return mean, log_variance.clamp(-20.0, 10.0), few

    def decode(self, latent: Tensor, few: Tensor, n_frames: int) -> Tensor:
        """Latent [B, T', 128], mask [B, T'] -> scaled motion [B, n_frames, 53]."""
        x = self.up(_through(self.decoder, self.latent_in(latent), few))
        x = F.gelu(x.unflatten(2, (self.squash, -1)).flatten(1, 2))
        return self.motion_out(x[:, :n_frames])


class Emote(Baseline):
    """Speech features with emotion, intensity and speaker one-hots -> latents -> motion.

    ``gram`` [53, 53] is the vertex loss (see ``vertex_gram``); without it errors of scaled motion
    count alike.
    """

    phases = ("prior", "speech")
    conditioning = (
        "Emotion, intensity and speaker one-hots (43 wide); emotion and intensity are the true "
        "labels of the clip; an unseen speaker gets the average of all training people."
    )

    def __init__(self, config: EmoteConfig, gram: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        d = config.block.d
        self.prior = TemporalVAE(config)
        self.speech_in = nn.Linear(2 * config.d_motion_features, d)
        self.style = nn.Linear(config.labels.width("emotion", "intensity", "subject"), d)
        self.speech = nn.ModuleList(Block(config.block) for _ in range(config.n_speech_layers))
        self.to_latent = Squash(d, config.d_latent, config.squash)
        spread = config.scale.row()
        self.register_buffer("spread", spread, persistent=False)
        # Divided by its mean diagonal: the loss keeps its size whatever the unit of the vertices.
        scaled = torch.eye(N_MOTION) if gram is None else spread[:, None] * gram * spread
        self.register_buffer("gram", scaled / scaled.diagonal().mean())

    def frozen_in(self, phase: str) -> tuple[str, ...]:
        """The prior does not learn while the speech part does, and the other way round."""
        return ("speech_in", "style", "speech", "to_latent") if phase == "prior" else ("prior",)

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Vertex loss, and in phase "prior" the divergence from a normal distribution."""
        target, t = batch.motion / self.spread, batch.mask.shape[1]
        if phase == "speech":
            vertex = self._vertex_loss(self.run(batch) - target, batch.mask)
            return {"loss": vertex, "vertex": vertex}
        mean, log_variance, few = self.prior.encode(target, batch.mask)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        latent = mean + (0.5 * log_variance).exp() * noise
        vertex = self._vertex_loss(self.prior.decode(latent, few, t) - target, batch.mask)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        kl = masked_mean(divergence, few)
        return {"loss": vertex + self.config.kl_weight * kl, "vertex": vertex, "kl": kl}

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """The one motion that it predicts, S times: [S, B, T, 53]."""
        motion = self.run(batch) * self.spread
        return motion.expand(n_samples, *motion.shape)

    def run(self, batch: SpeechBatch) -> Tensor:
        """Scaled motion [B, T, 53]."""
        style = one_hot(batch.labels, self.config.labels, "emotion", "intensity", "subject")
        x = self.speech_in(pair_frames(batch.speech)) + self.style(style)[:, None]
        x = _through(self.speech, x, batch.mask)
        latent, few = self.to_latent(x, batch.mask)
        return self.prior.decode(latent, few, batch.mask.shape[1])

    def _vertex_loss(self, error: Tensor, mask: Tensor) -> Tensor:
        """Error of scaled motion [B, T, 53] -> mean squared vertex error (relative)."""
        squared = ((error @ self.gram) * error).sum(dim=-1, keepdim=True)
        return masked_mean(squared, mask) / N_MOTION


def _through(blocks: nn.ModuleList, x: Tensor, mask: Tensor) -> Tensor:
    """Positions, then blocks: x [B, T, d], mask [B, T] -> [B, T, d]."""
    x = x + sinusoidal_positions(x)
    for block in blocks:
        x = block(x, mask=mask)
    return x
