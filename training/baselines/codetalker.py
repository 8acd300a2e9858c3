# SPDX-License-Identifier: Apache-2.0
"""CodeTalker (Xing et al. 2023) on 53-d motion: codes of a motion VQ-VAE, one frame after another.

Phase "prior" learns the VQ-VAE. Phase "speech" learns a 6-layer decoder with teacher forcing: it
predicts latents, which are snapped to codes (straight-through) and decoded by the frozen prior;
squared errors of motion and of the quantised latents. Speaking snaps greedily and feeds back the
last decoded frame. Differs from the original: our VQ-VAE (LayerNorm, codes of 64 numbers, d / 64
codes per frame) and motion coefficients instead of vertices.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from lsf_backend.model.config import N_MOTION, BlockConfig, VQConfig
from lsf_backend.model.vqvae import MotionVQVAE
from training.baselines.base import Baseline, LabelConfig, SpeechBatch, masked_mean, one_hot
from training.baselines.decoder import AutoregressiveDecoder, DecoderConfig, Past
from training.baselines.prior import place_codes, prior_losses


@dataclasses.dataclass(frozen=True)
class CodeTalkerConfig:
    """Dm = ``d_motion_features``; ``vq`` is the prior, ``decoder`` speaks."""

    d_motion_features: int = 768
    vq: VQConfig = VQConfig(BlockConfig(d=256, n_heads=8, d_ffn=384), n_layers=6, d_code=64)
    decoder: DecoderConfig = DecoderConfig(d=256, n_heads=4, d_ffn=512, n_layers=6)
    labels: LabelConfig = LabelConfig()


class CodeTalker(Baseline):
    """Speech features and the speaker's one-hot -> codes -> motion."""

    phases = ("prior", "speech")
    conditioning = (
        "Speaker one-hot of the training people; an unseen speaker gets the average of all of "
        "them. No emotion input."
    )

    def __init__(self, config: CodeTalkerConfig) -> None:
        super().__init__()
        self.config = config
        d = config.decoder.d
        self.prior = MotionVQVAE(config.vq)
        self.speech_in = nn.Linear(config.d_motion_features, d)
        self.style = nn.Linear(config.labels.n_subjects, d, bias=False)
        self.motion_in = nn.Linear(N_MOTION, d)
        self.decoder = AutoregressiveDecoder(config.decoder)
        self.latent_out = nn.Linear(d, config.vq.block.d)

    def frozen_in(self, phase: str) -> tuple[str, ...]:
        """The prior speaks but does not learn in the second phase."""
        if phase == "prior":
            return ("speech_in", "style", "motion_in", "decoder", "latent_out")
        return ("prior",)

    def prepare(self, batch: SpeechBatch, phase: str, generator: torch.Generator) -> None:
        """Place the codes of a fresh prior on real motion."""
        if phase == "prior":
            place_codes(self.prior, batch.motion, batch.mask, generator)

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Losses of section 3 in phase "prior"; of motion and latents in phase "speech"."""
        if phase == "prior":
            return prior_losses(self.prior, batch.motion, batch.mask).losses
        latent = self.latents_after(batch, batch.motion)
        zq = self.prior.quantize(latent, mask=batch.mask).zq
        with torch.no_grad():
            target = self.prior(batch.motion, batch.mask).zq
        motion = self.prior.scaled(self.prior.decode(zq, batch.mask))
        error = (motion - self.prior.scaled(batch.motion)).square()
        parts = {
            "motion": masked_mean(error, batch.mask),
            "latent": masked_mean((zq - target).square(), batch.mask),
        }
        return {"loss": parts["motion"] + parts["latent"], **parts}

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """The one motion of the greedy codes, S times: [S, B, T, 53]."""
        motion = self.prior.decode(self.speak(batch), batch.mask)
        return motion.expand(n_samples, *motion.shape)

    def latents_after(self, batch: SpeechBatch, motion: Tensor) -> Tensor:
        """Latent [B, T, d] of each frame, given the frames of motion [B, T, 53] before it."""
        style, memory = self._conditions(batch)
        before = self.motion_in(self.prior.scaled(motion[:, :-1])) + style
        rows = torch.cat((self._start(style), before), dim=1)
        return self.latent_out(self.decoder(rows, memory)[0])

    def speak(self, batch: SpeechBatch) -> Tensor:
        """Greedy latents zq [B, T, d] at code points; frame t knows speech up to t only."""
        style, memory = self._conditions(batch)
        row, spoken = self._start(style), []
        past: Past | None = None
        for index in range(batch.mask.shape[1]):
            out, past = self.decoder(row, memory[:, index : index + 1], past)
            spoken.append(self.prior.quantize(self.latent_out(out)).zq)
            last = self.prior.decode(torch.cat(spoken, dim=1))[:, -1:]
            row = self.motion_in(self.prior.scaled(last)) + style
        return torch.cat(spoken, dim=1)

    def _start(self, style: Tensor) -> Tensor:
        """The row before the first frame: a neutral face."""
        neutral = self.prior.scaled(style.new_zeros((style.shape[0], 1, N_MOTION)))
        return self.motion_in(neutral) + style

    def _conditions(self, batch: SpeechBatch) -> tuple[Tensor, Tensor]:
        """Style [B, 1, d] and memory [B, T, 2, d]."""
        b, t = batch.mask.shape
        style = self.style(one_hot(batch.labels, self.config.labels, "subject"))[:, None]
        return style, self.speech_in(batch.speech).reshape(b, t, 2, -1)
