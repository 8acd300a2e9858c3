# SPDX-License-Identifier: Apache-2.0
"""From a configuration to the evaluations of all systems: trains, scores and keeps what is done.

Every step that is finished stays finished: a run that was cut off goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lsf_backend.model.state_files import without_prefix
from training.data.sources import Clip, Clips, open_clips
from training.evaluate import Evaluation, evaluate, evaluate_run, evaluation_facts, kept_evaluation
from training.reproduce.config import ReproduceConfig, training_order
from training.runs import stage_weights
from training.train import train

log = logging.getLogger(__name__)
# What a table is read against: rows that need no training.
REFERENCES = {
    "still": "a face that never moves",
    "average": "the average pose of the training clips, held still",
}


class Reference(NamedTuple):
    """A clip and one pose for all of it: what ``training.sample`` yields, without a system."""

    clip: Clip
    motion: np.ndarray
    samples: np.ndarray


def evaluate_all(config: ReproduceConfig, names: tuple[str, ...]) -> dict[str, Evaluation]:
    """Train the weights that are missing, then score every system and the references."""
    config.evaluate.check()
    for weights in training_order(names):
        log.info("training %s", weights)
        _check_prior(config, weights, train(config.run_of(weights)))
    found = {}
    for name in names:
        log.info("scoring %s", name)
        run, folder = config.run_folder(name), config.evaluation_folder(name)
        found[name] = evaluate_run(run, config.evaluate, folder, system=name)
    for name in REFERENCES:
        found[name] = _evaluate_reference(config, name)
    return found


def _check_prior(config: ReproduceConfig, name: str, run: Path) -> None:
    """Refuse a row that was trained on a stage 1 which has been trained anew since."""
    first = config.run_of(name).first_stage
    if first is None:
        return
    own, shared = (
        without_prefix(stage_weights(folder)[0], "prior.")
        for folder in (run / "stage2", first / "stage1")
    )
    if not all(torch.equal(own[key], value) for key, value in shared.items()):
        raise ValueError(f"{run} was trained on another stage 1 than {first} has; delete it")


def _evaluate_reference(config: ReproduceConfig, name: str) -> Evaluation:
    clips, folder = open_clips(config.run_of("lsf").data), config.evaluation_folder(name)
    facts = {"system": name, "weights": "none", "conditioning": REFERENCES[name]}
    facts |= evaluation_facts(config.evaluate, clips)
    if kept := kept_evaluation(folder, facts):
        return kept
    drawn = _fixed_poses(clips, name, config.evaluate.part)
    done = evaluate(drawn, config.evaluate, clips, facts)
    done.save(folder)
    return done


def _fixed_poses(clips: Clips, name: str, part: str) -> Iterator[Reference]:
    pose = np.zeros(53, np.float32)
    if name == "average":
        train_clips = clips.split.numbers(2, "train")
        total = sum(clips.motion(i).sum(axis=0, dtype=np.float64) for i in train_clips)
        pose = (total / sum(clips.clips[i].count for i in train_clips)).astype(np.float32)
    for number in clips.split.numbers(2, part):
        motion = clips.motion(number)
        yield Reference(clips.clips[number], motion, np.broadcast_to(pose, (1, *motion.shape)))
