# SPDX-License-Identifier: Apache-2.0
"""The fusions that Table 2 compares with the HIFB: a gate, and cross-attention.

Both take HIFB's place in the SIE encoder: motion and emotion streams [B, T, d] in, one stream out.
The paper names them without equations; these are the usual forms at HIFB's depth and width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsf_backend.model.config import SIEConfig
from lsf_backend.model.layers import Block, attention, merge_heads, split_heads


class GateFusion(nn.Module):
    """g = sigmoid(W [m; e]); g * m + (1 - g) * e, per channel and frame, then L blocks."""

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        d = config.block.d
        self.gate = nn.Linear(2 * d, d)
        self.blocks = nn.ModuleList(Block(config.block) for _ in range(config.n_layers))

    def forward(
        self,
        motion: Tensor,
        emotion: Tensor,
        motion_mask: Tensor | None = None,
        emotion_mask: Tensor | None = None,
    ) -> Tensor:
        """Motion and emotion [B, T, d], masks [B, T] -> [B, T, d]."""
        gate = torch.sigmoid(self.gate(torch.cat((motion, emotion), dim=-1)))
        x = gate * motion + (1 - gate) * emotion
        for block in self.blocks:
            x = block(x, mask=motion_mask)
        return x


class CrossAttention(nn.Module):
    """Frames of one stream attend to the frames of the other; pre-LN, all frames."""

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        d = config.block.d
        self.n_heads = config.block.n_heads
        self.scale = float(d // config.block.n_heads) ** -0.5
        self.norm, self.other_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.to_q = nn.Linear(d, d, bias=False)
        self.to_kv = nn.Linear(d, 2 * d, bias=False)
        self.to_out = nn.Linear(d, d)

    def forward(self, x: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, T, d], other [B, Te, d], mask [B, Te] of the other -> [B, T, d]."""
        q = split_heads(self.to_q(self.norm(x)), self.n_heads)
        k, v = self.to_kv(self.other_norm(other)).chunk(2, dim=-1)
        keys, values = split_heads(k, self.n_heads), split_heads(v, self.n_heads)
        return self.to_out(merge_heads(attention(q, keys, values, self.scale, mask)))


class CrossAttentionFusion(nn.Module):
    """L layers: each stream has its block, then motion frames read the emotion frames."""

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        n = config.n_layers
        self.motion_blocks = nn.ModuleList(Block(config.block) for _ in range(n))
        self.emotion_blocks = nn.ModuleList(Block(config.block) for _ in range(n))
        self.crossings = nn.ModuleList(CrossAttention(config) for _ in range(n))

    def forward(
        self,
        motion: Tensor,
        emotion: Tensor,
        motion_mask: Tensor | None = None,
        emotion_mask: Tensor | None = None,
    ) -> Tensor:
        """Motion and emotion [B, T, d], masks [B, T] -> the motion stream [B, T, d]."""
        layers = zip(self.motion_blocks, self.emotion_blocks, self.crossings, strict=True)
        for motion_block, emotion_block, crossing in layers:
            motion = motion_block(motion, mask=motion_mask)
            emotion = emotion_block(emotion, mask=emotion_mask)
            motion = motion + crossing(motion, emotion, emotion_mask)
        return motion
