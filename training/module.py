# SPDX-License-Identifier: Apache-2.0
"""One stage of one system as a Lightning module: losses, validation over all clips, optimiser.

Every random number of a batch is a function of the seed, the batch's number and the process, so a
run that was cut off goes on as if it had not been: no state of a generator needs keeping.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from training.baselines.base import Baseline, SpeechBatch, Step
from training.settings import StageConfig
from training.speech import TrainedHubert

_VALIDATION = 1_000_003


def seed_of(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def learning_rate_share(config: StageConfig, step: int, steps: int) -> float:
    """Linear warm-up, then constant or a cosine to 2 % of the peak."""
    rise = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "constant":
        return rise
    share = min(1.0, step / max(1, steps))
    return rise * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * share)))


class Means:
    """Means of losses over real frames, exact also over batches of unequal size and processes."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.frames = 0.0

    def add(self, losses: dict[str, Tensor], frames: float) -> None:
        """Count the losses of a batch."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach().double() * frames
        self.frames += frames

    def take(self, module: L.LightningModule) -> dict[str, float]:
        """Means over all processes; counting starts anew."""
        names = sorted(self.sums)
        row = torch.stack([*(self.sums[n].cpu() for n in names), torch.tensor(self.frames)])
        trainer = module.trainer
        if trainer.world_size > 1:
            row = trainer.strategy.reduce(row.to(module.device), reduce_op="sum").cpu()
        self.sums, self.frames = {}, 0.0
        return {name: float(row[i] / row[-1]) for i, name in enumerate(names)}


class Stage(L.LightningModule):
    """Phase ``phase`` of a system. ``speech`` makes the motion features where it is trained."""

    # A process of several may have no held-out batch of its own.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        system: Baseline,
        phase: str,
        config: StageConfig,
        epoch_batches: int,
        speech: TrainedHubert | None = None,
        fused: bool = True,
        fresh: bool = True,
    ) -> None:
        super().__init__()
        self.system, self.speech = system, speech
        self.phase, self.config, self.fused, self.fresh = phase, config, fused, fresh
        self.epoch_batches = epoch_batches
        self.batches_done = 0
        self.row: dict[str, float] = {}
        self._trained, self._held_out = Means(), Means()
        system.start_phase(phase)

    @property
    def n_batches(self) -> int:
        """Batches of the whole run, for each process."""
        return self.config.epochs * self.epoch_batches

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        seed = seed_of(self.config.seed, self.batches_done, self.global_rank)
        torch.manual_seed(seed)
        batch = hear(self.speech, batch)
        step = Step(self.batches_done, self.n_batches, self.fresh)
        placing = torch.Generator().manual_seed(seed)
        if self.system.before_step(batch, self.phase, step, placing):
            self._same_everywhere()
        generator = torch.Generator(device=self.device).manual_seed(seed)
        losses = self.system.training_step(batch, self.phase, generator)
        self.batches_done += 1
        self._trained.add(losses, float(batch.mask.sum()))
        return losses["loss"]

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Losses of a held-out batch; what is drawn at random is the same in every epoch."""
        seed = seed_of(self.config.seed, _VALIDATION, batch_idx, self.global_rank)
        generator = torch.Generator(device=self.device).manual_seed(seed)
        losses = self.system.validate(hear(self.speech, batch), self.phase, generator)
        self._held_out.add(losses, float(batch.mask.sum()))

    def on_validation_epoch_end(self) -> None:
        """Means over the epoch, of what was trained on and of what was held out."""
        found = {f"val_{name}": value for name, value in self._held_out.take(self).items()}
        found |= {f"train_{name}": value for name, value in self._trained.take(self).items()}
        if not math.isfinite(found["train_loss"] + found["val_loss"]):
            raise FloatingPointError("the loss is no longer a number")
        self.row = {"epoch": self.current_epoch, "step": self.global_step, **found}
        self.log_dict(found, rank_zero_only=False, sync_dist=False)

    def configure_optimizers(self) -> dict[str, Any]:
        """The stage's optimiser over what the phase trains, and its learning rate by step."""
        config = self.config
        trained = [p for p in self.parameters() if p.requires_grad]
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(
            trained, lr=config.learning_rate, betas=config.betas, eps=config.eps,
            weight_decay=config.weight_decay, fused=self.fused,
        )  # fmt: skip
        steps = math.ceil(self.n_batches / config.accumulate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(config, step, steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep where training is beside the weights."""
        checkpoint["batches_done"] = self.batches_done
        checkpoint["system_state"] = self.system.training_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on where training was."""
        self.batches_done = int(checkpoint["batches_done"])
        self.system.load_training_state(checkpoint["system_state"])

    def _same_everywhere(self) -> None:
        """Give all processes the weights that the first one has set."""
        if self.trainer.world_size > 1:
            for parameter in self.system.parameters():
                torch.distributed.broadcast(parameter.data, src=0)


def hear(speech: TrainedHubert | None, batch: SpeechBatch) -> SpeechBatch:
    """The batch with its sound turned into motion features, where there is sound."""
    if speech is None or batch.audio is None:
        return batch
    features = speech(batch.audio, batch.lengths)
    return dataclasses.replace(batch, motion_features=features, audio=None)
