# SPDX-License-Identifier: Apache-2.0
"""Hierarchical interaction fusion (HIFB), equations 4 and 5, in linear time.

The paper lets n_f fusion tokens attend to every pair <m_i, e_j>. One bias-free linear map makes
keys and values of a pair, so its logit is a sum, its softmax a product, and attention over T^2
pairs is exactly the sum of two attentions over T frames (:class:`PairAttention`). Not from the
paper: that factorisation, and that the last layer's fusion and emotion block are left out, because
they reach no output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsf_backend.model.config import SIEConfig
from lsf_backend.model.layers import Block, FeedForward, attention, merge_heads, split_heads


class PairAttention(nn.Module):
    """Cross-attention from fusion tokens to all pairs of motion and emotion frames.

    With K = [K_m K_e] and V = [V_m V_e]:
    Attn(q; pairs) = Attn(q; K_m m, V_m m) + Attn(q; K_e e, V_e e), for each head.
    This holds as long as pairs meet no dropout, norm, bias or joint mask: none may be added here.
    """

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        d, inner = config.block.d, config.fusion_inner
        self.n_heads = config.fusion_heads
        self.scale = float(config.fusion_scale_dim or inner // config.fusion_heads) ** -0.5
        self.token_norm = nn.LayerNorm(d)
        self.motion_norm = nn.LayerNorm(d)
        self.emotion_norm = nn.LayerNorm(d)
        self.to_q = nn.Linear(d, inner, bias=False)
        self.to_kv = nn.Linear(2 * d, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, d)

    def forward(
        self,
        tokens: Tensor,
        motion: Tensor,
        emotion: Tensor,
        motion_mask: Tensor | None = None,
        emotion_mask: Tensor | None = None,
    ) -> Tensor:
        """Tokens [B, n_f, d], motion [B, Tm, d], emotion [B, Te, d], masks -> [B, n_f, d].

        A pair counts where both of its frames are real: the masks stay one per stream.
        """
        of_motion, of_emotion = self.to_kv.weight.chunk(2, dim=1)
        q = split_heads(self.to_q(self.token_norm(tokens)), self.n_heads)
        out = self._attend(q, self.motion_norm(motion), of_motion, motion_mask)
        out = out + self._attend(q, self.emotion_norm(emotion), of_emotion, emotion_mask)
        return self.to_out(merge_heads(out))

    def _attend(self, q: Tensor, stream: Tensor, weight: Tensor, mask: Tensor | None) -> Tensor:
        k, v = nn.functional.linear(stream, weight).chunk(2, dim=-1)
        return attention(
            q, split_heads(k, self.n_heads), split_heads(v, self.n_heads), self.scale, mask
        )


class FusionLayer(nn.Module):
    """One HIFB layer: both streams read the tokens, then the tokens read all pairs.

    The last layer holds the motion block alone.
    """

    def __init__(self, config: SIEConfig, last: bool) -> None:
        super().__init__()
        self.motion_block = Block(config.block)
        self.last = last
        if last:
            return
        self.emotion_block = Block(config.block)
        self.fusion = PairAttention(config)
        self.token_norm = nn.LayerNorm(config.block.d)
        self.token_ffn = FeedForward(config.block.d, config.block.d_ffn)

    def forward(
        self,
        tokens: Tensor,
        motion: Tensor,
        emotion: Tensor,
        motion_mask: Tensor | None,
        emotion_mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, n_f, d], motion [B, T, d], emotion [B, T, d] -> the three, updated."""
        motion = self.motion_block(motion, tokens, motion_mask)
        if self.last:
            return tokens, motion, emotion
        emotion = self.emotion_block(emotion, tokens, emotion_mask)
        tokens = tokens + self.fusion(tokens, motion, emotion, motion_mask, emotion_mask)
        tokens = tokens + self.token_ffn(self.token_norm(tokens))
        return tokens, motion, emotion


class HIFB(nn.Module):
    """L fusion layers: motion and emotion [B, T, d] -> the motion stream m^L [B, T, d]."""

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        shape = (config.n_fusion_tokens, config.block.d)
        self.fusion_tokens = nn.Parameter(torch.randn(shape) * 0.02)
        self.layers = nn.ModuleList(
            FusionLayer(config, last=index == config.n_layers - 1)
            for index in range(config.n_layers)
        )

    def forward(
        self,
        motion: Tensor,
        emotion: Tensor,
        motion_mask: Tensor | None = None,
        emotion_mask: Tensor | None = None,
    ) -> Tensor:
        """Motion [B, T, d], emotion [B, T, d], masks [B, T] -> [B, T, d]."""
        tokens = self.fusion_tokens[None].expand(motion.shape[0], -1, -1)
        for layer in self.layers:
            tokens, motion, emotion = layer(tokens, motion, emotion, motion_mask, emotion_mask)
        return motion
