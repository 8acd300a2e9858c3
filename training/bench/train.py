# SPDX-License-Identifier: Apache-2.0
"""Training speed on ready features: the same clips of unequal length one by one, and in batches.

A step is what a stage does with a batch: losses with the frozen prior's targets, gradients, fused
Adam. Batches hold neighbours in length, as ``training.data.batches`` makes them.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from lsf_backend.model.config import N_BETAS, N_MOTION, ModelConfig
from lsf_backend.model.layers import mask_from_lengths
from training.baselines.base import Labels, SpeechBatch
from training.baselines.codes import SpeechToCodes
from training.baselines.encoders import SpeechToCodesConfig
from training.baselines.registry import Setting, model_config
from training.settings import PHASES
from training.settings import model_config as preset_config

SHORTEST, LONGEST = 40, 140  # frames, as sentences of MEAD


def training_sizes() -> list[ModelConfig]:
    """The bundled model, the size for CPUs and the paper's."""
    sizes = [model_config(Setting(size)) for size in ("small", "paper")]
    return [preset_config("compact", {}), *sizes]


def measure_training(
    config: ModelConfig, device: str, clips: int = 16, batch: int = 8
) -> dict[str, Any]:
    """Clips per second of both stages of LSF-Animation, one by one and in batches."""
    row: dict[str, Any] = {"size": config.name, "clips": clips, "batch": batch}
    for stage in PHASES:
        single, batched = (_clips_per_s(config, stage, device, clips, n) for n in (1, batch))
        row[f"{stage}_single"], row[f"{stage}_batched"] = round(single, 2), round(batched, 2)
        row[f"{stage}_speed_up"] = round(batched / single, 2)
    return row


def _clips_per_s(config: ModelConfig, stage: str, device: str, clips: int, size: int) -> float:
    torch.manual_seed(0)
    system = SpeechToCodes(SpeechToCodesConfig(config)).to(device).train()
    phase = PHASES[stage]
    optimizer = torch.optim.Adam(system.start_phase(phase), lr=1e-5, fused=True)
    counts = np.linspace(SHORTEST, LONGEST, clips).astype(int).tolist()
    rows = [counts[first : first + size] for first in range(0, clips, size)]
    batches = [_batch(system, lengths).to(device) for lengths in rows]

    def step(one: SpeechBatch) -> None:
        optimizer.zero_grad(set_to_none=True)
        system.training_step(one, phase)["loss"].backward()
        optimizer.step()

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    step(batches[0])
    wait()
    clock = time.perf_counter if device == "cuda" else _clock
    start = clock()
    for one in batches:
        step(one)
    wait()
    return clips / (clock() - start)


def _clock() -> float:
    """The processor's time on one thread, which other programs disturb least; else wall time."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _batch(system: SpeechToCodes, lengths: list[int]) -> SpeechBatch:
    sie, b, t = system.config.model.sie, len(lengths), max(lengths)
    none = torch.zeros(b, dtype=torch.long)
    return SpeechBatch(
        torch.randn(b, 2 * t, sie.d_motion_features),
        torch.randn(b, 2 * t, sie.d_emotion_features),
        torch.randn(b, N_BETAS),
        torch.rand(b, t, N_MOTION),
        mask_from_lengths(torch.tensor(lengths), t),
        Labels(none, none, none),
    )
