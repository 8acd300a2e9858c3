# SPDX-License-Identifier: Apache-2.0
"""The autoregressive decoder that FaceFormer and CodeTalker share.

Self-attention looks back only, with a penalty that grows by one head-specific step per period of
frames; cross-attention of frame t sees the speech features of frame t only. Not from the papers:
keys and values are kept, so a step costs one row instead of a whole prefix (same numbers).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.layers import merge_heads, sinusoidal_positions, split_heads


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """L post-LN layers of width d; positions and the look-back penalty repeat after ``period``."""

    d: int
    n_heads: int
    d_ffn: int
    n_layers: int
    period: int = 25
    dropout: float = 0.1


Past = list[tuple[Tensor, Tensor]]


def periodic_positions(first: int, n: int, period: int, like: Tensor) -> Tensor:
    """Rows ``first`` to ``first + n`` of sinusoidal positions that repeat: [1, n, d]."""
    table = sinusoidal_positions(like.new_zeros((1, period, like.shape[-1])))
    return table[:, torch.arange(first, first + n, device=like.device) % period]


def look_back_bias(first: int, n: int, n_heads: int, period: int, like: Tensor) -> Tensor:
    """Added to the logits [H, n, first + n]: 0, then less by slope_h per period; -inf ahead.

    Slopes are 2^(-8 h / H), h = 1..H, as in ALiBi.
    """
    query = torch.arange(first, first + n, device=like.device)[:, None]
    key = torch.arange(first + n, device=like.device)[None, :]
    heads = torch.arange(1, n_heads + 1, device=like.device, dtype=like.dtype)
    slope = 2.0 ** (-8.0 * heads / n_heads)
    periods = torch.div(query - key, period, rounding_mode="floor").to(like.dtype)
    bias = -slope[:, None, None] * periods
    return bias.masked_fill(key > query, float("-inf"))


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention to the frame's own features, feed-forward; post-LN."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        d = config.d
        self.n_heads = config.n_heads
        self.qkv = nn.Linear(d, 3 * d)
        self.self_out = nn.Linear(d, d)
        self.cross_q = nn.Linear(d, d)
        self.cross_kv = nn.Linear(d, 2 * d)
        self.cross_out = nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, config.d_ffn), nn.Linear(config.d_ffn, d)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, memory: Tensor, bias: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """New rows x [B, n, d], memory [B, n, M, d], bias [H, n, all] -> rows, keys so far."""
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(x).chunk(3, dim=-1))
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = self.norms[0](x + self.dropout(self.self_out(merge_heads(seen))))
        x = self.norms[1](x + self.dropout(self.cross_out(self._hear(x, memory))))
        fed = self.down(self.dropout(F.relu(self.up(x))))
        return self.norms[2](x + self.dropout(fed)), (k, v)

    def _hear(self, x: Tensor, memory: Tensor) -> Tensor:
        """x [B, n, d], memory [B, n, M, d] -> [B, n, d]: each frame attends to its M features."""
        b, n, m, d = memory.shape
        keys, values = self.cross_kv(memory).reshape(b * n, m, 2 * d).chunk(2, dim=-1)
        q = split_heads(self.cross_q(x).reshape(b * n, 1, d), self.n_heads)
        heard = F.scaled_dot_product_attention(
            q, split_heads(keys, self.n_heads), split_heads(values, self.n_heads)
        )
        return merge_heads(heard).reshape(b, n, d)


class AutoregressiveDecoder(nn.Module):
    """L layers; call it with all rows at once, or row by row with what it returned."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.n_layers))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, memory: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """x [B, n, d] after the rows of ``past``, memory [B, n, M, d] -> [B, n, d], new past."""
        first = 0 if not past else past[0][0].shape[2]
        n, period = x.shape[1], self.config.period
        bias = look_back_bias(first, n, self.config.n_heads, period, x)
        x = self.dropout(x + periodic_positions(first, n, period, x))
        kept: Past = []
        for index, layer in enumerate(self.layers):
            x, keys = layer(x, memory, bias, past[index] if past else None)
            kept.append(keys)
        return x, kept
