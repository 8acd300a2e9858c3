# SPDX-License-Identifier: Apache-2.0
import dataclasses
import importlib.util

import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model import config  # noqa: E402

# Small tensors on a busy machine: more threads only wait for each other.
torch.set_num_threads(1)

# Looked up, not imported: importing funasr itself walks all of its modules for ten seconds.
needs_funasr = pytest.mark.skipif(
    importlib.util.find_spec("funasr") is None, reason="funasr is not installed"
)


def shrink(model: config.ModelConfig, d: int = 16) -> config.ModelConfig:
    """The same switches at toy sizes, so that every preset's code path runs in milliseconds."""

    def block(b):
        scale = None if b.scale_dim is None else d
        return dataclasses.replace(b, d=d, n_heads=2, d_ffn=24, scale_dim=scale)

    sie = dataclasses.replace(
        model.sie,
        d_motion_features=10,
        d_emotion_features=12,
        block=block(model.sie.block),
        n_layers=3,
        fusion_heads=2,
        fusion_inner=8,
        d_latent=d,
        d_identity=6,
        identity_hidden=(9,),
    )
    vq = dataclasses.replace(
        model.vq, block=block(model.vq.block), n_layers=2, n_codes=32, d_code=d // 2
    )
    return dataclasses.replace(model, sie=sie, vq=vq)


@pytest.fixture(params=sorted(config.PRESETS))
def small(request):
    """Each preset, shrunk."""
    torch.manual_seed(0)
    return shrink(config.PRESETS[request.param]())
