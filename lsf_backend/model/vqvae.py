# SPDX-License-Identifier: Apache-2.0
"""The animation decoder: a VQ-VAE over motion, no temporal down-sampling (section 3, stage 1).

Encoder: Linear - LeakyReLU - conv stem - Linear - positions - pre-LN blocks; decoder mirrored.
Motion goes in and comes out in its own unit (coefficients and radians); scaling happens inside.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.config import N_EXPRESSION, VQConfig
from lsf_backend.model.layers import Block, ConvStem, sinusoidal_positions
from lsf_backend.model.quantiser import Quantised, Quantiser


class VQOutput(NamedTuple):
    """``motion`` [B, T, 53], ``latent`` [B, T, d], the quantiser's ``zq``, ``codes``, ``loss``."""

    motion: Tensor
    latent: Tensor
    zq: Tensor
    codes: Tensor
    loss: Tensor


class MotionVQVAE(nn.Module):
    """Motion [B, T, 53] at 25 fps <-> codes [B, T, G, R]."""

    offset: Tensor
    scale: Tensor

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        d = config.block.d
        self.config = config
        self.motion_in = nn.Linear(config.n_motion, d)
        self.encoder = MotionTrunk(config)
        self.quantiser = Quantiser(config)
        self.decoder = MotionTrunk(config)
        self.motion_out = nn.Linear(d, config.n_motion, bias=False)
        n_jaw = config.n_motion - N_EXPRESSION
        offsets = (config.expression_offset, config.jaw_offset)
        scales = (config.expression_scale, config.jaw_scale)
        for name, (expression, jaw) in (("offset", offsets), ("scale", scales)):
            values = torch.tensor([expression] * N_EXPRESSION + [jaw] * n_jaw)
            self.register_buffer(name, values, persistent=False)

    def scaled(self, motion: Tensor) -> Tensor:
        """Motion [..., 53] -> y = (x - offset) / scale, the space of the losses."""
        return (motion - self.offset) / self.scale

    def unscaled(self, scaled: Tensor) -> Tensor:
        """Undo :meth:`scaled`."""
        return scaled * self.scale + self.offset

    def encode(self, motion: Tensor, mask: Tensor | None = None) -> Tensor:
        """Motion [B, T, 53], mask [B, T] -> latent [B, T, d]."""
        return self.encoder(F.leaky_relu(self.motion_in(self.scaled(motion)), 0.2), mask)

    def quantize(
        self,
        latent: Tensor,
        temperature: float | Tensor = 0.0,
        generator: torch.Generator | None = None,
        uniform: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Quantised:
        """Latent [B, T, d] -> zq [B, T, d], codes [B, T, G, R], L_q.

        Deterministic without ``uniform`` [B, T, G * R] and ``generator``; a generator at a
        temperature above zero makes the uniforms.
        """
        if uniform is None and generator is not None:
            shape = (*latent.shape[:2], self.config.n_draws)
            uniform = torch.rand(shape, generator=generator, device=latent.device)
        return self.quantiser(latent, temperature, uniform, mask)

    def decode(self, zq: Tensor, mask: Tensor | None = None) -> Tensor:
        """Latent zq [B, T, d], mask [B, T] -> motion [B, T, 53]."""
        return self.unscaled(self.motion_out(self.decoder(zq, mask)))

    def forward(self, motion: Tensor, mask: Tensor | None = None) -> VQOutput:
        """Motion [B, T, 53] -> :class:`VQOutput`; nearest codes, straight-through gradient."""
        latent = self.encode(motion, mask)
        zq, codes, loss = self.quantize(latent, mask=mask)
        return VQOutput(self.decode(zq, mask), latent, zq, codes, loss)


class MotionTrunk(nn.Module):
    """Conv stem - Linear - positions - pre-LN blocks: x [B, T, d] -> [B, T, d]."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        d = config.block.d
        self.stem = ConvStem(d, config.norm)
        self.linear = nn.Linear(d, d)
        self.position_dropout = nn.Dropout(config.position_dropout)
        self.blocks = nn.ModuleList(Block(config.block) for _ in range(config.n_layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [B, T, d], mask [B, T] -> [B, T, d]."""
        x = self.linear(self.stem(x, mask))
        x = self.position_dropout(x + sinusoidal_positions(x))
        for block in self.blocks:
            x = block(x, mask=mask)
        return x
