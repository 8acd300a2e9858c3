# SPDX-License-Identifier: Apache-2.0
"""A stage-2 file in the released code's layout, and what that network computes from it.

Plain functions on a dictionary of tensors, written from the method's equations and the names: pairs
are built one by one, the quantiser flattens channel-major, no module of the product is used.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def fabricate(d=16, layers=3, heads=8, ffn=24, ids=5, feature=10, codes=32, c=8, vq_layers=2):
    """Random tensors under the released names."""
    del heads
    g = torch.Generator().manual_seed(0)
    inner = d // 4
    t: dict[str, torch.Tensor] = {}

    def linear(name, n_in, n_out, bias=True):
        t[name + ".weight"] = torch.randn(n_out, n_in, generator=g) / math.sqrt(n_in)
        if bias:
            t[name + ".bias"] = 0.1 * torch.randn(n_out, generator=g)

    def norm(name):
        t[name + ".weight"] = 1 + 0.1 * torch.randn(d, generator=g)
        t[name + ".bias"] = 0.1 * torch.randn(d, generator=g)

    def conv(name):
        t[name + ".weight"] = torch.randn(d, d, 5, generator=g) / math.sqrt(5 * d)
        t[name + ".bias"] = 0.1 * torch.randn(d, generator=g)

    def blocks(prefix, n):
        for i in range(n):
            norm(f"{prefix}.net.{2 * i}.fn.norm")
            linear(f"{prefix}.net.{2 * i}.fn.fn.to_qkv", d, 3 * d, bias=False)
            linear(f"{prefix}.net.{2 * i}.fn.fn.to_out", d, d)
            norm(f"{prefix}.net.{2 * i + 1}.fn.norm")
            linear(f"{prefix}.net.{2 * i + 1}.fn.fn.l1", d, ffn)
            linear(f"{prefix}.net.{2 * i + 1}.fn.fn.l2", ffn, d)

    for index, (a, b) in zip((0, 2, 4), ((300, 256), (256, 128), (128, ids)), strict=True):
        linear(f"identity_extractor.{index}", a, b)
    p = "feature_predictor."
    linear(p + "audio_feat", 2 * feature, d)
    linear(p + "emo_feat", 2 * feature, d)
    linear(p + "style_proj", ids, d, bias=False)
    conv(p + "squash_a.0")
    conv(p + "squash_e.0")
    linear(p + "lin_embed.net", d, d)
    t[p + "pos_enc.pe"] = torch.zeros(5000, 1, d)
    t[p + "fusion_tokens"] = torch.randn(1, 4, d, generator=g)
    for i in range(layers):
        blocks(f"{p}audio_blocks.{i}", 1)
        blocks(f"{p}emo_blocks.{i}", 1)
        f = f"{p}fusion_blocks.{i}."
        for name in ("norm_mm", "norm_a", "norm_v", "norm_mlp"):
            norm(f + name)
        linear(f + "attn.q", d, inner, bias=False)
        linear(f + "attn.kv", 2 * d, 2 * inner, bias=False)
        linear(f + "attn.proj", inner, d)
        linear(f + "mlp.fc1", d, ffn)
        linear(f + "mlp.fc2", ffn, d)
    norm(p + "out_norm")
    e, dec = "motion_prior.motion_encoder.", "motion_prior.motion_decoder."
    linear(e + "feature_mapping.0", 53, d)
    conv(e + "squasher.0.0")
    linear(e + "encoder_linear_embedding.net", d, d)
    blocks(e + "encoder_transformer", vq_layers)
    conv(dec + "expander.0.0")
    linear(dec + "decoder_linear_embedding.net", d, d)
    blocks(dec + "decoder_transformer", vq_layers)
    linear(dec + "feature_mapping_reverse", d, 53, bias=False)
    t["motion_prior.quantize.embedding.weight"] = torch.randn(codes, c, generator=g)
    t["feature_extractor.audiomodel.masked_spec_embed"] = torch.randn(4, generator=g)
    t["audio_model.some.weight"] = torch.randn(4, generator=g)
    return t


def _lin(t, name, x):
    return F.linear(x, t[name + ".weight"], t.get(name + ".bias"))


def _norm(t, name, x):
    return F.layer_norm(x, x.shape[-1:], t[name + ".weight"], t[name + ".bias"])


def _gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _heads(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).permute(0, 2, 1, 3)


def _stack(t, prefix, n, x, heads):
    for i in range(n):
        a, b = f"{prefix}.net.{2 * i}.fn.", f"{prefix}.net.{2 * i + 1}.fn."
        q, k, v = (
            _heads(y, heads) for y in _lin(t, a + "fn.to_qkv", _norm(t, a + "norm", x)).chunk(3, -1)
        )
        weight = (q @ k.transpose(-1, -2) * x.shape[-1] ** -0.5).softmax(-1)
        x = x + _lin(t, a + "fn.to_out", (weight @ v).permute(0, 2, 1, 3).flatten(2))
        x = x + _lin(t, b + "fn.l2", _gelu_tanh(_lin(t, b + "fn.l1", _norm(t, b + "norm", x))))
    return x


def _squash(t, name, x):
    y = F.pad(x.transpose(1, 2), (2, 2), mode="replicate")
    y = F.leaky_relu(F.conv1d(y, t[name + ".weight"], t[name + ".bias"]), 0.2)
    return F.instance_norm(y).transpose(1, 2)


def _positions(n, d):
    table = torch.zeros(n, d)
    for pos in range(n):
        for i in range(0, d, 2):
            table[pos, i] = math.sin(pos / 10000 ** (i / d))
            table[pos, i + 1] = math.cos(pos / 10000 ** (i / d))
    return table[None]


def run(t, audio, emotion, betas, layers=3, vq_layers=2, heads=8):
    """Paired features [1, T, 2 * D] and betas -> latent [1, T, d], scaled motion [1, T, 53]."""
    x = betas
    for index in (0, 2):
        x = torch.relu(_lin(t, f"identity_extractor.{index}", x))
    identity = _lin(t, "identity_extractor.4", x).softmax(-1)
    p = "feature_predictor."
    style = _lin(t, p + "style_proj", identity)[:, None]
    xa, xv = _lin(t, p + "audio_feat", audio) * style, _lin(t, p + "emo_feat", emotion) * style
    xa, xv = _squash(t, p + "squash_a.0", xa), _squash(t, p + "squash_e.0", xv)
    pe = _positions(xa.shape[1], xa.shape[2])
    xa, xv = (_lin(t, p + "lin_embed.net", y) + pe for y in (xa, xv))
    mm, n = t[p + "fusion_tokens"], xa.shape[1]
    for i in range(layers):
        xa = _stack(t, f"{p}audio_blocks.{i}", 1, torch.cat((mm, xa), 1), heads)[:, 4:]
        xv = _stack(t, f"{p}emo_blocks.{i}", 1, torch.cat((mm, xv), 1), heads)[:, 4:]
        f = f"{p}fusion_blocks.{i}."
        a, v = _norm(t, f + "norm_a", xa), _norm(t, f + "norm_v", xv)
        pairs = torch.stack([torch.cat((v[0, j], a[0, k])) for j in range(n) for k in range(n)])
        key, value = _lin(t, f + "attn.kv", pairs[None]).chunk(2, -1)
        q = _heads(_lin(t, f + "attn.q", _norm(t, f + "norm_mm", mm)), heads)
        scale = (xa.shape[2] // heads) ** -0.5
        weight = (q @ _heads(key, heads).transpose(-1, -2) * scale).softmax(-1)
        out = (weight @ _heads(value, heads)).permute(0, 2, 1, 3).flatten(2)
        mm = mm + _lin(t, f + "attn.proj", out)
        mm = mm + _lin(
            t, f + "mlp.fc2", F.gelu(_lin(t, f + "mlp.fc1", _norm(t, f + "norm_mlp", mm)))
        )
    book = t["motion_prior.quantize.embedding.weight"]
    channel_major = xa.permute(0, 2, 1).contiguous()
    rows = channel_major.view(-1, book.shape[1])
    zq = book[torch.cdist(rows, book).argmin(1)].view(channel_major.shape).permute(0, 2, 1)
    dec = "motion_prior.motion_decoder."
    y = _lin(t, dec + "decoder_linear_embedding.net", _squash(t, dec + "expander.0.0", zq)) + pe
    y = _stack(t, dec + "decoder_transformer", vq_layers, y, heads)
    return xa, _lin(t, dec + "feature_mapping_reverse", y)
