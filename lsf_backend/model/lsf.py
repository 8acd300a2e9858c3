# SPDX-License-Identifier: Apache-2.0
"""The whole model after the speech encoders: SIE encoder, quantiser and frozen decoder (section 3).

pred = SIE(features, betas); zq = Q(pred); motion = Dec(zq). Stage 2 freezes the VQ-VAE, and frozen
here also means eval mode: ``model.train()`` cannot switch its dropout back on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lsf_backend.model.config import ModelConfig
from lsf_backend.model.sie import SIEEncoder
from lsf_backend.model.vqvae import MotionVQVAE


class LSFOutput(NamedTuple):
    """``motion`` [B, T, 53] at 25 fps, ``latent`` and ``zq`` [B, T, d], ``codes``, ``loss``."""

    motion: Tensor
    latent: Tensor
    zq: Tensor
    codes: Tensor
    loss: Tensor


class LSFModel(nn.Module):
    """Speech features, emotion features and betas -> motion."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.sie = SIEEncoder(config.sie)
        self.vqvae = MotionVQVAE(config.vq)
        self.vqvae_frozen = False

    def freeze_vqvae(self) -> LSFModel:
        """Freeze decoder and codebook for stage 2: no gradients, and eval mode for good."""
        self.vqvae_frozen = True
        self.vqvae.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> LSFModel:
        """Set the training mode, of everything but a frozen VQ-VAE."""
        super().train(mode)
        if self.vqvae_frozen:
            self.vqvae.eval()
        return self

    def forward(
        self,
        motion_features: Tensor,
        emotion_features: Tensor,
        betas: Tensor,
        mask: Tensor | None = None,
        temperature: float | Tensor = 0.0,
        uniform: Tensor | None = None,
    ) -> LSFOutput:
        """Features [B, 2T, Dm] and [B, 2T, De] at 50 Hz, betas [B, 300] -> :class:`LSFOutput`.

        ``mask`` [B, T] bool at 25 fps; ``uniform`` [B, T, G * R] as in :class:`Quantiser`.
        """
        latent = self.sie(motion_features, emotion_features, betas, mask)
        zq, codes, loss = self.vqvae.quantize(latent, temperature, uniform=uniform, mask=mask)
        return LSFOutput(self.vqvae.decode(zq, mask), latent, zq, codes, loss)

    @torch.no_grad()
    def sample(
        self,
        latent: Tensor,
        uniform: Tensor,
        temperature: float = 1.0,
        mask: Tensor | None = None,
    ) -> Tensor:
        """S draws in one pass: latent [B, T, d], uniform [S, B, T, G * R] -> [S, B, T, 53]."""
        s, b = uniform.shape[:2]
        many = latent.expand(s, *latent.shape).flatten(0, 1)
        masks = None if mask is None else mask.expand(s, *mask.shape).flatten(0, 1)
        zq = self.vqvae.quantize(many, temperature, uniform=uniform.flatten(0, 1), mask=masks).zq
        return self.vqvae.decode(zq, masks).unflatten(0, (s, b))
