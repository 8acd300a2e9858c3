# SPDX-License-Identifier: Apache-2.0
"""Blocks that both networks share: positions, the conv stem, masked norms, pre-LN attention.

``mask`` is [B, T] bool everywhere, True on real frames; None means that every frame is real.
A padded clip gives exactly what it gives alone: convolutions see the last real frame repeated (as
replicate padding does), attention skips padding, InstanceNorm measures real frames only.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.config import BlockConfig, Gelu, Norm


def mask_from_lengths(lengths: Tensor, n_frames: int) -> Tensor:
    """Lengths [B] int, frames -> mask [B, n_frames] bool, True where frame < length."""
    return torch.arange(n_frames, device=lengths.device)[None, :] < lengths[:, None]


def sinusoidal_positions(x: Tensor) -> Tensor:
    """x [B, T, d] -> [1, T, d]: sin and cos of t / 10000^(2i/d), interleaved; made for any T."""
    n_frames, d = x.shape[1], x.shape[2]
    t = torch.arange(n_frames, device=x.device, dtype=torch.float32)[:, None]
    rate = torch.exp(
        torch.arange(0, d, 2, device=x.device, dtype=torch.float32) * (-math.log(10000.0) / d)
    )
    angle = t * rate[None, :]
    return torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(1, n_frames, d).to(x.dtype)


def hold_last(x: Tensor, mask: Tensor | None) -> Tensor:
    """x [B, T, d] -> the same with padding replaced by each clip's last real frame."""
    if mask is None:
        return x
    last = mask.sum(dim=1, keepdim=True) - 1
    index = torch.minimum(torch.arange(x.shape[1], device=x.device)[None, :], last)
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))


class TimeInstanceNorm(nn.Module):
    """InstanceNorm over time without weights: x [B, T, d] -> zero mean, unit variance per channel.

    It forgets whatever is constant in a clip; only the ``released`` preset uses it.
    """

    eps = 1e-5

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [B, T, d], mask [B, T] -> [B, T, d]; statistics over real frames."""
        if mask is None:
            mean = x.mean(dim=1, keepdim=True)
            var = (x - mean).square().mean(dim=1, keepdim=True)
        else:
            real = mask[:, :, None].to(x.dtype)
            count = real.sum(dim=1, keepdim=True)
            mean = (x * real).sum(dim=1, keepdim=True) / count
            var = ((x - mean).square() * real).sum(dim=1, keepdim=True) / count
        return (x - mean) * torch.rsqrt(var + self.eps)


class TimeLayerNorm(nn.LayerNorm):
    """LayerNorm over channels with the signature of :class:`TimeInstanceNorm`."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [B, T, d] -> [B, T, d], each frame on its own."""
        return super().forward(x)


def make_norm(kind: Norm, d: int) -> nn.Module:
    """The norm that a configuration names."""
    return TimeInstanceNorm() if kind == "instance" else TimeLayerNorm(d)


class ConvStem(nn.Module):
    """Conv1d(k=5, replicate) - LeakyReLU(0.2) - norm: x [B, T, d] -> [B, T, d]."""

    def __init__(self, d: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv1d(d, d, kernel_size=5, padding=2, padding_mode="replicate")
        self.norm = make_norm(norm, d)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x [B, T, d], mask [B, T] -> [B, T, d]."""
        x = hold_last(x, mask)
        x = F.leaky_relu(self.conv(x.transpose(1, 2)).transpose(1, 2), 0.2)
        return self.norm(x, mask)


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """Softmax attention: q [B, H, Q, D], k and v [B, H, T, D], mask [B, T] -> [B, H, Q, D]."""
    keys = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keys, scale=scale)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """x [B, T, H * D] -> [B, H, T, D]."""
    return x.reshape(x.shape[0], x.shape[1], n_heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """x [B, H, T, D] -> [B, T, H * D]."""
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Multi-head self-attention with an optional prefix of extra keys."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.scale = float(config.scale_dim or config.d // config.n_heads) ** -0.5
        self.to_qkv = nn.Linear(config.d, 3 * config.d, bias=False)
        self.to_out = nn.Linear(config.d, config.d)

    def forward(self, x: Tensor, prefix: Tensor | None, mask: Tensor | None) -> Tensor:
        """x [B, T, d], prefix [B, P, d] (always real), mask [B, T] -> rows of x only [B, T, d].

        Equal to attention over [prefix; x] with the prefix rows of the result thrown away.
        """
        n_prefix = 0 if prefix is None else prefix.shape[1]
        rows = x if prefix is None else torch.cat((prefix, x), dim=1)
        q, k, v = (split_heads(part, self.n_heads) for part in self.to_qkv(rows).chunk(3, dim=-1))
        if mask is not None and n_prefix:
            mask = F.pad(mask, (n_prefix, 0), value=True)
        out = attention(q[:, :, n_prefix:], k, v, self.scale, mask)
        return self.to_out(merge_heads(out))


class FeedForward(nn.Module):
    """Linear - GELU - Linear: x [..., d] -> [..., d]."""

    def __init__(self, d: int, d_ffn: int, gelu: Gelu = "none") -> None:
        super().__init__()
        self.up = nn.Linear(d, d_ffn)
        self.act = nn.GELU(approximate=gelu)
        self.down = nn.Linear(d_ffn, d)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., d] -> [..., d]."""
        return self.down(self.act(self.up(x)))


class Block(nn.Module):
    """Pre-LN transformer block: x + Attn(LN x), then x + MLP(LN x)."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.attn_norm = nn.LayerNorm(config.d)
        self.attn = SelfAttention(config)
        self.ffn_norm = nn.LayerNorm(config.d)
        self.ffn = FeedForward(config.d, config.d_ffn, config.gelu)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, prefix: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """x [B, T, d], prefix [B, P, d], mask [B, T] -> the rows of x, updated [B, T, d]."""
        normed_prefix = None if prefix is None else self.attn_norm(prefix)
        x = x + self.dropout(self.attn(self.attn_norm(x), normed_prefix, mask))
        return x + self.dropout(self.ffn(self.ffn_norm(x)))
