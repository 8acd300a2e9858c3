# SPDX-License-Identifier: Apache-2.0
"""FaceFormer (Fan et al. 2022) on 53-d motion: one decoder layer that feeds on its own frames.

Differs from the original: motion coefficients instead of vertex offsets, 25 fps with the two 50 Hz
features of a frame as its memory, and speech features that the harness computes. Trained on its own
outputs, as the original; ``teacher_forcing`` is there for comparison.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from lsf_backend.model.config import N_MOTION
from training.baselines.base import (
    Baseline,
    LabelConfig,
    MotionScale,
    SpeechBatch,
    masked_mean,
    one_hot,
)
from training.baselines.decoder import AutoregressiveDecoder, DecoderConfig, Past


@dataclasses.dataclass(frozen=True)
class FaceFormerConfig:
    """Dm = ``d_motion_features``; sizes of the decoder are the original's."""

    d_motion_features: int = 768
    decoder: DecoderConfig = DecoderConfig(d=128, n_heads=4, d_ffn=256, n_layers=1)
    labels: LabelConfig = LabelConfig()
    scale: MotionScale = MotionScale()
    teacher_forcing: bool = False


class FaceFormer(Baseline):
    """Speech features and the speaker's one-hot -> motion, one frame after the other."""

    conditioning = (
        "Speaker one-hot of the training people; an unseen speaker gets the average of all of "
        "them. No emotion input."
    )

    def __init__(self, config: FaceFormerConfig) -> None:
        super().__init__()
        self.config = config
        d = config.decoder.d
        self.speech_in = nn.Linear(config.d_motion_features, d)
        self.style = nn.Linear(config.labels.n_subjects, d, bias=False)
        self.motion_in = nn.Linear(N_MOTION, d)
        self.decoder = AutoregressiveDecoder(config.decoder)
        self.motion_out = nn.Linear(d, N_MOTION)
        nn.init.zeros_(self.motion_out.weight)
        nn.init.zeros_(self.motion_out.bias)
        self.register_buffer("spread", config.scale.row(), persistent=False)

    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error of scaled motion."""
        target = batch.motion / self.spread
        before = target if self.config.teacher_forcing else None
        error = (self.run(batch, before) - target).square()
        return {"loss": masked_mean(error, batch.mask)}

    @torch.no_grad()
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """The one motion that it predicts, S times: [S, B, T, 53]."""
        motion = self.run(batch) * self.spread
        return motion.expand(n_samples, *motion.shape)

    def run(self, batch: SpeechBatch, before: Tensor | None = None) -> Tensor:
        """Scaled motion [B, T, 53]; ``before`` [B, T, 53] are true frames to look back at."""
        b, t = batch.mask.shape
        style = self.style(one_hot(batch.labels, self.config.labels, "subject"))[:, None]
        memory = self.speech_in(batch.speech).reshape(b, t, 2, -1)
        if before is not None:
            rows = torch.cat((style, self.motion_in(before[:, :-1]) + style), dim=1)
            return self.motion_out(self.decoder(rows, memory)[0])
        frames: list[Tensor] = []
        past: Past | None = None
        row = style
        for index in range(t):
            out, past = self.decoder(row, memory[:, index : index + 1], past)
            frames.append(self.motion_out(out))
            row = self.motion_in(frames[-1]) + style
        return torch.cat(frames, dim=1)
