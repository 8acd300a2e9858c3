# SPDX-License-Identifier: Apache-2.0
"""What the trained model uses: parts are taken away from it on speakers that it never heard.

``python -m training.knockout RUN CACHE``: lips (mm), closures and upper face against the teacher
with everything, without the emotion stream, the identity, the fusion tokens, prosody, the lower
layer or the codes. Nothing is trained again, so this says what the model leans on and not what a
model without that part could learn.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.model.checkpoint import load_checkpoint
from lsf_backend.model.lsf import LSFModel
from training.data.cache import D_WHISPER, Cache, streams
from training.losses import LipLoss
from training.voices.measures import CLOSED_MM
from training.voices.upper_face import UPPER

log = logging.getLogger(__name__)
LENGTH = 125
PARTED_MM = 2.0


@dataclasses.dataclass(frozen=True)
class Heard:
    """One crop: both streams' features side by side [2T, D], betas [300], the teacher [T, 53]."""

    features: np.ndarray
    betas: np.ndarray
    motion: np.ndarray

    def inputs(self, features: np.ndarray, betas: np.ndarray) -> list[np.ndarray]:
        """What the network takes: motion and emotion features, betas."""
        return [*streams(features), betas]


Change = Callable[[Heard], list[np.ndarray]]


def crops(cache: Cache, part: str, most: int) -> list[Heard]:
    """Crops of ``LENGTH`` frames from clips of held-out speakers, spread over all of them."""
    numbers = [i for i in cache.split(part) if cache.entries[i].count >= LENGTH]
    found = []
    for number in numbers[:: max(1, len(numbers) // most)][:most]:
        first = cache.entries[number].first
        features = np.asarray(cache.features[2 * first : 2 * (first + LENGTH)], np.float32)
        motion = np.array(cache.motion[first : first + LENGTH])
        found.append(Heard(features, cache.betas[number], motion))
    return found


def changes(heard: list[Heard]) -> dict[str, Change]:
    """What is taken away, by name: it is replaced by its mean over all crops."""
    mean = np.concatenate([h.features for h in heard]).mean(0)

    def columns(kept: slice) -> Change:
        def change(h: Heard) -> list[np.ndarray]:
            features = h.features.copy()
            features[:, kept] = mean[kept]
            return h.inputs(features, h.betas)

        return change

    def no_emotion(h: Heard) -> list[np.ndarray]:
        motion, emotion = streams(h.features)
        return [motion, np.broadcast_to(streams(mean[None])[1], emotion.shape).copy(), h.betas]

    return {
        "everything": lambda h: h.inputs(h.features, h.betas),
        "no emotion stream": no_emotion,
        "no identity": lambda h: h.inputs(h.features, np.zeros_like(h.betas)),
        "no upper layer": columns(slice(0, D_WHISPER)),
        "no lower layer": columns(slice(D_WHISPER, 2 * D_WHISPER)),
        "no prosody": columns(slice(2 * D_WHISPER, None)),
    }


@torch.no_grad()
def measure(model: LSFModel, heard: list[Heard], change: Change, codes: bool) -> dict[str, float]:
    """Errors over all crops; ``codes`` False decodes the latent as it is."""
    lips, rows = LipLoss(), []
    shut, wanted_shut = [], []
    for crop in heard:
        out = model(*(torch.from_numpy(part)[None] for part in change(crop)))
        motion = out.motion if codes else model.vqvae.decode(out.latent)
        gap = lips.lips_mm(motion)[0, :, 0].numpy()
        aim = lips.lips_mm(torch.from_numpy(crop.motion))[:, 0].numpy()
        face = arkit_from_motion(motion[0].numpy()) - arkit_from_motion(crop.motion)
        rows.append((np.abs(gap - aim).mean(), np.abs(face[:, UPPER]).mean(),
                     np.abs(np.diff(gap, n=2)).mean()))  # fmt: skip
        shut.append(gap < CLOSED_MM)
        wanted_shut.append(aim)
    closed, aim = np.concatenate(shut), np.concatenate(wanted_shut)
    gap_mm, upper, shake_mm = np.mean(rows, axis=0)
    return {
        "lip gap off, mm": round(float(gap_mm), 3),
        "closed where it should be": round(float(closed[aim < CLOSED_MM].mean()), 4),
        "closed where lips are parted": round(float(closed[aim > PARTED_MM].mean()), 4),
        "upper face off": round(float(upper), 4),
        "change of lip speed, mm": round(float(shake_mm), 3),
    }


def knock_out(model: LSFModel, heard: list[Heard]) -> dict[str, dict[str, float]]:
    """Figures with everything and without each part."""
    found = {name: measure(model, heard, one, True) for name, one in changes(heard).items()}
    everything = changes(heard)["everything"]
    found["no codes"] = measure(model, heard, everything, False)
    # Without what the tokens read, they are the same for every clip.
    readers = [layer.fusion.to_out for layer in model.sie.hifb.layers if not layer.last]
    kept = [reader.weight.detach().clone() for reader in readers]
    with torch.no_grad():
        for reader in readers:
            reader.weight.zero_()
        found["no fusion"] = measure(model, heard, everything, True)
        for reader, weight in zip(readers, kept, strict=True):
            reader.weight.copy_(weight)
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.knockout", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a finished stage2")
    parser.add_argument("cache", type=Path)
    parser.add_argument("--clips", type=int, default=80)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_checkpoint(options.run / "stage2" / "model").model
    heard = crops(Cache.open(options.cache), "test", options.clips)
    for name, row in knock_out(model, heard).items():
        log.info("%s: %s", name, json.dumps(row))


if __name__ == "__main__":
    main()
