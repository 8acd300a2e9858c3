# SPDX-License-Identifier: Apache-2.0
"""Losses that are not from the paper, and codes that move when nothing uses them."""

import numpy as np
import pytest
import torch

from lsf_backend.model.vqvae import MotionVQVAE
from training.baselines.objective import Extras
from training.baselines.prior import place_codes, prior_losses, speech_losses
from training.losses import LipLoss
from training.settings import model_config

MODEL = model_config("compact", {"vq": {"n_layers": 1, "n_codes": 16}})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vqvae() -> MotionVQVAE:
    torch.manual_seed(0)
    return MotionVQVAE(MODEL.vq).eval()


def test_idle_codes_move_onto_tokens_and_used_ones_stay() -> None:
    network = vqvae()
    motion = torch.rand(2, 30, 53, generator=seeded())
    mask = torch.ones(2, 30, dtype=torch.bool)
    before = network.quantiser.codebooks.detach().clone()
    idle = torch.ones(2, 16, dtype=torch.bool)
    idle[0, :5] = False
    assert place_codes(network, motion, mask, seeded(), idle) == 2 * 16 - 5
    after = network.quantiser.codebooks.detach()
    assert torch.equal(before[0, :5], after[0, :5]) and not torch.equal(before[0, 5:], after[0, 5:])
    tokens = network.encode(motion, mask).detach().reshape(-1, 64)
    assert torch.cdist(after[0, 5:], tokens).min(1).values.max() < 1.0


@pytest.mark.parametrize("stage", [1, 2])
def test_padding_does_not_change_the_losses(stage: int) -> None:
    network, lips = vqvae(), LipLoss()
    extras = Extras(lip_weight=0.05, motion_weight=6.0, direct_weight=1.0)
    motion, latent = torch.rand(1, 20, 53, generator=seeded()), torch.randn(1, 20, 128)
    mask = torch.ones(1, 20, dtype=torch.bool)

    def losses(padding: int) -> dict[str, torch.Tensor]:
        more = torch.nn.functional.pad(motion, (0, 0, 0, padding), value=3.0)
        real = torch.nn.functional.pad(mask, (0, padding))
        if stage == 1:
            return prior_losses(network, more, real, extras, lips).losses
        wide = torch.nn.functional.pad(latent, (0, 0, 0, padding), value=3.0)
        return speech_losses(network, wide, more, real, extras, lips).losses

    alone, padded = losses(0), losses(9)
    for name in alone:
        assert alone[name].item() == pytest.approx(padded[name].item(), rel=1e-4), name


def test_the_plain_losses_are_the_papers() -> None:
    network = vqvae()
    motion, latent = torch.rand(1, 20, 53, generator=seeded()), torch.randn(1, 20, 128)
    mask = torch.ones(1, 20, dtype=torch.bool)
    out = network(motion)
    error = (network.scaled(out.motion) - network.scaled(motion)).abs()
    expected = 1.5 * out.loss + 0.5 * error[..., :50].mean() + 0.1 * error[..., 50:].mean()
    found = prior_losses(network, motion, mask).losses["loss"]
    torch.testing.assert_close(found, expected)
    zq = network.quantize(latent).zq
    error = (network.scaled(network.decode(zq)) - network.scaled(motion)).abs()
    expected = (zq - out.zq).abs().mean() + 0.15 * error[..., :50].mean()
    expected = expected + 0.1 * error[..., 50:].mean()
    losses = speech_losses(network, latent, motion, mask).losses
    assert set(losses) == {"loss", "codes", "expression", "jaw"}
    torch.testing.assert_close(losses["loss"], expected)


def test_without_quantiser_the_codebook_gets_a_gradient_of_zero() -> None:
    network = vqvae()
    motion, mask = torch.rand(1, 9, 53), torch.ones(1, 9, dtype=torch.bool)
    outcome = prior_losses(network, motion, mask, quantised=False)
    outcome.losses["loss"].backward()
    grad = network.quantiser.codebooks.grad
    assert outcome.codes is None and grad is not None and not grad.any()


def test_lip_loss_measures_the_mesh() -> None:
    from lsf_backend.face.face_model import FaceModel
    from lsf_backend.face.head_space import arkit_from_motion
    from lsf_backend.face.measure import lip_gap_mm

    motion = np.zeros((4, 53), np.float32)
    motion[1, 50] = 0.2
    motion[2, :49] = 0.1
    motion[3, [5, 50]] = 0.3
    ours = LipLoss().lips_mm(torch.from_numpy(motion))[:, 0].numpy()
    wanted = lip_gap_mm(FaceModel.load(), arkit_from_motion(motion))
    np.testing.assert_allclose(ours, wanted, atol=0.05)


def test_lips_that_meet_where_they_should_not_cost_more_than_an_open_m():
    lips = LipLoss(0.0, 1.0)
    jaw = torch.zeros(1, 3, 53)
    jaw[..., 50] = 0.1
    shut, parted, mask = torch.zeros(1, 3, 53), jaw, torch.ones(1, 3, dtype=torch.bool)
    assert float(lips.lips_mm(parted)[..., 0].min()) > 2.0
    plain = LipLoss(0.0)
    wrong = lips(shut, parted, mask) - plain(shut, parted, mask)
    loose = lips(parted, shut, mask) - plain(parted, shut, mask)
    assert float(wrong) == pytest.approx(3.0 * 2.0, abs=0.01)
    assert float(loose) == pytest.approx(float(lips.lips_mm(parted)[0, 0, 0]) - 0.5, abs=0.01)
    assert float(lips(parted, parted, mask)) == 0.0
