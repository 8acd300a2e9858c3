# SPDX-License-Identifier: Apache-2.0
"""Train any system by one configuration: ``python -m training.train CONFIG`` runs its stages.

Stage 1 is phase "prior", stage 2 phase "speech" (section 3 and 4); systems without a prior have
stage 2 only. A finished stage is left alone, an unfinished one goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import math
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint import load_checkpoint
from lsf_backend.model.hubert import HubertEncoder
from lsf_backend.model.state_files import load_exactly, without_prefix
from training import finish, runs
from training.baselines.base import Baseline, SpeechBatch
from training.baselines.registry import prior_of
from training.data.batches import Batches, BatchPlan, Crop, Order, held_out
from training.data.clips import SourceError
from training.data.sources import Clips, open_clips
from training.module import Stage
from training.runs import RunFacts
from training.settings import PHASES, STAGE_NAMES, RunConfig, StageConfig, refuse
from training.speech import TrainedHubert

log = logging.getLogger(__name__)


def train(config: RunConfig, stages: Sequence[str] = STAGE_NAMES) -> Path:
    """Run or continue the stages that the system has; returns the run folder."""
    for stage in stages:
        if stage == "stage1" and (config.first_stage or not has_prior(config)):
            continue
        train_stage(config, stage)
    return config.out


def has_prior(config: RunConfig) -> bool:
    """Whether the system has a stage 1."""
    return prior_of(config.system) is not None


def train_stage(config: RunConfig, stage: str) -> Path:
    """Run or continue one stage; returns its folder."""
    folder = config.out / stage
    if stage == "stage1" and not has_prior(config):
        raise refuse(f'The system "{config.system}" has no stage 1; run stage 2.')
    clips = open_clips(config.data)
    facts = RunFacts.of(config, stage, clips)
    if _begun(folder, facts):
        log.info("%s is finished", folder)
        return folder
    _threads(config.trainer.threads)
    settings = config.stage(stage)
    L.seed_everything(settings.seed, workers=True, verbose=False)
    system = facts.system()
    speech = _speech(config) if stage == "stage2" else None
    _start_weights(config, stage, facts, system, clips)
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet():
        _fit(facts, folder, clips, system, speech)
    return folder


def _fit(
    facts: RunFacts, folder: Path, clips: Clips, system: Baseline, speech: TrainedHubert | None
) -> None:
    config, stage = facts.config, facts.stage
    settings = config.stage(stage)
    trainer = _trainer(config, settings, folder)
    if trainer.is_global_zero:
        facts.save(folder)
    plan = _plan(clips, stage, settings)
    length = settings.epoch_batches or math.ceil(plan.per_pass / trainer.world_size)
    # Gradients that are unscaled inside the optimiser cannot be clipped before it.
    fused = config.trainer.precision != "16-mixed"
    fresh = config.start_from is None
    module = Stage(system, PHASES[stage], settings, length, speech, fused, fresh)
    loaders = _loaders(clips, facts, plan, length, module, trainer)
    last = folder / runs.LAST
    started = time.monotonic()
    resumed = last if last.exists() else None
    trainer.fit(module, *loaders, ckpt_path=resumed, weights_only=True)
    if trainer.is_global_zero:
        finish.finish(facts, folder, module, trainer, time.monotonic() - started)
    trainer.strategy.barrier()


def _trainer(config: RunConfig, settings: StageConfig, folder: Path) -> L.Trainer:
    how = config.trainer
    logger: Any = False
    if how.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(folder, name="", version="tensorboard")
    return L.Trainer(
        accelerator=how.accelerator,
        devices=how.devices,
        num_nodes=how.num_nodes,
        strategy=how.strategy,
        precision=how.precision,  # type: ignore[arg-type]
        max_epochs=settings.epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.clip_gradient or None,
        callbacks=finish.callbacks(settings, folder),
        logger=logger,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _plan(clips: Clips, stage: str, settings: StageConfig) -> BatchPlan:
    numbers = clips.split.numbers(int(stage[-1]), "train")
    counts = [clips.clips[i].count for i in numbers]
    return BatchPlan(numbers, counts, settings.batch_size, settings.crop_frames, settings.seed)


def _loaders(
    clips: Clips, facts: RunFacts, plan: BatchPlan, length: int, module: Stage, trainer: L.Trainer
) -> tuple[DataLoader[SpeechBatch], DataLoader[SpeechBatch]]:
    stage = facts.stage
    settings = facts.config.stage(stage)
    rank, world = trainer.global_rank, trainer.world_size
    data = Batches(clips, facts.people, speech=stage == "stage2")
    numbers = clips.split.numbers(int(stage[-1]), "validation")
    counts = [clips.clips[i].count for i in numbers]
    rows = held_out(numbers, counts, settings.batch_size, settings.crop_frames)
    if settings.validation_batches and settings.validation_batches < len(rows):
        step = len(rows) / settings.validation_batches
        rows = [rows[int(i * step)] for i in range(settings.validation_batches)]
    order = Order(plan, length, lambda: module.batches_done, rank, world)
    return _loader(data, order, facts), _loader(data, rows[rank::world], facts)


def _loader(
    data: Batches, order: Order | list[list[Crop]], facts: RunFacts
) -> DataLoader[SpeechBatch]:
    workers = facts.config.trainer.workers
    return DataLoader(
        data,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        collate_fn=_as_it_is,
        persistent_workers=False,
    )


def _as_it_is(batch: SpeechBatch) -> SpeechBatch:
    return batch


def _threads(threads: int) -> None:
    if threads:
        torch.set_num_threads(threads)
    # Channels that never move leave numbers too small for fast arithmetic.
    torch.set_flush_denormal(True)


def _begun(folder: Path, facts: RunFacts) -> bool:
    """Whether the stage is finished; raises where the folder holds another run."""
    if not (folder / runs.RUN).is_file():
        return False
    found = RunFacts.load(folder)
    old, new = (_identity(one) for one in (found, facts))
    if different := sorted(key for key in new if old.get(key) != new[key]):
        raise refuse(
            f"{folder} was begun with another configuration ({', '.join(different)}).",
            'Choose another "out", or delete that folder to begin again.',
        )
    return (folder / runs.FINISHED).is_file()


def _identity(facts: RunFacts) -> dict[str, Any]:
    """What must be the same for a run to go on: all but where it runs and where it lies."""
    config = facts.config.to_dict()
    other = "stage2" if facts.stage == "stage1" else "stage1"
    kept = {k: v for k, v in config.items() if k not in ("about", "trainer", "out", other)}
    kept |= {"people": facts.people, "widths": tuple(facts.widths), "split": facts.split}
    return kept | {"model": facts.model}


def _speech(config: RunConfig) -> TrainedHubert | None:
    folder = config.data.hubert
    return None if folder is None else TrainedHubert(HubertEncoder.load(folder))


def _start_weights(
    config: RunConfig, stage: str, facts: RunFacts, system: Baseline, clips: Clips
) -> None:
    """Weights of an earlier model, and in stage 2 those of stage 1."""
    if config.start_folder is not None:
        finish.take_lsf(system, load_checkpoint(config.start_folder, facts.face.space).model)
    if stage == "stage1" or not has_prior(config):
        return
    folder = (config.first_stage or config.out) / "stage1"
    if not (folder / runs.FINISHED).is_file():
        raise refuse(f"Stage 1 is not finished: {folder}.", "Run stage 1 first.")
    _no_leak(RunFacts.load(folder), folder, clips)
    tensors, _ = runs.stage_weights(folder)
    load_exactly(system.get_submodule("prior"), without_prefix(tensors, "prior."), str(folder))


def _no_leak(first: RunFacts, folder: Path, clips: Clips) -> None:
    """Refuse a stage 1 that has seen people whom this run will be tested on."""
    if first.split != clips.split.title:
        raise refuse(
            f'{folder} was trained on the split "{first.split}", not on "{clips.split.title}".'
        )
    tested = {clips.clips[i].subject for i in clips.split.parts[2]["test"]}
    leaked = sorted(tested & set(first.seen))
    if leaked and clips.split.name == "subject":
        raise refuse(f"{folder} was trained on people of the test: {', '.join(leaked[:5])}.")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Lightning says of itself on the way."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for said in (
            "Checkpoint directory",
            "Found .* in eval mode",
            ".*LeafSpec",
            ".*many workers",
        ):
            warnings.filterwarnings("ignore", message=said)
        yield


def main(arguments: Sequence[str] | None = None, stages: Sequence[str] = STAGE_NAMES) -> int:
    """Run the command line; the exit code is 2 where something must be put right first."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("config", type=Path, help="JSON file, see training/README.md")
    parser.add_argument("--out", type=Path, help='run folder, instead of "out"')
    parser.add_argument("--system", help='instead of "system"')
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        config = RunConfig.load(options.config)
        given = {"out": options.out, "system": options.system}
        given = {key: value for key, value in given.items() if value is not None}
        config = dataclasses.replace(config, **given)
        if len(stages) == 1:
            train_stage(config, stages[0])
        else:
            train(config)
    except (LsfError, SourceError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
