# SPDX-License-Identifier: Apache-2.0
"""Motion of a trained run for every clip of a part: ``python -m training.sample RUN OUT``.

Writes ``<stem>.npy`` [S, T, 53] float32 for each clip and ``samples.json``; the folder appears when
it is whole. What a clip gets depends on the run, the seed and its place in the part.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lsf_backend.errors import LsfError
from training.data.batches import Batches, Crop
from training.data.clips import SourceError
from training.data.sources import Clip, Clips, open_clips
from training.module import hear
from training.runs import TrainedSystem, open_run
from training.settings import refuse

FACTS = "samples.json"


class Sampled(NamedTuple):
    """A clip with its true ``motion`` [T, 53], ``betas`` [300] and ``samples`` [S, T, 53]."""

    clip: Clip
    motion: np.ndarray
    betas: np.ndarray
    samples: np.ndarray


def sample(
    run: Path | TrainedSystem,
    n_samples: int = 10,
    seed: int = 0,
    part: str = "test",
    data: Clips | None = None,
    batch_size: int = 8,
    system: str | None = None,
    device: str = "cpu",
) -> Iterator[Sampled]:
    """Draw ``n_samples`` motions for every clip of a part, in the order of the data."""
    trained = open_run(run, system) if isinstance(run, Path) else run
    clips = data or open_clips(trained.facts.config.data)
    numbers = clips.split.numbers(2, part)
    batches = Batches(clips, trained.facts.people, speech=True)
    model = trained.system.to(device)
    speech = None if trained.speech is None else trained.speech.to(device)
    generator = torch.Generator(device=device).manual_seed(seed)
    for first in range(0, len(numbers), batch_size):
        some = numbers[first : first + batch_size]
        batch = batches[[Crop(i, 0, clips.clips[i].count) for i in some]].to(device)
        with torch.inference_mode():
            drawn = model.sample(hear(speech, batch), n_samples, generator).float().cpu().numpy()
        for row, number in enumerate(some):
            count = clips.clips[number].count
            yield Sampled(
                clips.clips[number],
                np.array(clips.motion(number), np.float32),
                np.array(clips.betas(number), np.float32),
                np.ascontiguousarray(drawn[:, row, :count]),
            )


def write_samples(
    run: Path, out: Path, n_samples: int, seed: int, part: str, system: str | None = None
) -> int:
    """Write the folder ``out``; returns the number of clips."""
    if out.exists():
        raise refuse(f"{out} is there already; choose another folder.")
    trained = open_run(run, system)
    work = out.with_name(out.name + ".unfinished")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    names = []
    for one in sample(trained, n_samples, seed, part):
        np.save(work / f"{one.clip.stem}.npy", one.samples)
        names.append(one.clip.stem)
    facts = {
        "run": run.name,
        "system": trained.facts.config.system,
        "split": trained.facts.split,
        "part": part,
        "samples": n_samples,
        "seed": seed,
        "conditioning": trained.conditioning,
        "clips": names,
    }
    (work / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.rename(work, out)
    return len(names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.sample", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a finished stage2")
    parser.add_argument("out", type=Path, help="folder that does not exist yet")
    parser.add_argument("--part", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--system", help="another system that shares the weights")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        count = write_samples(
            options.run, options.out, options.samples, options.seed, options.part, options.system
        )
    except (LsfError, SourceError) as error:
        print(f"sample: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {count} clips, {options.samples} samples each")
    return 0


if __name__ == "__main__":
    sys.exit(main())
