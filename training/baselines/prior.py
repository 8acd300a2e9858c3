# SPDX-License-Identifier: Apache-2.0
"""Losses of the motion VQ-VAE (the paper's stage 1), and of latents that aim at its codes.

L = 1.5 L_q + 0.5 L1(expression) + 0.1 L1(jaw) in the network's scaled space (section 3); stage 2 is
L1(zq, zq*) + 0.15 L1(expression) + 0.1 L1(jaw) (section 4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsf_backend.model.config import N_EXPRESSION
from lsf_backend.model.vqvae import MotionVQVAE
from training.baselines.base import masked_mean


def prior_losses(vqvae: MotionVQVAE, motion: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Motion [B, T, 53], mask [B, T] -> losses of stage 1."""
    out = vqvae(motion, mask)
    expression, jaw = _motion_l1(vqvae, out.motion, motion, mask)
    loss = 1.5 * out.loss + 0.5 * expression + 0.1 * jaw
    return {"loss": loss, "codes": out.loss, "expression": expression, "jaw": jaw}


@torch.no_grad()
def place_codes(
    vqvae: MotionVQVAE, motion: Tensor, mask: Tensor, generator: torch.Generator
) -> None:
    """Put every code on a token that the fresh encoder makes of real motion [B, T, 53].

    Not from the papers: codes that start at zero are far from all tokens, and few come into use.
    """
    quantiser = vqvae.quantiser
    tokens = quantiser.to_tokens(vqvae.encode(motion, mask), mask)[mask].flatten(0, 1)
    for book in quantiser.codebooks:
        picks = torch.randint(len(tokens), (len(book),), generator=generator).to(tokens.device)
        shake = torch.randn(book.shape, generator=generator).to(tokens.device)
        book.copy_(tokens[picks] + 0.01 * tokens.std() * shake)
        tokens = tokens - book[torch.cdist(tokens, book).argmin(dim=1)]


def speech_losses(
    vqvae: MotionVQVAE, latent: Tensor, motion: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """Predicted latent [B, T, d] against motion [B, T, 53] -> losses of stage 2."""
    with torch.no_grad():
        target = vqvae(motion, mask).zq
    zq = vqvae.quantize(latent, mask=mask).zq
    expression, jaw = _motion_l1(vqvae, vqvae.decode(zq, mask), motion, mask)
    codes = masked_mean((zq - target).abs(), mask)
    loss = codes + 0.15 * expression + 0.1 * jaw
    return {"loss": loss, "codes": codes, "expression": expression, "jaw": jaw}


def _motion_l1(
    vqvae: MotionVQVAE, found: Tensor, motion: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    error = (vqvae.scaled(found) - vqvae.scaled(motion)).abs()
    return (
        masked_mean(error[..., :N_EXPRESSION], mask),
        masked_mean(error[..., N_EXPRESSION:], mask),
    )
