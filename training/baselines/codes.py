# SPDX-License-Identifier: Apache-2.0
"""Speech to the codes of a motion VQ-VAE: ProbTalk3D, LSF-Animation and every row of Table 2.

They share phase "prior" (stage 1) and the losses of stage 2, and differ in their encoder. Differs
from ProbTalk3D (Wu et al. 2024): LayerNorm, codes that belong to one frame.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lsf_backend.model.vqvae import MotionVQVAE
from training.baselines.base import (
    Baseline,
    SpeechBatch,
    Step,
    clip_generators,
    clip_noise,
    masked_mean,
    repeat_clips,
)
from training.baselines.encoders import SpeechToCodesConfig, speech_encoder
from training.baselines.objective import Extras
from training.baselines.prior import Outcome, place_codes, prior_losses, speech_losses
from training.losses import LipLoss


class SpeechToCodes(Baseline):
    """Encoder of the configuration, then quantiser and decoder of the frozen prior."""

    phases = ("prior", "speech")
    used: Tensor
    lips: LipLoss | None

    def __init__(self, config: SpeechToCodesConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioning = config.conditioning
        self.prior = MotionVQVAE(config.model.vq)
        self.encoder = speech_encoder(config)
        vq = config.model.vq
        self.register_buffer("used", torch.zeros(vq.n_levels, vq.n_codes), persistent=False)
        self.quantised = True
        self.use(Extras())

    def frozen_in(self, phase: str) -> tuple[str, ...]:
        """The encoder waits for the prior, which then stays as it is."""
        return ("encoder",) if phase == "prior" else ("prior",)

    def use(self, extras: Extras) -> None:
        """Add to the paper's losses; the lip loss measures the bundled head."""
        if extras.lip_weight > 0 and self.config.model.face_space != "head":
            raise ValueError('"lip_weight" is of the face space head only')
        self.extras = extras
        self.lips = (
            LipLoss(extras.shut_weight, extras.margin_weight) if extras.lip_weight > 0 else None
        )

    def prepare(self, batch: SpeechBatch, phase: str, generator: torch.Generator) -> None:
        """Place the codes of a fresh prior on real motion."""
        if phase == "prior":
            place_codes(self.prior, batch.motion, batch.mask, generator)

    def before_step(
        self, batch: SpeechBatch, phase: str, step: Step, generator: torch.Generator
    ) -> bool:
        """Place the codes once, and now and then those again that nothing uses."""
        if phase != "prior":
            return False
        every = self.extras.revive_every
        first = self.extras.start_without_codes if step.fresh else 0
        self.quantised = step.index >= first
        if step.index == first and step.fresh:
            self.prepare(batch, phase, generator)
            self.used.zero_()
            return True
        after = step.index - first
        last = self.extras.revive_until * step.total
        if every == 0 or after <= 0 or after % every or step.index >= last:
            return False
        idle = self.used < 1
        self.used.zero_()
        return place_codes(self.prior, batch.motion, batch.mask, generator, idle) > 0

    def training_state(self) -> dict[str, Tensor]:
        """How often each code was used since idle ones were last moved."""
        return {"used": self.used.clone()}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Go on counting."""
        self.used.copy_(state["used"])

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Losses of stage 1 or of stage 2."""
        if phase == "speech" and self.training and self.extras.feature_noise > 0:
            assert generator is not None
            batch = with_noise(batch, self.extras.feature_noise, generator)
        outcome = self._outcome(batch, phase)
        if phase == "prior" and self.training and outcome.codes is not None:
            for level, codes in enumerate(outcome.codes[batch.mask].unbind(dim=-1)):
                self.used[level] += codes.flatten().bincount(minlength=self.used.shape[1])
        return outcome.losses

    def validate(
        self, batch: SpeechBatch, phase: str, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Losses, and on the bundled head the error of the lip gap in mm."""
        outcome = self._outcome(batch, phase)
        if self.lips is None:
            return outcome.losses
        gap_mm = self.lips.gap_error_mm(outcome.motion, batch.motion)
        return {**outcome.losses, "gap_mm": masked_mean(gap_mm, batch.mask)}

    def _outcome(self, batch: SpeechBatch, phase: str) -> Outcome:
        extras, lips = self.extras, self.lips
        coded = "codes" not in extras.without
        if phase == "prior":
            quantised = coded and (self.quantised or not self.training)
            return prior_losses(self.prior, batch.motion, batch.mask, extras, lips, quantised)
        latent = self.latent(batch)
        return speech_losses(self.prior, latent, batch.motion, batch.mask, extras, lips, coded)

    def latent(self, batch: SpeechBatch) -> Tensor:
        """Latent [B, T, d] of speech and face, without the parts that are left out."""
        changed = {}
        if "emotion" in self.extras.without:
            changed["emotion_features"] = torch.zeros_like(batch.emotion_features)
        if "identity" in self.extras.without:
            changed["betas"] = torch.zeros_like(batch.betas)
        return self.encoder(dataclasses.replace(batch, **changed))

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """S draws of codes around the predicted latent: [S, B, T, 53]."""
        b, t = batch.mask.shape
        owners = clip_generators(b, generator, batch.mask.device)
        shape = (n_samples, t, self.config.model.vq.n_draws)
        uniform = clip_noise(owners, batch.lengths, shape, uniform=True).flatten(0, 1)
        latent = repeat_clips(self.latent(batch), n_samples)
        mask = repeat_clips(batch.mask, n_samples)
        zq = latent
        if "codes" not in self.extras.without:
            zq = self.prior.quantize(latent, self.config.temperature, uniform=uniform, mask=mask).zq
        return self.prior.decode(zq, mask).unflatten(0, (n_samples, b))


def with_noise(batch: SpeechBatch, share: float, generator: torch.Generator) -> SpeechBatch:
    """Blur features by ``share`` of each one's spread, frame by frame and clip by clip.

    Voices that nobody trained on differ in both; some channels of some clips fall silent.
    """

    def blurred(features: Tensor) -> Tensor:
        device = features.device
        noise = torch.randn(features.shape, generator=generator, device=generator.device)
        of_clip = (features.shape[0], 1, features.shape[2])
        noise = noise + torch.randn(of_clip, generator=generator, device=generator.device)
        kept = torch.rand(of_clip, generator=generator, device=generator.device) >= 0.5 * share
        blur = share * features.std(dim=(0, 1)) * noise.to(device)
        return (features + blur) * kept.to(device)

    return dataclasses.replace(
        batch,
        motion_features=blurred(batch.motion_features),
        emotion_features=blurred(batch.emotion_features),
    )
