# SPDX-License-Identifier: Apache-2.0
"""Vector quantiser: nearest codes by squared L2, residual levels, and sampling by distance.

Tokens are z.reshape(B, T, d / C, C), so that a code belongs to one frame. p(code) =
softmax(-distance^2 / (temperature * tau)), one draw per token, through one uniform number each
(inverse of the cumulative sum): whoever owns the uniforms owns the sample. Not from the paper:
residual levels, and `tau` as a calibrated number that the weights carry.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.config import VQConfig


class Quantised(NamedTuple):
    """``zq`` [B, T, d] (straight-through), ``codes`` [B, T, G, R] int64, ``loss`` [] of eq. L_q."""

    zq: Tensor
    codes: Tensor
    loss: Tensor


def squared_distances(tokens: Tensor, codebook: Tensor) -> Tensor:
    """Tokens [..., C], codebook [K, C] -> ||token - code||^2 [..., K]."""
    cross = tokens @ codebook.t()
    return tokens.square().sum(-1, keepdim=True) - 2 * cross + codebook.square().sum(-1)


def draw_codes(distances: Tensor, unit: Tensor, uniform: Tensor) -> Tensor:
    """Sample softmax(-distances / unit): [..., K], [], uniform [...] in [0, 1) -> codes [...].

    A unit that goes to zero gives the nearest code (ties aside), so that one traced graph serves
    both the sampled and the deterministic run.
    """
    probability = (-distances / unit.clamp_min(1e-9)).softmax(dim=-1)
    below = (probability.cumsum(dim=-1) <= uniform[..., None]).sum(dim=-1)
    return below.clamp_max(distances.shape[-1] - 1)


class Quantiser(nn.Module):
    """Codebooks [R, K, C] and the sampling unit tau [R]."""

    codebooks: Tensor
    tau: Tensor

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.n_levels, config.n_codes, config.d_code)
        bound = 1.0 / config.n_codes
        self.codebooks = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.register_buffer("tau", torch.full((config.n_levels,), config.tau))

    def forward(
        self,
        latent: Tensor,
        temperature: float | Tensor = 0.0,
        uniform: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Quantised:
        """Latent [B, T, d] -> :class:`Quantised`.

        ``uniform`` [B, T, G * R] in [0, 1) makes a draw at ``temperature`` (1 is the calibrated
        amount); without it the nearest code is taken. ``mask`` [B, T]: padding is not in the loss.
        """
        tokens = self.to_tokens(latent, mask)
        b, t, g, _ = tokens.shape
        levels = self.config.n_levels
        draws = None if uniform is None else uniform.reshape(b, t, g, levels)
        residual, zq, codes = tokens, torch.zeros_like(tokens), []
        loss = tokens.new_zeros(())
        for level in range(levels):
            book = self.codebooks[level]
            distance = squared_distances(residual.detach(), book.detach())
            if draws is None:
                code = distance.argmin(dim=-1)
            else:
                code = draw_codes(distance, temperature * self.tau[level], draws[..., level])
            chosen = F.embedding(code, book)
            loss = loss + self._loss(residual, chosen, mask)
            residual = residual - chosen.detach()
            zq = zq + chosen
            codes.append(code)
        zq = tokens + (zq - tokens).detach()
        return Quantised(self.from_tokens(zq, mask), torch.stack(codes, dim=-1), loss)

    def lookup(self, codes: Tensor, mask: Tensor | None = None) -> Tensor:
        """Codes [B, T, G, R] int64 -> zq [B, T, d]."""
        books = zip(codes.unbind(dim=-1), self.codebooks.unbind(), strict=True)
        tokens = torch.stack([F.embedding(code, book) for code, book in books]).sum(dim=0)
        return self.from_tokens(tokens, mask)

    def to_tokens(self, latent: Tensor, mask: Tensor | None = None) -> Tensor:
        """Latent [B, T, d] -> tokens [B, T, G, C]."""
        b, t, d = latent.shape
        if self.config.layout == "raster":
            latent = latent.flatten(1).gather(1, _raster_index(latent, mask))
        return latent.reshape(b, t, d // self.config.d_code, self.config.d_code)

    def from_tokens(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens [B, T, G, C] -> latent [B, T, d]; undoes :meth:`to_tokens`."""
        latent = tokens.flatten(2)
        if self.config.layout == "raster":
            back = _raster_index(latent, mask).argsort(dim=1)
            latent = latent.flatten(1).gather(1, back).reshape(latent.shape)
        return latent

    def _loss(self, token: Tensor, code: Tensor, mask: Tensor | None) -> Tensor:
        """L_q = beta * ||sg(code) - token||^2 + ||code - sg(token)||^2, a mean over real frames."""
        error = self.config.commitment * (code.detach() - token).square()
        error = error + (code - token.detach()).square()
        if mask is None:
            return error.mean()
        real = mask[:, :, None, None].to(error.dtype)
        return (error * real).sum() / (real.sum() * error.shape[2] * error.shape[3])


def _raster_index(latent: Tensor, mask: Tensor | None) -> Tensor:
    """Where each number of the channel-major order lies in the frame-major one: [B, T * d] int64.

    Real frames come first, channel by channel; padding follows in place, so a padded clip is cut
    into the same tokens as the clip alone.
    """
    b, t, d = latent.shape
    place = torch.arange(t * d, device=latent.device)[None, :]
    if mask is None:
        return ((place % t) * d + place // t).expand(b, -1)
    length = mask.sum(dim=1, keepdim=True)
    inside = (place % length) * d + place // length
    return torch.where(place < length * d, inside, place)
