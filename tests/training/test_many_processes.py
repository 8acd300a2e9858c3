# SPDX-License-Identifier: Apache-2.0
"""Training as people start it: killed and started again, in two processes, in half precision."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from training import runs
from training.settings import RunConfig
from training.train import train_stage

ROOT = Path(__file__).resolve().parents[2]
STAGE = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3, "patience": 0}


def start(config: RunConfig, folder: Path, module: str = "training.stage1") -> subprocess.Popen:
    path = folder / f"{config.out.name}.json"
    path.write_text(json.dumps(config.to_dict()))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", module, str(path)], env=environment, cwd=ROOT)


def weights(config: RunConfig, name: str = runs.LAST) -> dict[str, torch.Tensor]:
    path = config.out / "stage1" / name
    return torch.load(path, weights_only=True)["state_dict"]


def losses(config: RunConfig) -> list[float]:
    with (config.out / "stage1" / runs.LOG).open() as file:
        return [float(row["val_loss"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_killed_run_ends_as_an_undisturbed_one(compact_config, tmp_path: Path) -> None:
    stage = STAGE | {"epochs": 6, "crop_frames": 20, "epoch_batches": 15}
    whole, cut = compact_config("whole", stage), compact_config("cut", stage)
    train_stage(whole, "stage1")
    process = start(cut, tmp_path)
    last = cut.out / "stage1" / runs.LAST
    until = time.monotonic() + 300
    while not last.exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert last.exists() and not (cut.out / "stage1" / runs.FINISHED).exists()
    assert start(cut, tmp_path).wait() == 0
    one, two = weights(whole), weights(cut)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(whole) == losses(cut)


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_batches(tiny_config, tmp_path) -> None:
    two = tiny_config(
        "hifb", "two", STAGE, trainer={"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    )
    assert start(two, tmp_path, "training.train").wait() == 0
    assert (two.out / "stage2" / runs.FINISHED).exists()
    one = tiny_config("hifb", "one", STAGE | {"accumulate": 2, "epoch_batches": 4})
    train_stage(one, "stage1")
    assert losses(one) == pytest.approx(losses(two), rel=1e-3)
    alone, together = weights(one), weights(two)
    for name in alone:
        torch.testing.assert_close(alone[name], together[name], rtol=1e-2, atol=2e-4)


def test_half_precision_trains_and_keeps_whole_weights(tiny_config) -> None:
    how = {"accelerator": "cpu", "precision": "bf16-mixed"}
    config = tiny_config("hifb", "half", STAGE | {"epochs": 4}, trainer=how)
    folder = train_stage(config, "stage1")
    assert all(value.dtype == torch.float32 for value in runs.stage_weights(folder)[0].values())
    found = losses(config)
    assert found[-1] < found[0]
