# SPDX-License-Identifier: Apache-2.0
"""``lsf convert`` and the import verb: the same performance in every format, at its own rate."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lsf_backend import cli
from lsf_backend.errors import LsfError
from lsf_backend.exchange import Performance, read_performance, write_arkit_json, write_live_link
from lsf_backend.exchange.loaded import load
from lsf_backend.export import Take, write_take
from lsf_backend.face.arkit import ARKIT_NAMES


def performance(frames: int = 150, fps: float = 25.0, turning: bool = True) -> Performance:
    rng = np.random.default_rng(0)
    t = np.arange(frames)[:, None] / fps
    weights = 0.5 + 0.52 * np.sin(t * rng.uniform(1, 9, 52) + rng.uniform(0, 6, 52))
    turns = np.zeros((frames, 9)) + turning * 0.1 * np.sin(t)
    return Performance(fps, weights.astype(np.float32), turns.astype(np.float32))


@pytest.mark.parametrize("fps", [24.0, 25.0, 30.0, 60.0])
@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_an_import_keeps_rate_values_and_turns(tmp_path: Path, suffix: str, fps: float) -> None:
    wanted, path = performance(120, fps), tmp_path / f"a{suffix}"
    write_live_link(path, wanted, fps) if suffix == ".csv" else write_arkit_json(path, wanted)
    found = load(str(path))
    assert (found.fps, found.face_space) == (fps, "head")
    assert found.channels == (*ARKIT_NAMES, "head_x_rad", "head_y_rad", "head_z_rad")
    np.testing.assert_allclose(found.values[:, :52], wanted.weights, atol=1e-6)
    np.testing.assert_allclose(found.values[:, 52], wanted.rotations[:, 1], atol=1e-6)
    assert found.values.min() < -0.01, "values slightly outside 0..1 stay"


def test_a_still_head_has_no_turns_and_flame_keeps_its_motion(tmp_path: Path) -> None:
    write_live_link(tmp_path / "a.csv", performance(turning=False), 30.0)
    assert load(str(tmp_path / "a.csv")).channels == ARKIT_NAMES
    motion = np.random.default_rng(0).normal(size=(40, 53)).astype(np.float32)
    write_take(tmp_path / "a.npz", Take(motion, "flame", {"flame_version": "2020"}))
    found = load(str(tmp_path / "a.npz"))
    assert found.face_space == "flame" and found.metadata["flame_version"] == "2020"
    np.testing.assert_array_equal(found.values, motion)


def test_formats_turn_into_each_other(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_live_link(tmp_path / "a.csv", performance(150, 60.0), 60.0)
    names = [tmp_path / name for name in ("b.json", "b.npz", "b.csv")]
    outs = [part for name in names for part in ("--out", str(name))]
    assert cli.main(["convert", str(tmp_path / "a.csv"), *outs]) == 0
    assert json.loads(names[0].read_text())["exportFps"] == 60
    source = read_performance(tmp_path / "a.csv")
    np.testing.assert_allclose(read_performance(names[0]).weights, source.weights, atol=1e-6)
    np.testing.assert_allclose(read_performance(names[2]).weights, source.weights, atol=1e-6)
    with np.load(names[1], allow_pickle=False) as stored:
        assert len(stored["arkit"]) == 62 and "head_y_rad" in stored
    again = ["--out", str(tmp_path / "c.csv"), "--out-fps", "24"]
    assert cli.main(["convert", str(names[1]), *again]) == 0
    with (tmp_path / "c.csv").open() as stream:
        assert len(list(csv.reader(stream))) == 1 + int(62 * 24 / 25)
    assert cli.main(["convert", str(tmp_path / "a.csv"), *outs]) == 2, "files are kept"
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.doc", "--out", "b.csv"], "none of"),
        (["none.csv", "--out", "b.json"], "could not be read"),
        (["a.csv", "--out", "b.doc"], "does not end in"),
        (["a.csv", "--out", "a.csv", "--overwrite"], "itself"),
        (["a.csv", "--out", "b.csv", "--out-fps", "0"], "rows per second"),
    ],
)
def test_a_conversion_that_cannot_be_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments, words
) -> None:
    monkeypatch.chdir(tmp_path)
    write_live_link(tmp_path / "a.csv", performance(), 60.0)
    assert cli.main(["convert", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(("path", "fps"), [("", None), (None, None), ("a.csv", 0), ("a.csv", "x")])
def test_an_import_without_sense_is_refused(path: str, fps: float) -> None:
    with pytest.raises(LsfError):
        load(path, fps)
