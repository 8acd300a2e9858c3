# SPDX-License-Identifier: Apache-2.0
"""Losses of both stages: the paper's, and what is not from the paper.

Not from the paper: lip gap, mouth width and lower-lip roll in millimetres on the bundled head (a
linear map of the motion), which an L1 over 53 numbers hardly sees, the gap weighted up where the
lips are nearly shut; and their speed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.face.head_space import JAW_OPEN_RAD
from lsf_backend.model.config import N_EXPRESSION
from training.baselines.base import masked_mean
from training.corpus.geometry import lip_tables


def motion_l1(scaled: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """L1 of expression and of jaw, both [B, T, 53] in the network's scaled space."""
    error = (scaled - target).abs()
    return (
        masked_mean(error[..., :N_EXPRESSION], mask),
        masked_mean(error[..., N_EXPRESSION:], mask),
    )


# Lips that ought to be parted should be by this much, lips that ought to meet within that.
PARTED_MM, SHUT_MM = 2.0, 0.5
LEAST_PARTED_MM, PARTED_COUNTS = 1.2, 3.0
# What a full roll of the lower lip (f, v) counts for; a gap hides behind the upper lip there.
ROLL_MM = 10.0


class LipLoss(nn.Module):
    """Lip gap, mouth width and lower-lip roll of motion, and how far two motions differ in them."""

    per_motion_mm: Tensor

    def __init__(self, shut_weight: float = 3.0, margin_weight: float = 0.0) -> None:
        super().__init__()
        self.shut_weight, self.margin_weight = shut_weight, margin_weight
        tables = lip_tables()
        rows = []
        for per_weight in (tables.gap_per_weight_mm, tables.width_per_weight_mm):
            row = torch.zeros(N_EXPRESSION + 3)
            for index, name in enumerate(EXPRESSION_NAMES[:-1]):
                row[index] = float(per_weight[ARKIT_NAMES.index(name)])
            row[N_EXPRESSION] = float(per_weight[ARKIT_NAMES.index("jawOpen")]) / JAW_OPEN_RAD
            rows.append(row)
        tuck = torch.zeros(N_EXPRESSION + 3)
        tuck[EXPRESSION_NAMES.index("mouthRollLower")] = ROLL_MM
        rows.append(tuck)
        self.register_buffer("per_motion_mm", torch.stack(rows), persistent=False)

    def lips_mm(self, motion: Tensor) -> Tensor:
        """Motion [B, T, 53] -> gap, width, lower-lip roll against rest [B, T, 3], mm."""
        return motion @ self.per_motion_mm.T

    def gap_error_mm(self, motion: Tensor, target: Tensor) -> Tensor:
        """Error of the lip gap of motion [B, T, 53]: [B, T, 1], mm."""
        return (self.lips_mm(motion) - self.lips_mm(target)).abs()[..., :1]

    def forward(self, motion: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        """Mean weighted error in mm, of position and of movement between frames."""
        lips, wanted = self.lips_mm(motion), self.lips_mm(target)
        near_shut = 1.0 + self.shut_weight * torch.exp(-wanted[..., :1].clamp_min(0.0) / 1.0)
        error = (lips - wanted).abs()
        place = masked_mean(error[..., :1] * near_shut, mask)
        place = place + 0.5 * masked_mean(error[..., 1:2], mask) + masked_mean(error[..., 2:], mask)
        moved = (lips.diff(dim=1) - wanted.diff(dim=1)).abs()
        loss = place + 0.5 * masked_mean(moved, mask[:, 1:])
        if self.margin_weight:
            loss = loss + self.margin_weight * self._margin(lips[..., 0], wanted[..., 0], mask)
        return loss

    @staticmethod
    def _margin(gap: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
        """How far gaps [B, T] are on the wrong side of shut.

        Lips that meet where they should not are seen at once, a loose m is not: they cost more.
        """
        open_mm = (wanted.clamp_max(PARTED_MM) - gap).clamp_min(0.0)
        open_mm = PARTED_COUNTS * torch.where(wanted > LEAST_PARTED_MM, open_mm, 0.0)
        shut_mm = torch.where(wanted < SHUT_MM, (gap - SHUT_MM).clamp_min(0.0), 0.0)
        return masked_mean(open_mm + shut_mm, mask)
