# SPDX-License-Identifier: Apache-2.0
"""Training speed of stage 2 on ready features: unequal clips one by one, and in a batch."""

from __future__ import annotations

from typing import Any

import torch

from lsf_backend.model.config import ModelConfig
from lsf_backend.model.layers import mask_from_lengths
from lsf_backend.model.lsf import LSFModel
from training.bench.measure import best_seconds

CLIPS = 8
LENGTHS = (60, 70, 80, 90, 100, 105, 110, 120)


def measure_training(config: ModelConfig, device: str) -> dict[str, Any]:
    """Clips per second of forward, backward and optimiser step, alone and eight at a time."""
    torch.manual_seed(0)
    model = LSFModel(config).to(device).freeze_vqvae().train()
    optimiser = torch.optim.Adam(model.sie.parameters(), lr=1e-5)
    sie, t = config.sie, max(LENGTHS)
    motion = torch.randn(CLIPS, 2 * t, sie.d_motion_features, device=device)
    emotion = torch.randn(CLIPS, 2 * t, sie.d_emotion_features, device=device)
    betas = torch.randn(CLIPS, sie.n_betas, device=device)
    wanted = torch.randn(CLIPS, t, config.vq.n_motion, device=device)
    lengths = torch.tensor(LENGTHS, device=device)

    def step(rows: slice, n_frames: int, masked: bool) -> None:
        mask = mask_from_lengths(lengths[rows], n_frames) if masked else None
        out = model(motion[rows, : 2 * n_frames], emotion[rows, : 2 * n_frames], betas[rows], mask)
        error = (out.motion - wanted[rows, :n_frames]).abs().mean(dim=2)
        loss = error[mask].mean() if mask is not None else error.mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def alone() -> None:
        for index, n_frames in enumerate(LENGTHS):
            step(slice(index, index + 1), n_frames, masked=False)

    single = best_seconds(alone, tries=2)
    batched = best_seconds(lambda: step(slice(None), t, masked=True), tries=2)
    return {
        "preset": config.name,
        "clips_per_s_single": round(CLIPS / single, 2),
        "clips_per_s_batched": round(CLIPS / batched, 2),
        "speed_up": round(single / batched, 2),
    }
