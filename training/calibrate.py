# SPDX-License-Identifier: Apache-2.0
"""What temperature 1 of the compact model means: ``python -m training.calibrate RUN [CACHE]``.

tau is fitted per level on clips that were not trained on, the run's own or a cache's, then made
smaller until a draw shakes the lips no more than the teacher does: one draw per frame knows nothing
of its neighbours. The second half is not from the paper.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lsf_backend.errors import LsfError
from lsf_backend.model.calibrate import Clip, calibrate
from lsf_backend.model.checkpoint import load_checkpoint
from lsf_backend.model.lsf import LSFModel
from lsf_backend.sampling import frame_uniforms
from training.data.clips import SourceError
from training.data.sources import CacheClips, Clips, open_clips
from training.losses import LipLoss
from training.runs import RunFacts
from training.settings import DataConfig, refuse

log = logging.getLogger(__name__)
SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08, 0.05, 0.03)
LONGEST = 125


def clips_of(clips: Clips, most: int) -> Iterator[Clip]:
    """Clips of the validation part, at most ``LONGEST`` frames."""
    for number in clips.split.numbers(2, "validation")[:most]:
        count = min(LONGEST, clips.clips[number].count)
        streams = (part[: 2 * count] for part in clips.features(number) if part is not None)
        arrays = (*streams, clips.betas(number), clips.motion(number)[:count])
        yield Clip(*(torch.from_numpy(np.array(array, np.float32)) for array in arrays))


@torch.no_grad()
def shake_mm(model: LSFModel, clips: list[Clip], temperature: float) -> float:
    """RMS change of speed of the lip gap from frame to frame, mm, over all clips."""
    lips, squares = LipLoss(), []
    for clip in clips:
        batch = [part[None] for part in clip[:3]]
        count = clip.motion.shape[0]
        uniform = torch.from_numpy(frame_uniforms(1, 0, count, model.config.vq.n_draws))[None]
        motion = model(*batch, None, temperature, uniform if temperature else None).motion
        squares.append(_shake(lips, motion[0]))
    return float(np.sqrt(np.mean(squares)))


def _shake(lips: LipLoss, motion: torch.Tensor) -> float:
    return float(lips.lips_mm(motion)[:, 0].diff(n=2).square().mean())


def find_tau(model: LSFModel, clips: list[Clip]) -> list[float]:
    """Fitted tau times the largest share that shakes no more than the teacher; sets it, too."""
    lips = LipLoss()
    allowed = float(np.sqrt(np.mean([_shake(lips, clip.motion) for clip in clips])))
    fitted = calibrate(model, clips)
    log.info("fitted tau %s, teacher shakes %.3f mm, nearest codes %.3f mm",
             np.round(fitted, 4), allowed, shake_mm(model, clips, 0.0))  # fmt: skip
    for share in SHARES:
        found = shake_mm(model, clips, share)
        log.info("share %.2f of it shakes %.3f mm", share, found)
        if found <= allowed:
            break
    tau = [share * value for value in fitted]
    model.vqvae.quantiser.tau.copy_(torch.tensor(tau))
    return tau


def held_out_of(run: Path, cache: Path | None) -> Clips:
    """Data of the run, or the cache instead; raises LsfError where tau cannot be fitted on it."""
    facts = RunFacts.load(run / "stage2")
    clips = open_clips(facts.config.data) if cache is None else CacheClips(DataConfig(cache=cache))
    if clips.hears or clips.face.space != "head":
        raise refuse(
            f"The data of {run} cannot calibrate the compact model.",
            "It needs features of both streams, and motion of the bundled head.",
        )
    return clips


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a finished stage2")
    parser.add_argument("cache", type=Path, nargs="?", help="instead of the run's own data")
    parser.add_argument("--clips", type=int, default=40)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(2)
    try:
        data = held_out_of(options.run, options.cache)
        model = load_checkpoint(options.run / "stage2" / "model").model
        clips = list(clips_of(data, options.clips))
    except (LsfError, SourceError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 1
    tau = find_tau(model, clips)
    log.info("--tau %s", " ".join(f"{value:.5f}" for value in tau))
    return 0


if __name__ == "__main__":
    sys.exit(main())
