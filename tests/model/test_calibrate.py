# SPDX-License-Identifier: Apache-2.0
import argparse

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model import config  # noqa: E402
from lsf_backend.model.__main__ import main  # noqa: E402
from lsf_backend.model.calibrate import calibrate, fit_tau, read_clips  # noqa: E402
from lsf_backend.model.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from lsf_backend.model.checkpoint_info import CheckpointInfo  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402
from lsf_backend.model.quantiser import draw_codes  # noqa: E402
from tests.model.conftest import shrink  # noqa: E402


@pytest.mark.parametrize("tau", [0.03, 0.2, 1.0])
def test_the_tau_that_made_the_codes_is_found(tau):
    torch.manual_seed(0)
    distances = torch.rand(20_000, 16) * 3
    codes = draw_codes(distances, torch.tensor(tau), torch.rand(20_000))
    assert fit_tau(distances, codes) == pytest.approx(tau, rel=0.08)


def test_a_perfect_prediction_wants_almost_no_variation():
    distances = torch.rand(500, 8) + 1
    distances[:, 3] = 0
    assert fit_tau(distances, torch.full((500,), 3)) < 0.05


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    cfg = shrink(config.compact())
    model = LSFModel(cfg).eval()
    torch.nn.init.normal_(model.vqvae.quantiser.codebooks)
    info = CheckpointInfo(cfg, None, "none", "test")
    save_checkpoint(tmp_path / "c", model, info)
    (tmp_path / "clips").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        np.savez(
            tmp_path / "clips" / f"{i}.npz",
            motion_features=rng.normal(size=(40, 10)).astype(np.float32),
            emotion_features=rng.normal(size=(40, 12)).astype(np.float32),
            betas=rng.normal(size=300).astype(np.float32),
            motion=rng.normal(size=(20, 53)).astype(np.float32),
        )
    return tmp_path


def test_calibration_sets_every_level_and_is_kept(checkpoint):
    assert main(["calibrate", str(checkpoint / "c"), str(checkpoint / "clips")]) == 0
    loaded = load_checkpoint(checkpoint / "c")
    tau = loaded.model.vqvae.quantiser.tau
    assert (
        loaded.info.tau_calibrated
        and tau.shape == (2,)
        and not torch.allclose(tau, torch.tensor(0.2))
    )
    again = calibrate(loaded.model, read_clips(checkpoint / "clips"))
    assert torch.allclose(torch.tensor(again), tau)


def test_commands_convert_and_extract(checkpoint, tmp_path, capsys):
    model = load_checkpoint(checkpoint / "c").model
    state = {
        ("system.prior." if part == "vqvae" else "system.encoder.sie.") + name: values
        for part in ("vqvae", "sie")
        for name, values in getattr(model, part).state_dict().items()
    }
    torch.save({"state_dict": state, "hyper_parameters": argparse.Namespace()}, tmp_path / "l.ckpt")
    model.config.save(tmp_path / "config.json")
    command = [
        "convert",
        str(tmp_path / "l.ckpt"),
        str(tmp_path / "d"),
        "--data",
        "x",
        "--licence",
        "y",
        "--config",
        str(tmp_path / "config.json"),
    ]
    assert main(command) == 0
    assert load_checkpoint(tmp_path / "d").info.licence == "y"
    assert main(["extract", str(tmp_path / "l.ckpt"), str(tmp_path / "l.safetensors")]) == 0
    assert main(["extract", str(tmp_path / "none"), str(tmp_path / "l.safetensors")]) == 2
    assert "no file" in capsys.readouterr().err
