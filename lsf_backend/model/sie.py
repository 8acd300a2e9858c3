# SPDX-License-Identifier: Apache-2.0
"""The SIE encoder: speech, identity and emotion to the decoder's latent (section 3, equation 3).

s = W_style z_id; m~ = (W_m m) * s; e~ = (W_e e) * s; then conv stem, Linear, positions, HIFB.
Not from the paper: biases of W_m and W_e (the released code has them), LayerNorm in the stems
(InstanceNorm erases a clip's constant emotion) and the output head; the last two are configuration.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from lsf_backend.model.config import SIEConfig
from lsf_backend.model.hifb import HIFB
from lsf_backend.model.layers import ConvStem, sinusoidal_positions


def pair_frames(features: Tensor) -> Tensor:
    """50 Hz to 25 fps, neighbours joined: [B, 2T, D] -> [B, T, 2D]; an odd last one drops."""
    batch, d = features.shape[0], features.shape[2]
    n_frames = features.shape[1] // 2
    return features[:, : 2 * n_frames].reshape(batch, n_frames, 2 * d)


class IdentityEncoder(nn.Module):
    """F_id: betas [B, 300] (z-scores) -> identity z_id [B, d_id].

    ``softmax`` ends in a soft one-hot over training people, as the released code does.
    """

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        widths = (config.n_betas, *config.identity_hidden, config.d_identity)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.softmax = config.identity == "softmax"

    def forward(self, betas: Tensor) -> Tensor:
        """Betas [B, 300] -> [B, d_id]."""
        x = betas
        for layer in self.layers[:-1]:
            x = torch.relu(layer(x))
        x = self.layers[-1](x)
        return x.softmax(dim=-1) if self.softmax else x


class SIEEncoder(nn.Module):
    """Features at 50 Hz and betas -> latent at 25 fps."""

    def __init__(self, config: SIEConfig) -> None:
        super().__init__()
        d = config.block.d
        self.config = config
        self.identity = IdentityEncoder(config)
        self.style = nn.Linear(config.d_identity, d, bias=False)
        self.motion_in = nn.Linear(2 * config.d_motion_features, d)
        self.emotion_in = nn.Linear(2 * config.d_emotion_features, d)
        self.motion_stem = ConvStem(d, config.norm)
        self.emotion_stem = ConvStem(d, config.norm)
        self.stream_linear = nn.Linear(d, d)
        self.position_dropout = nn.Dropout(config.position_dropout)
        self.hifb = HIFB(config)
        if config.output_head:
            self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, config.d_latent))
        else:
            self.head = nn.Sequential()

    def forward(
        self,
        motion_features: Tensor,
        emotion_features: Tensor,
        betas: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Motion features [B, 2T, Dm], emotion features [B, 2T, De], betas [B, 300] -> [B, T, d].

        ``mask`` [B, T] bool at 25 fps, True on real frames.
        """
        style = self.style(self.identity(betas))[:, None, :]
        motion = self.motion_in(pair_frames(motion_features)) * style
        emotion = self.emotion_in(pair_frames(emotion_features)) * style
        motion = self.stream_linear(self.motion_stem(motion, mask))
        emotion = self.stream_linear(self.emotion_stem(emotion, mask))
        motion = self.position_dropout(motion + sinusoidal_positions(motion))
        emotion = self.position_dropout(emotion + sinusoidal_positions(emotion))
        return self.head(self.hifb(motion, emotion, mask, mask))
