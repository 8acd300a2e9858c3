# SPDX-License-Identifier: Apache-2.0
"""Stage 1: the VQ-VAE learns to write motion in codes. ``python -m training.stage1 CONFIG``.

Section 3. Loss: 1.5 L_q + 0.5 L1(expression) + 0.1 L1(jaw). Not from the paper: a start without
quantiser, codes placed on real tokens and moved there again when nothing uses them, the lip loss.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from torch import Tensor

from lsf_backend.model.vqvae import MotionVQVAE
from training import loop
from training.data.batches import Batch, draw
from training.data.cache import Cache
from training.losses import LipLoss, motion_l1
from training.settings import StageConfig

START_WITHOUT_CODES = 300
REVIVE_EVERY = 200
LIP_WEIGHT = 0.01
# Motion of the head space is scaled to 0..1 where the paper's is 1/6: the same weights, times this.
MOTION_WEIGHT = 6.0


class CodeKeeper:
    """Counts which codes are used and moves idle ones onto tokens that the network makes."""

    def __init__(self, vqvae: MotionVQVAE, seed: int) -> None:
        self.vqvae = vqvae
        books = vqvae.quantiser.codebooks
        self.used = torch.zeros(books.shape[:2], device=books.device)
        self.generator = torch.Generator().manual_seed(seed)

    def count(self, codes: Tensor) -> None:
        """Codes [B, T, G, R] of a batch."""
        for level in range(codes.shape[-1]):
            seen = codes[..., level].flatten()
            self.used[level] += torch.bincount(seen, minlength=self.used.shape[1])

    @torch.no_grad()
    def revive(self, latent: Tensor, mask: Tensor, all_codes: bool = False) -> int:
        """Put idle codes (or all) on residual tokens of latent [B, T, d]; returns how many."""
        quantiser = self.vqvae.quantiser
        tokens = quantiser.to_tokens(latent)[mask].flatten(0, 1)
        moved = 0
        for level in range(quantiser.codebooks.shape[0]):
            book = quantiser.codebooks[level]
            idle = (self.used[level] < 1).nonzero().flatten()
            if all_codes:
                idle = torch.arange(len(book))
            if len(idle):
                picks = torch.randint(len(tokens), (len(idle),), generator=self.generator)
                jitter = (
                    0.01
                    * tokens.std()
                    * torch.randn(len(idle), tokens.shape[1], generator=self.generator)
                )
                book[idle] = tokens[picks] + jitter
                moved += len(idle)
            nearest = torch.cdist(tokens, book).argmin(1)
            tokens = tokens - book[nearest]
        self.used.zero_()
        return moved


def train(config: StageConfig) -> int:
    """Run or continue stage 1; returns the step reached."""
    torch.manual_seed(config.loop.seed)
    cache = Cache.open(config.cache)
    config.out.mkdir(parents=True, exist_ok=True)
    config.model.save(config.out / "model.json")
    vqvae, lips = MotionVQVAE(config.model.vq), LipLoss()
    keeper = CodeKeeper(vqvae, config.loop.seed)
    train_set, check_set = cache.split("train"), cache.split("validation")
    seen: dict[str, Tensor] = {}

    def batch_of(numbers: list[int], step: int, seed: int) -> Batch:
        return draw(cache, numbers, step, seed, config.loop.batch_size, config.loop.length)

    def losses(step: int) -> dict[str, Tensor]:
        batch = batch_of(train_set, step, config.loop.seed)
        plain = step < START_WITHOUT_CODES
        latent = vqvae.encode(batch.motion, batch.mask)
        seen.update(latent=latent.detach(), mask=batch.mask)
        if step == START_WITHOUT_CODES:
            keeper.revive(latent, batch.mask, all_codes=True)
        if plain:
            zq, code_loss = latent, latent.square().mean() * 1e-3
        else:
            zq, codes, code_loss = vqvae.quantize(latent, mask=batch.mask)
            keeper.count(codes)
        motion = vqvae.decode(zq, batch.mask)
        return _losses(vqvae, lips, motion, code_loss, batch)

    def after_step(step: int) -> None:
        wanted = step > START_WITHOUT_CODES and step < 0.8 * config.loop.steps
        if wanted and step % REVIVE_EVERY == 0:
            keeper.revive(seen["latent"], seen["mask"])

    def validate() -> dict[str, float]:
        gap, width, total = 0.0, 0.0, 8
        for index in range(total):
            batch = batch_of(check_set, index, 99)
            motion = vqvae(batch.motion, batch.mask).motion
            error = (lips.lips_mm(motion) - lips.lips_mm(batch.motion)).abs()[batch.mask]
            gap += float(error[:, 0].mean()) / total
            width += float(error[:, 1].mean()) / total
        return {"val_gap_mm": gap, "val_width_mm": width, "codes": float((keeper.used > 0).sum())}

    return loop.run(vqvae, losses, validate, config.loop, config.out, after_step)


def _losses(
    vqvae: MotionVQVAE, lips: LipLoss, motion: Tensor, code_loss: Tensor, batch: Batch
) -> dict[str, Tensor]:
    scaled, target = vqvae.scaled(motion), vqvae.scaled(batch.motion)
    expression, jaw = motion_l1(scaled, target, batch.mask)
    lip = lips(motion, batch.motion, batch.mask)
    loss = 1.5 * code_loss + MOTION_WEIGHT * (0.5 * expression + 0.1 * jaw) + LIP_WEIGHT * lip
    return {"loss": loss, "code": code_loss, "expression": expression, "jaw": jaw, "lip": lip}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.stage1", description=__doc__)
    parser.add_argument("config", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(StageConfig.load(options.config))


if __name__ == "__main__":
    main()
