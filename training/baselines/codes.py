# SPDX-License-Identifier: Apache-2.0
"""Speech to the codes of a motion VQ-VAE: ProbTalk3D, LSF-Animation and every row of Table 2.

They share phase "prior" (stage 1) and the losses of stage 2, and differ in two switches: what the
style vector is made of, and how an emotion stream is fused in. One stream and all one-hots is
ProbTalk3D (Wu et al. 2024); two streams, identity and HIFB are LSF-Animation, with the product's
own encoder. Differs from ProbTalk3D: LayerNorm, codes that belong to one frame.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from lsf_backend.model.config import ModelConfig, SIEConfig, VQConfig, paper
from lsf_backend.model.sie import IdentityEncoder, SIEEncoder, pair_frames
from lsf_backend.model.vqvae import MotionTrunk, MotionVQVAE
from training.baselines.base import (
    Baseline,
    LabelConfig,
    SpeechBatch,
    clip_generators,
    clip_noise,
    one_hot,
    repeat_clips,
)
from training.baselines.fusions import CrossAttentionFusion, GateFusion
from training.baselines.prior import place_codes, prior_losses, speech_losses

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
            real = batch.mask.repeat_interleave(2, dim=1)[:, :, None].to(batch.emotion.dtype)
            mean = (batch.emotion * real).sum(dim=1) / real.sum(dim=1)
            parts.append(self.of_emotion(mean))
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


class SpeechToCodes(Baseline):
    """Encoder of the configuration, then quantiser and decoder of the frozen prior."""

    phases = ("prior", "speech")

    def __init__(self, config: SpeechToCodesConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = config.conditioning
        self.prior = MotionVQVAE(config.model.vq)
        self.encoder: nn.Module
        if config.fusion == "none":
            self.encoder = StyledStream(config)
        else:
            self.encoder = FusedStreams(config.model.sie, config.fusion)

    def frozen_in(self, phase: str) -> tuple[str, ...]:
        """The encoder waits for the prior, which then stays as it is."""
        return ("encoder",) if phase == "prior" else ("prior",)

    def prepare(self, batch: SpeechBatch, phase: str, generator: torch.Generator) -> None:
        """Place the codes of a fresh prior on real motion."""
        if phase == "prior":
            place_codes(self.prior, batch.motion, batch.mask, generator)

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Losses of stage 1 or of stage 2."""
        if phase == "prior":
            return prior_losses(self.prior, batch.motion, batch.mask)
        return speech_losses(self.prior, self.encoder(batch), batch.motion, batch.mask)

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """S draws of codes around the predicted latent: [S, B, T, 53]."""
        b, t = batch.mask.shape
        owners = clip_generators(b, generator, batch.mask.device)
        shape = (n_samples, t, self.config.model.vq.n_draws)
        uniform = clip_noise(owners, batch.lengths, shape, uniform=True).flatten(0, 1)
        latent = repeat_clips(self.encoder(batch), n_samples)
        mask = repeat_clips(batch.mask, n_samples)
        zq = self.prior.quantize(latent, self.config.temperature, uniform=uniform, mask=mask).zq
        return self.prior.decode(zq, mask).unflatten(0, (n_samples, b))
