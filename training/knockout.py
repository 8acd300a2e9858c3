# SPDX-License-Identifier: Apache-2.0
"""What the trained model uses: parts are taken away from it on speakers that it never heard.

``python -m training.knockout RUN CACHE``: lips (mm), closures and upper face against the teacher
with everything, without the emotion stream, the identity, the fusion tokens, prosody, the lower
layer or the codes. Nothing is trained again, so this says what the model leans on and not what a
model without that part could learn.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lsf_backend.model.checkpoint import load_checkpoint
from lsf_backend.model.lsf import LSFModel
from training.data.cache import D_WHISPER, Cache, streams
from training.left_out import Heard, Move, crops, measure

log = logging.getLogger(__name__)

Change = Callable[[Heard], list[np.ndarray]]


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


def mover(model: LSFModel, change: Change, codes: bool = True) -> Move:
    """The model without a part; ``codes`` False decodes the latent as it is."""

    @torch.no_grad()
    def move(crop: Heard) -> np.ndarray:
        out = model(*(torch.from_numpy(part)[None] for part in change(crop)))
        motion = out.motion if codes else model.vqvae.decode(out.latent)
        return np.asarray(motion[0].numpy())

    return move


def knock_out(model: LSFModel, heard: list[Heard]) -> dict[str, dict[str, float]]:
    """Figures with everything and without each part."""
    parts = changes(heard)
    found = {name: measure(heard, mover(model, one)) for name, one in parts.items()}
    everything = parts["everything"]
    found["no codes"] = measure(heard, mover(model, everything, codes=False))
    # Without what the tokens read, they are the same for every clip.
    readers = [layer.fusion.to_out for layer in model.sie.hifb.layers if not layer.last]
    kept = [reader.weight.detach().clone() for reader in readers]
    with torch.no_grad():
        for reader in readers:
            reader.weight.zero_()
        found["no fusion"] = measure(heard, mover(model, everything))
        for reader, weight in zip(readers, kept, strict=True):
            reader.weight.copy_(weight)
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.knockout", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a finished stage2")
    parser.add_argument("cache", type=Path)
    parser.add_argument("--clips", type=int, default=320)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = load_checkpoint(options.run / "stage2" / "model").model
    heard = crops(Cache.open(options.cache), "test", options.clips)
    for name, row in knock_out(model, heard).items():
        log.info("%s: %s", name, json.dumps(row))


if __name__ == "__main__":
    main()
