# SPDX-License-Identifier: Apache-2.0
"""What each part of the bundled model is worth: the same training without it, and compared.

``python -m training.ablate CONFIG``: stage 2 of CONFIG (a run over ``training.data.cache`` with a
finished stage 1) is trained anew for a few epochs with everything, without the emotion stream, the
identity or the codes, and with other fusions; all with the same seed and batches. Measured on the
speakers left out, codes at temperature 0. Finished variants are kept; writes ``ablation.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import torch

from training.baselines.base import Labels, SpeechBatch
from training.baselines.codes import SpeechToCodes
from training.baselines.objective import Part
from training.data.cache import Cache
from training.left_out import Heard, Move, crops, measure
from training.runs import open_run, write_json
from training.settings import RunConfig, StageConfig, refuse
from training.train import train

log = logging.getLogger(__name__)
# Name of a variant: the system that is trained, and what it is trained without.
VARIANTS: dict[str, tuple[str, tuple[Part, ...]]] = {
    "everything": ("hifb", ()),
    "without emotion stream": ("hifb", ("emotion",)),
    "without identity": ("hifb", ("identity",)),
    "gate fusion": ("gate", ()),
    "cross-attention fusion": ("cross_attention", ()),
    "without codes": ("hifb", ("codes",)),
}


def variant(config: RunConfig, name: str, epochs: int) -> RunConfig:
    """The run of a variant, in a folder beside those of CONFIG's stages."""
    system, without = VARIANTS[name]

    def changed(stage: StageConfig) -> StageConfig:
        extras = dataclasses.replace(stage.extras, without=without)
        return dataclasses.replace(stage, extras=extras)

    return dataclasses.replace(
        config,
        system=system,
        out=config.out / "ablation" / name.replace(" ", "_"),
        # A decoder that never saw codes is another decoder.
        first_stage=None if "codes" in without else config.first_stage or config.out,
        stage1=changed(config.stage1),
        stage2=dataclasses.replace(changed(config.stage2), epochs=epochs),
    )


def mover(system: SpeechToCodes) -> Move:
    """The trained system at temperature 0."""
    system.config = dataclasses.replace(system.config, temperature=0.0)

    def move(crop: Heard) -> np.ndarray:
        motion, emotion, betas = (
            torch.from_numpy(part)[None] for part in crop.inputs(crop.features, crop.betas)
        )
        n_frames = len(crop.motion)
        unknown = torch.tensor([-1])
        batch = SpeechBatch(
            motion, emotion, betas, torch.zeros(1, n_frames, 53),
            torch.ones(1, n_frames, dtype=torch.bool), Labels(unknown, unknown, unknown),
        )  # fmt: skip
        return np.asarray(system.sample(batch, 1, torch.Generator().manual_seed(0))[0, 0].numpy())

    return move


def ablate(config: RunConfig, epochs: int, clips: int) -> dict[str, dict[str, float]]:
    """Train what is missing and measure every variant."""
    if config.data.cache is None:
        raise refuse('An ablation reads a "cache" of training.data.cache.')
    heard, found = crops(Cache.open(config.data.cache), "test", clips), {}
    for name in VARIANTS:
        system = open_run(train(variant(config, name, epochs))).system
        assert isinstance(system, SpeechToCodes)
        found[name] = measure(heard, mover(system))
        log.info("%s: %s", name, json.dumps(found[name]))
        write_json(config.out / "ablation.json", found)
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.ablate", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--epochs", type=int, default=4, help="of stage 2, for every variant")
    parser.add_argument("--clips", type=int, default=320, help="that are measured")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ablate(RunConfig.load(options.config), options.epochs, options.clips)


if __name__ == "__main__":
    main()
