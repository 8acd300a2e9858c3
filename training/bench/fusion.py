# SPDX-License-Identifier: Apache-2.0
"""Pairwise against factorised fusion over the number of frames: time, memory, growth."""

from __future__ import annotations

from typing import Any

import torch

from lsf_backend.model.config import ModelConfig
from lsf_backend.model.hifb import PairAttention
from training.bench.measure import best_seconds, growth_exponent, peak_bytes
from training.bench.pairwise import pairwise_attention

PAIRWISE_FRAMES = (125, 250, 500)
# Growth shows where the work outweighs the fixed cost of starting operations.
FACTORISED_FRAMES = (250, 500, 1000, 2000, 4000, 8000)
COMPARED_AT = 500


@torch.inference_mode()
def measure_fusion(config: ModelConfig, device: str) -> dict[str, Any]:
    """One fusion attention of ``config``: rows over T, exponents and the ratio at T = 500."""
    torch.manual_seed(0)
    module = PairAttention(config.sie).to(device).eval()
    rows = []
    for frames in PAIRWISE_FRAMES:
        rows.append(_row("pairwise", module, frames, device))
    for frames in sorted({*FACTORISED_FRAMES, COMPARED_AT}):
        rows.append(_row("factorised", module, frames, device))
    result: dict[str, Any] = {"preset": config.name, "d": config.sie.block.d, "rows": rows}
    for way in ("pairwise", "factorised"):
        own = [row for row in rows if row["way"] == way]
        frames = [row["frames"] for row in own]
        for cost in ("seconds", "bytes"):
            name = f"{way}_{cost}_exponent"
            result[name] = round(growth_exponent(frames, [row[cost] for row in own]), 3)
    at = {row["way"]: row for row in rows if row["frames"] == COMPARED_AT}
    for cost in ("seconds", "bytes"):
        result[f"ratio_{cost}"] = round(at["pairwise"][cost] / at["factorised"][cost], 1)
    difference = _difference(module, device)
    return {**result, "largest_difference_float64": difference}


def _row(way: str, module: PairAttention, frames: int, device: str) -> dict[str, Any]:
    inputs = _inputs(module, frames, device)

    def run() -> torch.Tensor:
        return module(*inputs) if way == "factorised" else pairwise_attention(module, *inputs)

    return {
        "way": way,
        "frames": frames,
        "seconds": best_seconds(run),
        "bytes": peak_bytes(run),
    }


def _inputs(module: PairAttention, frames: int, device: str) -> list[torch.Tensor]:
    d = module.token_norm.normalized_shape[0]
    return [torch.randn(1, n, d, device=device) for n in (4, frames, frames)]


def _difference(module: PairAttention, device: str) -> float:
    """Largest difference between both ways in float64 at 60 frames."""
    double = module.double()
    inputs = [x.double() for x in _inputs(module, 60, device)]
    gap = float((double(*inputs) - pairwise_attention(double, *inputs)).abs().max())
    module.float()
    return gap
