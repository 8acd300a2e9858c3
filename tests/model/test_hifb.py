# SPDX-License-Identifier: Apache-2.0
import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model.config import BlockConfig, SIEConfig  # noqa: E402
from lsf_backend.model.hifb import HIFB, PairAttention  # noqa: E402
from lsf_backend.model.layers import mask_from_lengths  # noqa: E402
from training.bench.pairwise import pairwise_attention  # noqa: E402


def _config(heads=2, inner=8, tokens=3, scale=None, layers=3):
    return SIEConfig(
        d_motion_features=8,
        d_emotion_features=8,
        block=BlockConfig(d=12, n_heads=3, d_ffn=16),
        n_layers=layers,
        n_fusion_tokens=tokens,
        fusion_heads=heads,
        fusion_inner=inner,
        fusion_scale_dim=scale,
        d_latent=12,
    )


@pytest.mark.parametrize(
    "heads,inner,scale", [(1, 4, None), (2, 8, None), (4, 24, 32), (8, 64, 32)]
)
@pytest.mark.parametrize("n_m,n_e", [(7, 7), (5, 9), (11, 1)])
@pytest.mark.parametrize("ragged", [False, True])
def test_factorised_fusion_equals_pairwise_in_values_and_gradients(
    heads, inner, scale, n_m, n_e, ragged
):
    torch.manual_seed(heads * 100 + n_m)
    module = PairAttention(_config(heads, inner, 3, scale)).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    inputs = [torch.randn(3, n, 12, dtype=torch.double, requires_grad=True) for n in (3, n_m, n_e)]
    masks = [None, None]
    if ragged:
        lengths = torch.tensor([1, 3, 100])
        masks = [mask_from_lengths(lengths.clamp(max=n), n) for n in (n_m, n_e)]
    leaves = [*inputs, *module.parameters()]
    results = []
    for function in (module, lambda *args: pairwise_attention(module, *args)):
        out = function(*inputs, *masks)
        weight = torch.linspace(-1, 1, out.numel(), dtype=torch.double).reshape(out.shape)
        results.append([out, *torch.autograd.grad((out * weight).sum(), leaves)])
    for fast, slow in zip(*results, strict=True):
        assert float((fast - slow).detach().abs().max()) <= 1e-12 * max(
            1.0, float(slow.detach().abs().max())
        )


def test_fusion_reaches_the_output():
    torch.manual_seed(0)
    net = HIFB(_config()).double()
    motion, emotion = torch.randn(2, 1, 6, 12, dtype=torch.double)
    base = net(motion, emotion)
    assert not torch.allclose(base, net(motion, emotion + torch.randn(12, dtype=torch.double)))


def test_every_parameter_of_the_fusion_gets_a_gradient():
    """The last layer's fusion and emotion block reach no output, so they must not exist."""
    torch.manual_seed(0)
    net = HIFB(_config())
    net(*torch.randn(2, 1, 6, 12)).sum().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None]
    assert not dead
    assert not any(
        "layers.2.fusion" in name or "layers.2.emotion" in name
        for name, _ in net.named_parameters()
    )
