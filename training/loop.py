# SPDX-License-Identifier: Apache-2.0
"""The training loop of both stages: steps, a cosine learning rate, resumable checkpoints, a log.

Batches are a function of (seed, step), so a run that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """How long and how fast to train; ``stop_after_s`` ends a run early, to be resumed."""

    steps: int
    batch_size: int = 16
    length: int = 120
    learning_rate: float = 1e-3
    warmup: int = 200
    weight_decay: float = 0.01
    seed: int = 1
    threads: int = 2
    save_every_s: float = 120.0
    validate_every: int = 500
    stop_after_s: float = float("inf")


def learning_rate(config: LoopConfig, step: int) -> float:
    """Linear warm-up, then a cosine to 2 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    share = min(1.0, step / max(1, config.steps))
    fall = 0.02 + 0.98 * 0.5 * (1.0 + float(torch.cos(torch.tensor(torch.pi * share))))
    return config.learning_rate * rise * fall


def run(
    model: nn.Module,
    losses: Callable[[int], dict[str, Tensor]],
    validate: Callable[[], dict[str, float]],
    config: LoopConfig,
    out: Path,
    after_step: Callable[[int], None] = lambda step: None,
) -> int:
    """Train ``model`` in place to ``config.steps``; ``losses(step)["loss"]`` is minimised.

    Returns the step it stopped at. Continues from ``out/last.pt`` where that exists.
    """
    torch.set_num_threads(config.threads)
    # Channels that never move leave numbers too small for fast arithmetic.
    torch.set_flush_denormal(True)
    out.mkdir(parents=True, exist_ok=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-9,
        weight_decay=config.weight_decay,
    )  # fmt: skip
    first = _resume(out / "last.pt", model, optimizer)
    started = saved = time.monotonic()
    step = first
    model.train()
    for step in range(first, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        parts = losses(step)
        optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        after_step(step)
        now, last = time.monotonic(), step + 1 == config.steps
        if step + 1 == first + 20:
            log.info("%.3f s a step", (now - started) / 20)
        if (step + 1) % config.validate_every == 0 or last:
            model.eval()
            with torch.no_grad():
                measured = validate()
            model.train()
            measured |= {name: float(part.detach()) for name, part in parts.items()}
            _note(out, step + 1, now - started, measured)
        over = now - started > config.stop_after_s
        if last or over or now - saved > config.save_every_s:
            save(out / "last.pt", model, optimizer, step + 1)
            saved = now
        if over:
            break
    model.eval()
    return min(step + 1, config.steps)


def save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, step: int) -> None:
    """Write a checkpoint whole or not at all."""
    state: dict[str, Any] = {"model": model.state_dict(), "step": step}
    if optimizer is not None:
        state["optimizer"] = optimizer.state_dict()
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def load_model(path: Path, model: nn.Module) -> None:
    """Read a checkpoint's weights into ``model``."""
    model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["model"])


def _resume(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    log.info("continuing at step %d", state["step"])
    return int(state["step"])


def _note(out: Path, step: int, seconds: float, measured: dict[str, float]) -> None:
    line = {"step": step, "seconds": round(seconds, 1)}
    line |= {name: round(value, 6) for name, value in measured.items()}
    log.info("%s", json.dumps(line))
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
