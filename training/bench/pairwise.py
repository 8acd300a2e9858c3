# SPDX-License-Identifier: Apache-2.0
"""Equation 5 as it is written: fusion attention over all T x T pairs.

The reference that the factorised fusion is tested and measured against; the product never runs it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsf_backend.model.hifb import PairAttention


def pairwise_attention(
    module: PairAttention,
    tokens: Tensor,
    motion: Tensor,
    emotion: Tensor,
    motion_mask: Tensor | None = None,
    emotion_mask: Tensor | None = None,
) -> Tensor:
    """What ``module`` means: build every pair [m_i ; e_j], one softmax over Tm * Te keys.

    Tokens [B, n_f, d], motion [B, Tm, d], emotion [B, Te, d], masks [B, T] -> [B, n_f, d].
    """
    m, e = module.motion_norm(motion), module.emotion_norm(emotion)
    b, n_m, d = m.shape
    n_e = e.shape[1]
    pairs = torch.cat(
        (m[:, :, None, :].expand(b, n_m, n_e, d), e[:, None, :, :].expand(b, n_m, n_e, d)), dim=-1
    ).reshape(b, n_m * n_e, 2 * d)
    k, v = module.to_kv(pairs).chunk(2, dim=-1)
    q = module.to_q(module.token_norm(tokens))
    q, k, v = (x.reshape(b, x.shape[1], module.n_heads, -1).transpose(1, 2) for x in (q, k, v))
    logits = q @ k.transpose(-1, -2) * module.scale
    real = torch.ones(b, n_m, n_e, dtype=torch.bool, device=m.device)
    if motion_mask is not None:
        real = real & motion_mask[:, :, None]
    if emotion_mask is not None:
        real = real & emotion_mask[:, None, :]
    logits = logits.masked_fill(~real.reshape(b, 1, 1, -1), float("-inf"))
    out = logits.softmax(dim=-1) @ v
    return module.to_out(out.transpose(1, 2).reshape(b, -1, out.shape[1] * out.shape[3]))
