# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model.config import BlockConfig, VQConfig  # noqa: E402
from lsf_backend.model.layers import mask_from_lengths  # noqa: E402
from lsf_backend.model.quantiser import Quantiser, draw_codes, squared_distances  # noqa: E402
from lsf_backend.model.vqvae import MotionVQVAE  # noqa: E402

CONFIG = VQConfig(BlockConfig(d=8, n_heads=2, d_ffn=8), n_layers=1, n_codes=16, d_code=4)


def _quantiser(**changes):
    torch.manual_seed(0)
    q = Quantiser(dataclasses.replace(CONFIG, **changes))
    torch.nn.init.normal_(q.codebooks)
    return q


@pytest.mark.parametrize("changes", [{}, {"n_levels": 3}, {"layout": "raster"}])
def test_lookup_of_codes_gives_zq(changes):
    q = _quantiser(**changes)
    out = q(torch.randn(2, 5, 8))
    assert torch.allclose(q.lookup(out.codes), out.zq, atol=1e-6)


def test_frame_layout_keeps_a_code_inside_its_frame():
    """A longer clip changes no earlier frame, and tokens are cut as z.reshape(B, T, d / C, C)."""
    q = _quantiser()
    z = torch.randn(1, 6, 8)
    assert torch.equal(q.to_tokens(z), z.reshape(1, 6, 2, 4))
    assert torch.equal(q(z).codes[:, :4], q(z[:, :4]).codes)


def test_raster_layout_cuts_rows_from_the_channel_major_order():
    """Row r of C numbers = numbers r*C.. of z permuted to [d, T]: the released code's cut."""
    q = _quantiser(layout="raster")
    z = torch.randn(1, 6, 8)
    rows = z[0].t().contiguous().view(-1, 4)
    assert torch.equal(q.to_tokens(z)[0].reshape(-1, 4), rows)
    assert torch.equal(q.from_tokens(q.to_tokens(z)), z)
    assert not torch.equal(q(z).codes[:, :4], q(z[:, :4]).codes)


def test_raster_layout_of_a_padded_batch_equals_single_clips():
    q = _quantiser(layout="raster")
    z = torch.randn(2, 6, 8)
    mask = mask_from_lengths(torch.tensor([3, 6]), 6)
    assert torch.equal(q(z, mask=mask).codes[0, :3], q(z[:1, :3]).codes[0])
    assert torch.equal(q.from_tokens(q.to_tokens(z, mask), mask), z)


def test_nearest_code_and_residual_levels_shrink_the_error():
    q = _quantiser(n_levels=3)
    torch.nn.init.normal_(q.codebooks[1], std=0.3)
    z = q.codebooks[0][torch.randint(16, (1, 50, 2))].reshape(1, 50, 8).detach()
    z = z + 0.1 * torch.randn_like(z)
    first = torch.cdist(z.reshape(-1, 4), q.codebooks[0]).argmin(-1)
    out = q(z)
    assert torch.equal(out.codes[..., 0].reshape(-1), first)


def test_straight_through_gradient_and_loss():
    q = _quantiser()
    z = torch.randn(1, 5, 8, requires_grad=True)
    out = q(z)
    (grad,) = torch.autograd.grad(out.zq.sum(), z, retain_graph=True)
    assert torch.equal(grad, torch.ones_like(z))
    zq = q.lookup(out.codes)
    expected = 1.25 * (zq - z).square().mean()
    assert torch.allclose(out.loss, expected, atol=1e-6)
    gz, gc = torch.autograd.grad(out.loss, [z, q.codebooks])
    assert torch.allclose(gz, 0.25 * 2 * (z - zq) / z.numel(), atol=1e-6)
    assert gc.abs().sum() > 0


def test_loss_ignores_padding():
    q = _quantiser()
    z = torch.randn(2, 6, 8)
    mask = mask_from_lengths(torch.tensor([6, 2]), 6)
    alone = torch.cat((z[0], z[1, :2]))[None]
    assert torch.allclose(q(z, mask=mask).loss, q(alone).loss, atol=1e-6)


def test_draws_follow_softmax_of_minus_squared_distance_over_tau():
    q = _quantiser()
    token = 0.3 * torch.randn(1, 4)
    distance = squared_distances(token, q.codebooks[0].detach())
    assert torch.allclose(distance, torch.cdist(token, q.codebooks[0]).square(), atol=1e-5)
    unit = torch.tensor(0.7)
    n = 200_000
    codes = draw_codes(distance.expand(n, -1), unit, torch.rand(n))
    frequency = codes.bincount(minlength=16) / n
    assert (frequency - (-distance[0] / unit).softmax(-1)).abs().max() < 0.005


def test_zero_temperature_draw_is_the_nearest_code():
    q = _quantiser(n_levels=2)
    z = torch.randn(1, 30, 8)
    u = torch.rand(1, 30, 4)
    assert torch.equal(q(z, 0.0, u).codes, q(z).codes)
    assert not torch.equal(q(z, 5.0, u).codes, q(z).codes)


def test_batched_samples_equal_single_ones():
    from lsf_backend.model.config import compact
    from lsf_backend.model.lsf import LSFModel
    from tests.model.conftest import shrink

    torch.manual_seed(0)
    model = LSFModel(shrink(compact())).eval()
    z = torch.randn(2, 5, 16)
    u = torch.rand(3, 2, 5, model.config.vq.n_draws)
    many = model.sample(z, u, 1.0)
    for i in range(3):
        assert torch.allclose(many[i], model.sample(z, u[i : i + 1], 1.0)[0], atol=1e-5)
    assert not torch.allclose(many[0], many[1])


def test_scaling_is_the_published_one():
    vq = MotionVQVAE(CONFIG)
    x = torch.zeros(1, 1, 53)
    y = vq.scaled(x)
    assert torch.allclose(y[..., :50], torch.tensor(0.5))
    assert torch.allclose(y[..., 50:], torch.tensor(0.1 / 0.6))
    x = torch.randn(1, 4, 53)
    assert torch.allclose(vq.unscaled(vq.scaled(x)), x, atol=1e-5)


def test_numpy_engine_and_network_quantise_alike():
    """Which draw belongs to which token and level is one convention for both engines."""
    from lsf_backend.engine.quantise import quantise
    from lsf_backend.sampling import frame_uniforms

    q = _quantiser(n_levels=3)
    z = torch.randn(1, 40, 8)
    u = torch.from_numpy(frame_uniforms(9, 100, 40, q.config.n_draws))[None]
    for temperature in (0.0, 1.0):
        ours = q(z, temperature, u if temperature else None).zq[0].detach().numpy()
        books, tau = q.codebooks.detach().numpy(), q.tau.numpy()
        other = quantise(z[0].numpy(), books, tau, temperature, 9, 100)
        assert (abs(ours - other).max(axis=1) > 1e-4).mean() < 0.03
