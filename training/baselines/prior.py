# SPDX-License-Identifier: Apache-2.0
"""Losses of the motion VQ-VAE (the paper's stage 1), and of latents that aim at its codes.

L = 1.5 L_q + 0.5 L1(expression) + 0.1 L1(jaw) in the network's scaled space (section 3); stage 2 is
L1(zq, zq*) + 0.15 L1(expression) + 0.1 L1(jaw) (section 4). ``Extras`` adds what is not from the
paper: the lip loss, the pull of the latent itself, larger weights, a start without codes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lsf_backend.model.quantiser import Quantised
from lsf_backend.model.vqvae import MotionVQVAE
from training.baselines.base import masked_mean
from training.baselines.objective import Extras
from training.losses import LipLoss, motion_l1


class Outcome(NamedTuple):
    """Losses by name ("loss" is minimised), the motion [B, T, 53] they were taken of, codes."""

    losses: dict[str, Tensor]
    motion: Tensor
    codes: Tensor | None = None


def prior_losses(
    vqvae: MotionVQVAE,
    motion: Tensor,
    mask: Tensor,
    extras: Extras | None = None,
    lips: LipLoss | None = None,
    quantised: bool = True,
) -> Outcome:
    """Motion [B, T, 53], mask [B, T] -> outcome of stage 1."""
    extras = extras or Extras()
    latent = vqvae.encode(motion, mask)
    if quantised:
        zq, codes, code_loss = quantize(vqvae, latent, mask)
    else:
        # The codebooks get a gradient of zero: a distributed trainer waits for one.
        unused = vqvae.quantiser.codebooks.sum() * 0.0
        zq, codes, code_loss = latent, None, latent.square().mean() * 1e-3 + unused
    found = vqvae.decode(zq, mask)
    expression, jaw = motion_l1(vqvae.scaled(found), vqvae.scaled(motion), mask)
    loss = 1.5 * code_loss + extras.motion_weight * (0.5 * expression + 0.1 * jaw)
    parts = {"codes": code_loss, "expression": expression, "jaw": jaw}
    if lips is not None:
        parts["lip"] = lips(found, motion, mask)
        loss = loss + extras.lip_weight * parts["lip"]
    return Outcome({"loss": loss, **parts}, found, codes)


def speech_losses(
    vqvae: MotionVQVAE,
    latent: Tensor,
    motion: Tensor,
    mask: Tensor,
    extras: Extras | None = None,
    lips: LipLoss | None = None,
    quantised: bool = True,
) -> Outcome:
    """Predicted latent [B, T, d] against motion [B, T, 53] -> outcome of stage 2."""
    extras = extras or Extras()
    with torch.no_grad():
        target = vqvae.encode(motion, mask)
    zq, codes = latent, None
    if quantised:
        target = quantize(vqvae, target, mask).zq
        zq, codes, _ = quantize(vqvae, latent, mask)
    found = vqvae.decode(zq, mask)
    expression, jaw = motion_l1(vqvae.scaled(found), vqvae.scaled(motion), mask)
    parts = {"codes": masked_mean((zq - target).abs(), mask), "expression": expression, "jaw": jaw}
    loss = parts["codes"] + extras.motion_weight * (0.15 * expression + 0.1 * jaw)
    if extras.direct_weight > 0:
        parts["direct"] = masked_mean((latent - target).abs(), mask)
        loss = loss + extras.direct_weight * parts["direct"]
    if lips is not None:
        parts["lip"] = lips(found, motion, mask)
        loss = loss + extras.lip_weight * parts["lip"]
    return Outcome({"loss": loss, **parts}, found, codes)


def quantize(vqvae: MotionVQVAE, latent: Tensor, mask: Tensor) -> Quantised:
    """Nearest codes in full precision: small differences of large squares decide them."""
    with torch.autocast(latent.device.type, enabled=False):
        return vqvae.quantize(latent.float(), mask=mask)


@torch.no_grad()
def place_codes(
    vqvae: MotionVQVAE,
    motion: Tensor,
    mask: Tensor,
    generator: torch.Generator,
    idle: Tensor | None = None,
) -> int:
    """Put codes (all, or ``idle`` [R, K] bool) on tokens that the encoder makes of motion.

    Returns how many were moved. Not from the papers: codes that start at zero are far from all
    tokens, and few come into use.
    """
    quantiser, moved = vqvae.quantiser, 0
    tokens = quantiser.to_tokens(vqvae.encode(motion, mask), mask)[mask].flatten(0, 1).float()
    for level, book in enumerate(quantiser.codebooks):
        some = torch.ones(len(book), dtype=torch.bool) if idle is None else idle[level].cpu()
        n = int(some.sum())
        picks = torch.randint(len(tokens), (n,), generator=generator).to(tokens.device)
        shake = torch.randn((n, book.shape[1]), generator=generator).to(tokens.device)
        book[some.to(book.device)] = tokens[picks] + 0.01 * tokens.std() * shake
        tokens = tokens - book[torch.cdist(tokens, book).argmin(dim=1)]
        moved += n
    return moved
