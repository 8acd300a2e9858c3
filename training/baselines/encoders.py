# SPDX-License-Identifier: Apache-2.0
"""What the rows of Table 2 differ in: what the style vector is made of, how emotion is fused in.

One stream and all one-hots is ProbTalk3D; two streams, identity and HIFB are LSF-Animation, with
the product's own encoder.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from lsf_backend.model.config import ModelConfig, SIEConfig, VQConfig, paper
from lsf_backend.model.sie import IdentityEncoder, SIEEncoder, pair_frames
from lsf_backend.model.vqvae import MotionTrunk
from training.baselines.base import LabelConfig, SpeechBatch, clip_mean, one_hot
from training.baselines.fusions import CrossAttentionFusion, GateFusion

Style = Literal["subject", "emotion", "intensity", "betas", "identity", "emotion_feature"]
Fusion = Literal["none", "gate", "cross_attention", "hifb"]
LABELS = ("subject", "emotion", "intensity")

_SAID = {
    "subject": "speaker one-hot (an unseen speaker gets the average of all training people)",
    "emotion": "true emotion label as one-hot",
    "intensity": "true intensity label as one-hot",
    "betas": "the speaker's raw shape coefficients",
    "identity": "identity embedding of the speaker's shape",
    "emotion_feature": "emotion features of the speech, averaged over the clip",
}


@dataclasses.dataclass(frozen=True)
class SpeechToCodesConfig:
    """``style``: what the style vector is a linear map of; ``fusion``: how emotion comes in.

    With ``fusion`` "none" there is one stream of ``n_stream_layers`` blocks; otherwise ``style`` is
    the identity and sizes are the model's. ``temperature`` is that of sampling (1: as calibrated).
    """

    model: ModelConfig = dataclasses.field(default_factory=paper)
    style: tuple[Style, ...] = ("identity",)
    fusion: Fusion = "hifb"
    n_stream_layers: int = 12
    labels: LabelConfig = LabelConfig()
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a fusion with another style than the SIE encoder's."""
        if self.fusion != "none" and self.style != ("identity",):
            raise ValueError(f"fusion {self.fusion!r} goes with style ('identity',) only")
        unknown = set(self.style) - set(_SAID)
        if unknown:
            raise ValueError(f"style {sorted(unknown)} is none of {', '.join(_SAID)}")

    @property
    def conditioning(self) -> str:
        """What the system is told besides the speech features, also for unseen people."""
        parts = [_SAID[part] for part in self.style]
        if self.fusion != "none":
            parts.append("emotion features of the speech, frame by frame")
        if not parts:
            return "Nothing but the speech features."
        text = "; ".join(parts)
        return text[0].upper() + text[1:] + "."


class StyleEncoder(nn.Module):
    """The parts of a style vector, each by its own linear map, summed: [B, d]."""

    def __init__(self, config: SpeechToCodesConfig, d: int) -> None:
        super().__init__()
        sie = config.model.sie
        self.config = config
        self.labels = tuple(part for part in LABELS if part in config.style)
        if self.labels:
            self.of_labels = nn.Linear(config.labels.width(*self.labels), d)
        if "betas" in config.style:
            self.of_betas = nn.Linear(sie.n_betas, d)
        if "identity" in config.style:
            self.identity = IdentityEncoder(sie)
            self.of_identity = nn.Linear(sie.d_identity, d)
        if "emotion_feature" in config.style:
            self.of_emotion = nn.Linear(sie.d_emotion_features, d)

    def forward(self, batch: SpeechBatch) -> Tensor:
        """Batch -> style [B, d]."""
        parts = []
        if self.labels:
            parts.append(self.of_labels(one_hot(batch.labels, self.config.labels, *self.labels)))
        if "betas" in self.config.style:
            parts.append(self.of_betas(batch.betas))
        if "identity" in self.config.style:
            parts.append(self.of_identity(self.identity(batch.betas)))
        if "emotion_feature" in self.config.style:
            real = batch.mask.repeat_interleave(2, dim=1)
            parts.append(self.of_emotion(clip_mean(batch.emotion, real)))
        return torch.stack(parts).sum(dim=0)


class StyledStream(nn.Module):
    """One speech stream times the style vector, then ProbTalk3D's trunk: -> latent [B, T, d]."""

    def __init__(self, config: SpeechToCodesConfig) -> None:
        super().__init__()
        vq: VQConfig = dataclasses.replace(config.model.vq, n_layers=config.n_stream_layers)
        d = vq.block.d
        self.speech_in = nn.Linear(2 * config.model.sie.d_motion_features, d)
        self.style = StyleEncoder(config, d) if config.style else None
        self.trunk = MotionTrunk(vq)

    def forward(self, batch: SpeechBatch) -> Tensor:
        """Batch -> latent [B, T, d]."""
        x = self.speech_in(pair_frames(batch.speech))
        if self.style is not None:
            x = x * self.style(batch)[:, None]
        return self.trunk(x, batch.mask)


class FusedStreams(nn.Module):
    """The product's SIE encoder, with HIFB or with another fusion in its place."""

    def __init__(self, sie: SIEConfig, fusion: Fusion) -> None:
        super().__init__()
        self.sie = SIEEncoder(sie)
        if fusion == "gate":
            self.sie.hifb = GateFusion(sie)
        elif fusion == "cross_attention":
            self.sie.hifb = CrossAttentionFusion(sie)

    def forward(self, batch: SpeechBatch) -> Tensor:
        """Batch -> latent [B, T, d]."""
        return self.sie(batch.speech, batch.emotion, batch.betas, batch.mask)


def speech_encoder(config: SpeechToCodesConfig) -> nn.Module:
    """The encoder of a row: batch -> latent [B, T, d]."""
    if config.fusion == "none":
        return StyledStream(config)
    return FusedStreams(config.model.sie, config.fusion)
