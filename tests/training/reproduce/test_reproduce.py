# SPDX-License-Identifier: Apache-2.0
"""The whole way at the smallest size: train, score, table and figure; again; cut off and again."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.face.flame_fabricate import flame_2023, flame_arrays
from tests.training.conftest import loudness, write_store
from training import evaluate as scoring
from training.baselines.objective import Extras
from training.baselines.registry import weights_of
from training.data.clips import Face
from training.data.features import cache_features
from training.evaluate import Evaluation
from training.metrics import PUBLISHED
from training.reproduce import config as settings
from training.reproduce import pipeline
from training.reproduce.__main__ import main
from training.reproduce.config import PRIOR_OWNER, ReproduceConfig, training_order
from training.settings import STAGE_NAMES

SHORT = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def head_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("head")
    store = write_store(root / "store", Face("head"))
    cache_features(store, root / "spoken", loudness(6), "spoken")
    cache_features(store, root / "felt", loudness(5), "felt")
    names = {"motion_features": "spoken", "emotion_features": "felt", "store": "store"}
    return {key: str(root / name) for key, name in names.items()}


@pytest.fixture
def written(head_data: dict[str, str], tmp_path: Path) -> Callable[..., Path]:
    def write(**more: Any) -> Path:
        values = {
            "about": "Tiny.",
            "out": str(tmp_path / "out"),
            "run": {
                "size": "tiny", "data": head_data, "stage1": SHORT, "stage2": SHORT,
                "trainer": {"accelerator": "cpu"},
            },
            "evaluate": {"samples": 2},
        }  # fmt: skip
        path = tmp_path / "tables.json"
        path.write_text(json.dumps(values | more))
        return path

    return write


def test_a_table_goes_on_after_a_kill_and_keeps_what_is_done(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(settings.TABLES, "table2", ("no_style", "hifb"))
    out = tmp_path / "out"
    path = written()
    whole = pipeline.evaluate_run

    def cut(*args: Any, **kwargs: Any) -> Evaluation:
        if kwargs["system"] == "hifb":
            raise KeyboardInterrupt
        return whole(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "evaluate_run", cut)
        assert main(["table2", str(path)]) == 2
    assert not (out / "table2.md").exists()
    trained = {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.safetensors")}
    scored = (out / "evaluation" / "no_style" / "scores.json").stat().st_mtime_ns
    # One prior serves both rows: only its owner has a stage 1.
    assert [p.parent.name for p in (out / "runs").rglob("stage1")] == [PRIOR_OWNER]
    assert main(["table2", str(path)]) == 0
    assert {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.safetensors")} == trained
    assert (out / "evaluation" / "no_style" / "scores.json").stat().st_mtime_ns == scored
    text = (out / "table2.md").read_text()
    assert "| w/o style one-hot |" in text and "| HIFB |" in text and "(average pose)" in text
    # A prior that is trained anew is not that of the rows which were trained before.
    owner, row = out / "runs" / PRIOR_OWNER, out / "runs" / "no_style"
    shutil.rmtree(owner)
    longer = {PRIOR_OWNER: {"stage1": {"epochs": 2}}}
    assert main(["table2", str(written(systems=longer))]) == 2
    assert f"{row} was trained on another stage 1" in capsys.readouterr().err
    # Trained as it was, it is again the same, to the bit.
    shutil.rmtree(owner)
    assert main(["table2", str(written())]) == 0
    trained = {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.safetensors")}
    # Other samples are other scores; the weights stay.
    assert main(["table2", str(written(evaluate={"samples": 3}))]) == 0
    assert (out / "evaluation" / "no_style" / "scores.json").stat().st_mtime_ns != scored
    assert {p: p.stat().st_mtime_ns for p in (out / "runs").rglob("*.safetensors")} == trained


def test_figure_4_has_the_truth_beside_systems(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.reproduce.__main__.FIGURE4", ("faceformer",))
    assert main(["figure4", str(written())]) == 0
    assert (tmp_path / "out" / "figure4.png").stat().st_size > 20_000
    still = Evaluation.load(tmp_path / "out" / "evaluation" / "still")
    assert still.movement.mean_mm.max() == 0 < still.true_movement.mean_mm.max()


def test_references_are_what_they_say(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ReproduceConfig.load(written())
    found = pipeline.evaluate_all(config, ())
    still, average = (found[name].scores for name in ("still", "average"))
    assert average.mean("mve") < still.mean("mve")
    for scores in (still, average):
        assert scores.mean("lve") == scores.mean("ce") and scores.mean("diversity") == 0
        assert scores.mean("jitter") == 0 < scores.mean("jitter_truth")


def test_a_run_is_scored_on_flame_with_the_users_files(
    tiny_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from training.train import train

    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path / "cache"))
    config = tiny_config("faceformer", "run", SHORT)
    train(config)
    arrays = flame_arrays(60)
    arrays["weights"][:] = np.eye(5)[0]
    arrays["weights"][:10:2] = np.eye(5)[2]
    for year in (2020, 2023):
        (tmp_path / f"flame{year}.pkl").write_bytes(flame_2023(arrays))
    (tmp_path / "lips.txt").write_text(" ".join(map(str, range(10))))
    (tmp_path / "upper.txt").write_text(" ".join(map(str, range(30, 50))))
    lists = ["--lips", str(tmp_path / "lips.txt"), "--upper-face", str(tmp_path / "upper.txt")]
    command = [str(config.out), "--samples", "2", *lists, "--flame"]
    assert scoring.main([*command, str(tmp_path / "flame2023.pkl")]) == 2
    assert "motion of FLAME 2020, the face to score on is FLAME 2023" in capsys.readouterr().err
    assert scoring.main([*command, str(tmp_path / "flame2020.pkl")]) == 0
    told = capsys.readouterr().out
    assert "mean vertex error" in told and "Conditioning:" in told
    report = json.loads((config.out / "evaluation" / "report.json").read_text())
    assert "not the published lists" in report["facts"]["face"]
    assert {*PUBLISHED, "closure_error"} - {line["metric"] for line in report["lines"]} == {
        "closure_error"
    }
    assert {line["group"] for line in report["lines"]} >= {
        "all",
        "emotion neutral",
        "emotion angry",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nonsense": 1}, "nobody knows: nonsense"),
        ({"systems": {"lsf": {}}}, "systems has lsf; weights are of"),
        ({"systems": {"emote": {"size": "huge"}}}, "huge"),
        ({"evaluate": {"sampels": 3}}, "evaluate has no sampels"),
        ({"evaluate": {"samples": 0}}, "samples is at least 1"),
        ({"evaluate": {"phones": "/no/such"}}, "phones: /no/such is not a folder"),
        ({"run": {"system": "lsf"}}, "run sets system"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(
    written: Callable[..., Path], change: dict[str, Any], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(["table1", str(written(**change))]) == 2
    assert message in capsys.readouterr().err


def test_the_configuration_that_is_shipped_can_be_read() -> None:
    path = Path(settings.__file__).parents[1] / "configs" / "tables_small.json"
    config = ReproduceConfig.load(path)
    assert config.run_of("gate").first_stage == config.run_of("hifb").out
    # Every system learns from whole clips, alike, until its own held-out loss stops falling.
    stages = [
        dataclasses.replace(config.run_of(weights_of(name)).stage(stage), extras=Extras())
        for table in settings.TABLES.values() for name in table for stage in STAGE_NAMES
    ]  # fmt: skip
    assert len({dataclasses.replace(one, epochs=1) for one in stages}) == 1
    assert all(one.patience > 0 and one.crop_frames == 0 for one in stages)
    rows = {config.run_of(name).stage2.extras for name in settings.TABLES["table2"]}
    assert len(rows) == 1


def test_changes_of_one_system_leave_the_others(written: Callable[..., Path]) -> None:
    config = ReproduceConfig.load(written(systems={"emote": {"stage2": {"epochs": 7}}}))
    assert config.run_of("emote").stage2.epochs == 7
    assert config.run_of("emote").stage2.batch_size == config.run_of("lsf").stage2.batch_size == 4
    assert config.run_of("lsf").stage2.epochs == 1
    assert config.run_of("facediffuser_ddim").out == config.run_of("facediffuser_ddpm").out
    order = training_order(settings.TABLES["table1"])
    assert order[0] == PRIOR_OWNER and set(order) == set(map(weights_of, settings.TABLES["table1"]))
    for name in order:
        shared = config.run_of(name).first_stage
        assert (shared is not None) == (name == "baseline")
