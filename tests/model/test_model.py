# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model import config  # noqa: E402
from lsf_backend.model.layers import mask_from_lengths, sinusoidal_positions  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402


def _batch(cfg, lengths, seed=0):
    g = torch.Generator().manual_seed(seed)
    t = max(lengths)
    m = torch.randn(len(lengths), 2 * t, cfg.sie.d_motion_features, generator=g)
    e = torch.randn(len(lengths), 2 * t, cfg.sie.d_emotion_features, generator=g)
    betas = torch.randn(len(lengths), 300, generator=g)
    uniform = torch.rand(len(lengths), t, cfg.vq.n_draws, generator=g)
    return m, e, betas, uniform


@pytest.mark.parametrize("name", sorted(config.PRESETS))
def test_presets_build_and_their_configs_survive_json(name, tmp_path):
    cfg = config.PRESETS[name]()
    cfg.save(tmp_path / "c.json")
    assert config.ModelConfig.load(tmp_path / "c.json") == cfg


def test_unknown_config_field_is_named():
    values = config.compact().to_dict()
    values["sie"]["bock"] = 1
    with pytest.raises(ValueError, match="bock"):
        config.ModelConfig.from_dict(values)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_padded_batch_equals_single_runs(small, temperature):
    torch.manual_seed(1)
    model = LSFModel(small).double().eval()
    lengths = [7, 1, 12]
    m, e, betas, uniform = (x.double() for x in _batch(small, lengths))
    mask = mask_from_lengths(torch.tensor(lengths), 12)
    draw = uniform if temperature else None
    batch = model(m, e, betas, mask, temperature, draw)
    for i, n in enumerate(lengths):
        row = slice(i, i + 1)
        u = None if draw is None else draw[row, :n]
        alone = model(m[row, : 2 * n], e[row, : 2 * n], betas[row], None, temperature, u)
        assert torch.equal(batch.codes[i, :n], alone.codes[0])
        assert (batch.motion[i, :n] - alone.motion[0]).abs().max() < 1e-5


def test_padded_batch_trains_like_single_clips(small):
    """Gradients of a summed loss are those of the clips alone: nothing leaks out of padding."""
    torch.manual_seed(1)
    model = LSFModel(small).double().freeze_vqvae().eval()
    lengths = [7, 2, 12]
    m, e, betas, _ = (x.double() for x in _batch(small, lengths))
    mask = mask_from_lengths(torch.tensor(lengths), 12)
    parameters = list(model.sie.parameters())
    batch = model(m, e, betas, mask).latent.square()[mask].sum()
    alone = sum(
        model(m[i : i + 1, : 2 * n], e[i : i + 1, : 2 * n], betas[i : i + 1]).latent.square().sum()
        for i, n in enumerate(lengths)
    )
    for a, b in zip(
        torch.autograd.grad(batch, parameters), torch.autograd.grad(alone, parameters), strict=True
    ):
        assert (a - b).abs().max() < 1e-9 * max(1.0, float(b.abs().max()))


def test_padding_content_is_never_read(small):
    model = LSFModel(small).eval()
    m, e, betas, _ = _batch(small, [9, 4])
    mask = mask_from_lengths(torch.tensor([9, 4]), 9)
    with torch.no_grad():
        one = model(m, e, betas, mask).motion[1, :4]
        m[1, 8:], e[1, 8:] = 1e3, -1e3
        two = model(m, e, betas, mask).motion[1, :4]
    assert (one - two).abs().max() < 1e-5


def test_identity_changes_the_face_and_constant_emotion_survives():
    from tests.model.conftest import shrink

    torch.manual_seed(0)
    cfg = shrink(config.paper())
    model = LSFModel(cfg).eval()
    m, e, betas, _ = _batch(cfg, [20])
    offset = torch.randn(cfg.sie.d_emotion_features)
    with torch.no_grad():
        base = model.sie(m, e, betas)
        assert not torch.allclose(base, model.sie(m, e, betas + 1), atol=1e-4)
        flat = e.mean(1, keepdim=True).expand_as(e)
        change = (model.sie(m, flat + offset, betas) - model.sie(m, flat - offset, betas)).abs()
    assert change.max() > 1e-4


def test_frozen_vqvae_stays_in_eval_mode_without_gradients(small):
    block = dataclasses.replace(small.vq.block, dropout=0.5)
    cfg = dataclasses.replace(small, vq=dataclasses.replace(small.vq, block=block))
    model = LSFModel(cfg)
    model.freeze_vqvae().train()
    assert model.sie.training and not any(m.training for m in model.vqvae.modules())
    assert not any(p.requires_grad for p in model.vqvae.parameters())
    z = torch.randn(1, 8, cfg.vq.block.d)
    assert torch.equal(model.vqvae.decode(z), model.vqvae.decode(z))
    m, e, betas, _ = _batch(cfg, [8])
    model(m, e, betas).motion.sum().backward()
    assert all(p.grad is not None for p in model.sie.parameters())


def test_positions_do_not_depend_on_the_length():
    short, long = (sinusoidal_positions(torch.zeros(1, n, 8)) for n in (5, 3000))
    assert torch.equal(short, long[:, :5])
    assert torch.allclose(
        long[0, 1, :2],
        torch.tensor([1.0, 1.0]).sin() * torch.tensor([1, 0])
        + torch.tensor([0, 1]) * torch.tensor(1.0).cos(),
    )


def test_stage_one_gradient_reaches_encoder_codebook_and_decoder(small):
    model = LSFModel(small)
    out = model.vqvae(torch.randn(2, 9, 53))
    (out.motion.abs().mean() + out.loss).backward()
    assert all(p.grad is not None for p in model.vqvae.parameters())
