# SPDX-License-Identifier: Apache-2.0
"""What every stage must hold: resuming, frozen parts, validation, early stopping, refusals."""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from lsf_backend.errors import LsfError
from training import runs
from training.data.batches import Batches, held_out
from training.data.sources import open_clips
from training.module import Stage, learning_rate_share
from training.runs import RunFacts, open_run
from training.settings import RunConfig, StageConfig
from training.train import train, train_stage

CONFIGS = Path(__file__).resolve().parents[2] / "training" / "configs"
SHORT = {"epochs": 3, "batch_size": 2, "learning_rate": 1e-3, "patience": 0}
EXTRAS = {
    "lip_weight": 0.01,
    "motion_weight": 6.0,
    "direct_weight": 1.0,
    "start_without_codes": 2,
    "revive_every": 2,
    "revive_until": 1.0,
    "feature_noise": 0.3,
}
CROPPED = SHORT | {"crop_frames": 20, "epoch_batches": 4, "accumulate": 2, "clip_gradient": 1.0}


class Cut(Exception):
    """Stands for a kill."""


def cut_at(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Die when the batch is reached, in the middle of an epoch."""
    step = Stage.training_step

    def dying(self: Stage, batch: Any, batch_idx: int) -> Any:
        if self.batches_done == batches:
            raise Cut
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Stage, "training_step", dying)


def checkpoint(folder: Path) -> dict[str, Any]:
    return torch.load(folder / runs.LAST, weights_only=True)


def same(one: Any, two: Any, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), where
        for key in one:
            same(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for place, (a, b) in enumerate(zip(one, two, strict=True)):
            same(a, b, f"{where}[{place}]")
    else:
        assert one == two or (one != one and two != two), where


def interrupted(
    whole: RunConfig, cut: RunConfig, stage: str, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Train in one go and with an interruption; both must end with the same numbers."""
    train_stage(whole, stage)
    with monkeypatch.context() as patch:
        cut_at(patch, at)
        with pytest.raises(Cut):
            train_stage(cut, stage)
    assert not (cut.out / stage / runs.FINISHED).exists()
    torch.manual_seed(99)
    train_stage(cut, stage)
    one, two = checkpoint(whole.out / stage), checkpoint(cut.out / stage)
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "batches_done", "system_state"):
        same(one[key], two[key], key)
    assert one["optimizer_states"][0]["state"] and one["global_step"] == two["global_step"]
    logs = [(config.out / stage / runs.LOG).read_text() for config in (whole, cut)]
    assert logs[0] == logs[1]


def test_the_compact_model_goes_on_as_if_never_interrupted(compact_config, monkeypatch) -> None:
    stage = CROPPED | {"extras": EXTRAS, "schedule": "cosine", "warmup_steps": 2}
    whole, cut = compact_config("whole", stage), compact_config("cut", stage)
    for name in ("stage1", "stage2"):
        interrupted(whole, cut, name, monkeypatch, at=9)


@pytest.mark.parametrize("system", ["emote", "facediffuser_ddpm"])
def test_dropout_and_noise_are_the_same_after_a_kill(tiny_config, monkeypatch, system) -> None:
    whole, cut = (tiny_config(system, name, SHORT) for name in ("whole", "cut"))
    stages = ("stage1", "stage2") if system == "emote" else ("stage2",)
    for name in stages:
        interrupted(whole, cut, name, monkeypatch, at=5)


def test_frozen_parts_keep_still_whatever_the_trainer_calls(compact_config, monkeypatch) -> None:
    config = compact_config("run", CROPPED)
    first = train_stage(config, "stage1")
    before, _ = runs.stage_weights(first)
    seen: list[bool] = []
    step = Stage.training_step

    def looked(self: Stage, batch: Any, batch_idx: int) -> Any:
        self.train()
        self.trainer.model.train()
        seen.extend(module.training for module in self.system.prior.modules())
        assert self.system.encoder.training
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Stage, "training_step", looked)
    after, _ = runs.stage_weights(train_stage(config, "stage2"))
    assert seen and not any(seen)
    frozen = [name for name in before if name.startswith("prior.")]
    assert frozen and all(torch.equal(before[name], after[name]) for name in frozen)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved and all(name.startswith("encoder.") for name in moved)


@pytest.mark.parametrize("crop_frames", [0, 9])
def test_validation_is_the_mean_over_all_held_out_frames_in_pieces_as_trained_on(
    tiny_config, crop_frames
) -> None:
    config = tiny_config("lsf", "run", SHORT | {"epochs": 1, "crop_frames": crop_frames})
    train(config)
    with (config.out / "stage2" / runs.LOG).open() as file:
        said = float(next(csv.DictReader(file))["val_loss"])
    trained = open_run(config.out)
    clips = open_clips(config.data)
    numbers = clips.split.numbers(2, "validation")
    data = Batches(clips, trained.facts.people, speech=True)
    total = frames = 0.0
    for number in numbers:
        for crops in held_out([number], [clips.clips[number].count], 1, crop_frames):
            loss = trained.system.training_step(data[crops], "speech", None)["loss"]
            total += float(loss) * crops[0].count
            frames += crops[0].count
    assert len(numbers) == 4 and said == pytest.approx(total / frames, rel=1e-5)


def test_it_stops_when_held_out_clips_have_not_improved_and_keeps_the_best(
    tiny_config, monkeypatch
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6, 2.7, 1.0])

    def told(self: Stage) -> None:
        self._held_out.take(self)
        self._trained.take(self)
        value = next(losses)
        self.row = {"epoch": self.current_epoch, "val_loss": value, "train_loss": value}
        self.log("val_loss", value)

    monkeypatch.setattr(Stage, "on_validation_epoch_end", told)
    config = tiny_config("faceformer", "run", SHORT | {"epochs": 9, "patience": 3})
    folder = train_stage(config, "stage2")
    done = json.loads((folder / runs.FINISHED).read_text())
    assert done["epochs"] == 5 and done["best_epoch"] == 1
    own, _ = runs.stage_weights(folder)
    best = torch.load(folder / runs.BEST, weights_only=True)
    assert best["epoch"] == 1
    same({f"system.{key}": value for key, value in own.items()}, best["state_dict"])
    (folder / runs.FINISHED).unlink()
    train_stage(config, "stage2")  # killed before it said so: trains nothing more
    assert json.loads((folder / runs.FINISHED).read_text())["epochs"] == 5


def test_it_learns(compact_config) -> None:
    stage = CROPPED | {"epochs": 8, "epoch_batches": 10, "learning_rate": 2e-3, "accumulate": 1}
    stage = stage | {"extras": {"lip_weight": 0.01, "motion_weight": 6.0}}
    folder = train_stage(compact_config("run", stage), "stage1")
    with (folder / runs.LOG).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for part in ("val_loss", "val_lip", "val_expression"):  # what is minimised, on held-out people
        values = [float(row[part]) for row in rows]
        assert values[-1] < 0.8 * values[0], (part, values)
    assert (folder / "curve.png").stat().st_size > 5000


def test_a_finished_stage_is_left_alone_and_another_run_is_not_written_over(tiny_config) -> None:
    config = tiny_config("faceformer", "run", SHORT | {"epochs": 1})
    folder = train_stage(config, "stage2")
    stamp = (folder / runs.WEIGHTS).stat().st_mtime_ns
    train_stage(config, "stage2")
    assert (folder / runs.WEIGHTS).stat().st_mtime_ns == stamp
    other = dataclasses.replace(config, stage2=dataclasses.replace(config.stage2, seed=7))
    with pytest.raises(LsfError, match=r"another configuration \(stage2\)"):
        train_stage(other, "stage2")


def test_what_cannot_be_trained_is_said(tiny_config, compact_config, tmp_path) -> None:
    with pytest.raises(LsfError, match='"faceformer" has no stage 1'):
        train_stage(tiny_config("faceformer", "a", SHORT), "stage1")
    with pytest.raises(LsfError, match="Stage 1 is not finished"):
        train_stage(tiny_config("lsf", "b", SHORT), "stage2")
    with pytest.raises(LsfError, match='"extras" are of systems with'):
        train_stage(tiny_config("emote", "c", SHORT | {"extras": EXTRAS}), "stage1")
    with pytest.raises(LsfError, match='"lip_weight" is of the face space head'):
        train_stage(tiny_config("lsf", "d", SHORT | {"extras": EXTRAS}), "stage1")
    with pytest.raises(LsfError, match="makes motion of the face space flame, the data"):
        train_stage(compact_config("e", SHORT, preset="paper", changes={}), "stage1")
    with pytest.raises(LsfError, match="stage1 has no epoch; it knows accumulate"):
        compact_config("f", {"epoch": 3})
    with pytest.raises(LsfError, match="'speach'; it is one of faceformer"):
        compact_config("g", {}, system="speach")
    with pytest.raises(LsfError, match='one of "features", "motion_features"'):
        RunConfig.from_dict(
            {"out": "x", "data": {"store": "s", "features": "a", "motion_features": "b"}}
        )
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(LsfError, match="bad.json is not a configuration"):
        RunConfig.load(tmp_path / "bad.json")


def test_a_stage_1_that_knows_the_test_people_is_refused(tiny_config) -> None:
    config = tiny_config("lsf", "run", SHORT | {"epochs": 1})
    folder = train_stage(config, "stage1")
    facts = RunFacts.load(folder)
    dataclasses.replace(facts, seen=(*facts.seen, "M037")).save(folder)
    with pytest.raises(LsfError, match="people of the test: M037"):
        train_stage(config, "stage2")
    dataclasses.replace(facts, split="paper-code (leaky)").save(folder)
    with pytest.raises(LsfError, match='on the split "paper-code'):
        train_stage(config, "stage2")


def test_learning_rate_rises_and_falls() -> None:
    config = StageConfig(warmup_steps=100, schedule="cosine")
    rates = [learning_rate_share(config, step, 1000) for step in range(1000)]
    assert rates[0] < 0.02 and 0.9 < max(rates) <= 1.0 and rates[-1] < 0.03
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert learning_rate_share(StageConfig(), 500, 1000) == 1.0


def test_defaults_are_the_papers() -> None:
    config = RunConfig.from_dict({"out": "x", "data": {"store": "s"}})
    one, two = config.stage1, config.stage2
    assert (one.optimizer, one.learning_rate, one.betas, one.eps) == (
        "adamw", 1e-4, (0.9, 0.98), 1e-9,
    )  # fmt: skip
    assert (two.optimizer, two.learning_rate, two.patience) == ("adam", 1e-5, 5)
    assert config.system == "lsf" and config.size == "paper" and config.data.split == "subject"


RUNS = sorted(path for path in CONFIGS.glob("*.json") if not path.stem.startswith("tables_"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_shipped_configuration_builds(path: Path) -> None:
    config = RunConfig.load(path)
    assert config.about and RunConfig.from_dict(config.to_dict()) == config
    assert math.isfinite(config.stage1.learning_rate)


def test_a_run_starts_from_a_trained_model_with_its_sizes_and_codes(
    compact_config, corpus_cache
) -> None:
    first = compact_config("first", CROPPED)
    train(first)
    start = str(first.out / "stage2" / runs.MODEL)
    still = CROPPED | {"epochs": 1, "epoch_batches": 1, "learning_rate": 1e-12, "weight_decay": 0.0}
    values = {"start_from": start, "data": {"cache": str(corpus_cache)}, "stage2": still}
    values |= {"out": str(first.out.parent / "second"), "stage1": still}
    second = RunConfig.from_dict(values)
    train(second)
    before, after = (open_run(config.out).system.state_dict() for config in (first, second))
    for name in before:
        torch.testing.assert_close(before[name], after[name])
    with pytest.raises(LsfError, match='"start_from" is of the system "lsf"'):
        RunConfig.from_dict(values | {"preset": "compact"})
