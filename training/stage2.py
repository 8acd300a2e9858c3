# SPDX-License-Identifier: Apache-2.0
"""Stage 2: speech to the decoder's latent. ``python -m training.stage2 CONFIG``.

Section 3. Loss: L1(zq, zq*) + 0.15 L1(expression) + 0.1 L1(jaw); decoder and codebook are frozen
and stay in eval mode. Not from the paper: the latent is pulled to the target's tokens directly (a
straight-through gradient alone learns slowly), the lip loss, a larger weight on motion, noise.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor

from lsf_backend.model.lsf import LSFModel
from training import loop
from training.data.batches import Batch, draw
from training.data.cache import Cache
from training.losses import LipLoss, masked_mean, motion_l1
from training.settings import StageConfig

LIP_WEIGHT = 0.05
MOTION_WEIGHT = 6.0
DIRECT_WEIGHT = 1.0


def load_stage1(model: LSFModel, folder: Path) -> None:
    """Put stage 1's weights into the model and freeze them."""
    loop.load_model(folder / "last.pt", model.vqvae)
    model.freeze_vqvae()


def train(config: StageConfig) -> int:
    """Run or continue stage 2; returns the step reached."""
    torch.manual_seed(config.loop.seed)
    assert config.first_stage is not None
    cache = Cache.open(config.cache)
    config.out.mkdir(parents=True, exist_ok=True)
    config.model.save(config.out / "model.json")
    model, lips = LSFModel(config.model), LipLoss(config.shut_weight)
    if config.start_from is not None:
        loop.load_model(config.start_from / "last.pt", model)
    load_stage1(model, config.first_stage)
    train_set, check_set = cache.split("train"), cache.split("validation")

    def batch_of(numbers: list[int], step: int, seed: int) -> Batch:
        return draw(cache, numbers, step, seed, config.loop.batch_size, config.loop.length)

    def losses(step: int) -> dict[str, Tensor]:
        batch = batch_of(train_set, step, config.loop.seed)
        return _losses(model, lips, with_noise(batch, config.feature_noise, step))

    def validate() -> dict[str, float]:
        sums: dict[str, float] = {}
        total = 8
        for index in range(total):
            batch = batch_of(check_set, index, 99)
            out = model(batch.motion_features, batch.emotion_features, batch.betas, batch.mask)
            for name, value in _measure(lips, out.motion, batch).items():
                sums[name] = sums.get(name, 0.0) + value / total
        return sums

    return loop.run(model, losses, validate, config.loop, config.out)


def with_noise(batch: Batch, share: float, step: int) -> Batch:
    """Blur the features by ``share`` of their spread and silence some channels; 0: as they are."""
    if share == 0.0:
        return batch
    generator = torch.Generator().manual_seed(step)

    def blurred(features: Tensor) -> Tensor:
        noise = torch.randn(features.shape, generator=generator)
        channels = features.shape[0], 1, features.shape[2]
        kept = torch.rand(channels, generator=generator) >= 0.5 * share
        return (features + share * features.std(dim=(0, 1)) * noise) * kept

    return batch._replace(
        motion_features=blurred(batch.motion_features),
        emotion_features=blurred(batch.emotion_features),
    )


def _losses(model: LSFModel, lips: LipLoss, batch: Batch) -> dict[str, Tensor]:
    with torch.no_grad():
        wanted = model.vqvae.quantize(model.vqvae.encode(batch.motion, batch.mask)).zq
    out = model(batch.motion_features, batch.emotion_features, batch.betas, batch.mask)
    scaled, target = model.vqvae.scaled(out.motion), model.vqvae.scaled(batch.motion)
    expression, jaw = motion_l1(scaled, target, batch.mask)
    code = masked_mean((out.zq - wanted).abs(), batch.mask)
    direct = masked_mean((out.latent - wanted).abs(), batch.mask)
    lip = lips(out.motion, batch.motion, batch.mask)
    loss = code + DIRECT_WEIGHT * direct + LIP_WEIGHT * lip
    loss = loss + MOTION_WEIGHT * (0.15 * expression + 0.1 * jaw)
    parts = {"loss": loss, "code": code, "direct": direct, "lip": lip}
    return parts | {"expression": expression, "jaw": jaw}


def _measure(lips: LipLoss, motion: Tensor, batch: Batch) -> dict[str, float]:
    """Error of the lip gap, in mm, overall and where the teacher's lips are shut."""
    wanted = lips.lips_mm(batch.motion)[..., 0]
    error = (lips.lips_mm(motion)[..., 0] - wanted).abs()
    shut = batch.mask & (wanted < 0.5)
    brows = (motion - batch.motion).abs()[..., :50].mean(-1)
    return {
        "val_gap_mm": float(error[batch.mask].mean()),
        "val_shut_mm": float(error[shut].mean()),
        "val_expression": float(brows[batch.mask].mean()),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.stage2", description=__doc__)
    parser.add_argument("config", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(StageConfig.load(options.config))


if __name__ == "__main__":
    main()
