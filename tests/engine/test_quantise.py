# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.engine.quantise import quantise
from lsf_backend.sampling import frame_uniforms

BOOKS = np.random.default_rng(0).standard_normal((3, 16, 8)).astype(np.float32)
TAU = np.array([1.0, 0.5, 0.25], np.float32)


def latents(n: int = 40) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, 16)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_equals_the_networks_quantiser(temperature):
    torch = pytest.importorskip("torch")
    from lsf_backend.model.config import BlockConfig, VQConfig
    from lsf_backend.model.quantiser import Quantiser

    config = VQConfig(BlockConfig(16, 2, 16), 1, n_codes=16, d_code=8, n_levels=3)
    quantiser = Quantiser(config)
    quantiser.codebooks.data = torch.from_numpy(BOOKS)
    quantiser.tau = torch.from_numpy(TAU)
    uniform = torch.from_numpy(frame_uniforms(7, 100, 40, 6))[None]
    with torch.no_grad():
        wanted = quantiser(
            torch.from_numpy(latents())[None], temperature, uniform if temperature else None
        ).zq[0]
    ours = quantise(latents(), BOOKS, TAU, temperature, 7, 100)
    np.testing.assert_allclose(ours, wanted.numpy(), atol=1e-5)


def test_a_draw_belongs_to_its_absolute_frame():
    whole = quantise(latents(), BOOKS, TAU, 1.0, 3, 500)
    part = quantise(latents()[10:20], BOOKS, TAU, 1.0, 3, 510)
    np.testing.assert_array_equal(whole[10:20], part)
    assert not np.array_equal(whole, quantise(latents(), BOOKS, TAU, 1.0, 4, 500))


def test_more_levels_come_nearer():
    errors = [
        np.abs(quantise(latents(), BOOKS[:n], TAU[:n], 0.0, 0, 0) - latents()).mean()
        for n in (1, 2, 3)
    ]
    assert errors[0] > errors[1] > errors[2]
