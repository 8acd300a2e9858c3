# SPDX-License-Identifier: Apache-2.0
"""What temperature 1 means is fitted on a run's own held-out clips, or on another cache's."""

import logging
from typing import Any

import pytest

from training.calibrate import main
from training.train import train

SHORT: dict[str, Any] = {"epochs": 1, "batch_size": 2, "epoch_batches": 2, "crop_frames": 20}


def told(caplog: pytest.LogCaptureFixture) -> list[float]:
    """The numbers of the last line, which ``training.export compact`` takes."""
    words = caplog.messages[-1].split()
    assert words[0] == "--tau"
    return [float(word) for word in words[1:]]


def test_a_run_is_calibrated_on_its_own_data_or_on_a_cache(
    compact_config, corpus_cache, caplog
) -> None:
    config = compact_config("run", SHORT)
    train(config)
    caplog.set_level(logging.INFO)
    assert main([str(config.out)]) == 0
    own = told(caplog)
    assert own and min(own) > 0
    assert main([str(config.out), str(corpus_cache)]) == 0
    assert told(caplog) == own


def test_what_cannot_be_calibrated_is_said(tiny_config, tmp_path, capsys) -> None:
    assert main([str(tmp_path / "none")]) == 1
    assert "is not the folder of a trained stage" in capsys.readouterr().err
    flame = tiny_config("lsf", "flame", {"epochs": 1, "batch_size": 2})
    train(flame)
    assert main([str(flame.out)]) == 1
    assert "cannot calibrate the compact model" in capsys.readouterr().err
