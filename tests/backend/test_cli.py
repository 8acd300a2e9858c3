# SPDX-License-Identifier: Apache-2.0
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend import cli, cli_animate
from lsf_backend.protocol import ASSETS
from lsf_backend.versions import own_version
from tests.backend.client import ROOT
from tests.backend.sounds import speechlike, tone, write_wav


def lsf(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def animate(speech: Path, *arguments: object, engine: str = "test") -> int:
    return lsf("animate", speech, "--engine", engine, *arguments)


@pytest.fixture(autouse=True)
def quick_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a second passes in any test; only one test wants to see progress."""
    monkeypatch.setattr("lsf_backend.cli_progress._SHOW_AFTER_S", 1000.0)


def test_what_takes_over_a_second_says_how_far_it_is(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert animate(speech, "--out", tmp_path / "a.npz") == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("lsf_backend.cli_progress._SHOW_AFTER_S", 0.0)
    assert animate(speech, "--out", tmp_path / "b.npz") == 0
    assert "% of 125 frames" in capsys.readouterr().err


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said on stderr, which has to be one line and no traceback."""
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("lsf: "), captured
    assert captured.err.count("\n") == 1 and "Traceback" not in captured.err
    return captured.err


def test_animate_writes_both_files_and_says_so(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    npz, table = tmp_path / "лицо 1.npz", tmp_path / "a.CSV"
    assert animate(speech, "--out", npz, "--out", table, "--seed", 5, "--temperature", 1) == 0
    said = capsys.readouterr()
    assert str(npz) in said.out and str(table) in said.out and "125 frames" in said.out
    with np.load(npz, allow_pickle=False) as loaded:
        assert loaded["arkit"].shape == (125, 52)
        metadata = json.loads(str(loaded["metadata"]))
    assert metadata["seed"] == 5 and metadata["temperature"] == 1
    assert metadata["versions"]["lsf-animation"] == own_version()
    with table.open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 300


def test_the_same_arguments_give_the_same_frames(speech: Path, tmp_path: Path) -> None:
    names = [tmp_path / f"{name}.npz" for name in "abc"]
    for path, seed in zip(names, (1, 1, 2), strict=True):
        assert animate(speech, "--out", path, "--seed", seed, "--temperature", 1) == 0
    a, b, c = (np.load(path, allow_pickle=False)["expression"] for path in names)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_range_and_identity_reach_the_engine(speech: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "betas.npy", np.array([0.25, 1.0]))
    np.savez(tmp_path / "betas.npz", betas=np.array([0.25, 1.0]))
    for number, betas in enumerate(("betas.npy", "betas.npz")):
        out = tmp_path / f"{number}.npz"
        arguments = ("--raw", "--start", 1, "--end", 3.5, "--identity", tmp_path / betas)
        assert animate(speech, "--out", out, *arguments) == 0
        motion = np.load(out, allow_pickle=False)["expression"]
        assert motion.shape == (62, 50) and (motion[:, 11] == 0.25).all()


def test_nothing_that_exists_is_overwritten_unasked(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.npz"
    out.write_bytes(b"mine")
    assert animate(speech, "--out", out) == 2
    assert "exists already" in complaint(capsys) and out.read_bytes() == b"mine"
    assert animate(speech, "--out", out, "--overwrite") == 0
    assert out.read_bytes()[:2] == b"PK"


BAD_ARGUMENTS: dict[str, tuple[list[Any], str]] = {
    "unknown format": (["--out", "a.mov"], "a.mov does not end in a format"),
    "no ending": (["--out", "a"], "does not end in a format"),
    "same file twice": (["--out", "a.npz", "--out", "./a.npz"], "given twice"),
    "no folder": (["--out", "nowhere/a.npz"], "no folder nowhere"),
    "a folder": (["--out", "folder.npz"], "is a folder"),
    "no engine": (["--out", "a.npz", "--engine", "nobody"], "no engine named 'nobody'"),
    "absent engine": (["--out", "a.npz", "--engine", "absent"], "weights are missing"),
    "no device": (["--out", "a.npz", "--device", "tpu"], "no device 'tpu'"),
    "negative seed": (["--out", "a.npz", "--seed", "-1"], "seed is -1"),
    "cold": (["--out", "a.npz", "--temperature", "-3"], "temperature is -3"),
    "not a number": (["--out", "a.npz", "--start", "nan"], "start of the range is nan"),
    "past the end": (["--out", "a.npz", "--start", "60"], "is 5.02 s long"),
    "backwards": (["--out", "a.npz", "--start", "3", "--end", "2"], "not after its start"),
    "no identity": (["--out", "a.npz", "--identity", "none.npy"], "no file none.npy"),
    "not an identity": (["--out", "a.npz", "--identity", "text.npy"], "does not hold identity"),
    "pickled identity": (["--out", "a.npz", "--identity", "object.npy"], "does not hold identity"),
    "long identity": (["--out", "a.npz", "--identity", "long.npy"], "has 400 coefficients"),
    "bad identity": (["--out", "a.npz", "--identity", "nan.npy"], "coefficient of nan"),
    "csv rate": (["--out", "a.csv", "--csv-fps", "0"], "rows per second"),
    "csv of flame": (["--out", "a.csv", "--engine", "flame"], "no ARKit weights of its own"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_one_sentence_and_exit_code_2(
    speech: Path,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "text.npy").write_text("betas")
    np.save("object.npy", np.array([print, {}], dtype=object), allow_pickle=True)
    np.save("long.npy", np.zeros(400))
    np.save("nan.npy", np.full(300, np.nan))
    before = sorted(tmp_path.rglob("*"))
    arguments, words = BAD_ARGUMENTS[name]
    if "--engine" not in arguments:
        arguments = [*arguments, "--engine", "test"]
    assert lsf("animate", speech, *arguments) == 2
    assert words in complaint(capsys)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


def test_bad_sounds_are_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = {
        "missing": tmp_path / "missing.wav",
        "empty": tmp_path / "empty.wav",
        "text": tmp_path / "text.wav",
        "0.10 s": write_wav(tmp_path / "short.wav", tone(0.1)),
        "silent": write_wav(tmp_path / "silent.wav", np.zeros(32000)),
        "folder": tmp_path,
    }
    sounds["empty"].write_bytes(b"")
    sounds["text"].write_text("text " * 1000)
    for words, path in sounds.items():
        assert animate(path, "--out", tmp_path / "a.npz") == 2
        assert words in complaint(capsys)
        assert not (tmp_path / "a.npz").exists()


def test_odd_sounds_work_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    low = write_wav(tmp_path / "low.wav", speechlike(1, 8000), 8000)
    high = write_wav(tmp_path / "high.wav", np.stack([speechlike(1, 96000)] * 2, 1), 96000)
    clipped = write_wav(tmp_path / "clipped.wav", (9 * speechlike(1)).clip(-1, 1))
    for path, words in ((low, "8 kHz"), (high, ""), (clipped, "clipped")):
        assert animate(path, "--out", path.with_suffix(".npz")) == 0
        said = capsys.readouterr().err
        assert (said.startswith("lsf: warning: ") and words in said) if words else said == ""


def test_our_own_faults_are_exit_code_1(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for engine in ("broken", "gap", "nan", "inside-out"):
        assert animate(speech, "--out", tmp_path / "a.npz", engine=engine) == 1
        assert "report" in complaint(capsys)
    assert not (tmp_path / "a.npz").exists()
    assert animate(speech, "--out", tmp_path / "a.npz", "--debug", engine="broken") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_usage_errors_are_exit_code_2() -> None:
    for arguments in ([], ["dance"], ["animate"], ["animate", "a.wav"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_is_130_and_leaves_nothing(speech: Path, tmp_path: Path) -> None:
    code = (
        "import signal, sys; from tests.backend import engines; engines.register_all()\n"
        "from lsf_backend import cli, cli_progress; cli_progress._SHOW_AFTER_S = 0\n"
        # A shell starts what it puts into the background deaf to SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    arguments = ["animate", speech, "--out", out / "a.npz", "--engine", "stuck"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr and "stuck: 0 %" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=40)
    assert process.returncode == 130 and "stopped" in said and "Traceback" not in said
    assert list(out.iterdir()) == []


def test_info_tells_what_is_missing_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert lsf("info", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    engines = {engine["name"]: engine for engine in data["engines"]}
    assert engines["test"]["available"] and not engines["absent"]["available"]
    assert {"version", "python", "packages", "optional", "licences"} <= set(data)
    assert lsf("info") == 0
    text = capsys.readouterr().out
    for words in (own_version(), "weights are missing", "Apache-2.0", "GPL-3.0-or-later", "bpy"):
        assert words in text


FAKE_ADDON = """
import json, sys
json.dump(sys.argv[1:], open({log!r}, "w"))
sys.exit({code})
"""


def fake_addon(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> Path:
    """A ``python -m blender_addon`` that only notes what it was asked for."""
    log = folder / "asked.json"
    (folder / "fake" / "blender_addon").mkdir(parents=True, exist_ok=True)
    text = FAKE_ADDON.format(log=str(log), code=code)
    (folder / "fake" / "blender_addon" / "__init__.py").touch()  # or an installed one comes first
    (folder / "fake" / "blender_addon" / "__main__.py").write_text(text)
    monkeypatch.setattr(cli_animate, "_ROOT", folder / "fake")
    monkeypatch.setattr(cli_animate, "check_blender", lambda what: None)
    return log


@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_needs_blender_is_handed_over_whole(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    log = fake_addon(tmp_path, monkeypatch, code)
    np.save(tmp_path / "b.npy", np.zeros(3))
    outputs = [
        "--out",
        tmp_path / "a.fbx",
        "--out",
        tmp_path / "a.npz",
        "--out",
        tmp_path / "a.mp4",
    ]
    options = ["--seed", 9, "--temperature", 0.5, "--start", 0.5, "--end", 4]
    options += ["--identity", tmp_path / "b.npy", "--overwrite", "--layer", "head=0.5"]
    assert animate(speech, *outputs, *options) == code
    assert (tmp_path / "a.npz").exists()
    asked = json.loads(log.read_text())
    assert asked[:2] == ["animate", str(speech)]
    pairs = list(zip(asked[2:], asked[3:], strict=False))
    expected = [
        *[("--out", str(tmp_path / "a.fbx")), ("--out", str(tmp_path / "a.mp4"))],
        *[("--seed", "9"), ("--temperature", "0.5"), ("--start", "0.5"), ("--end", "4.0")],
        *[("--engine", "test"), ("--device", "auto"), ("--identity", str(tmp_path / "b.npy"))],
        ("--layer", "head=0.5"),
    ]
    assert set(expected) <= set(pairs) and "--overwrite" in asked
    assert str(tmp_path / "a.npz") not in asked


def test_without_blender_its_formats_are_refused_before_any_work(
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    out = ["--out", tmp_path / "a.npz", "--out", tmp_path / "a.blend"]
    assert animate(speech, *out) == 2
    assert "lsf-animation[blender]" in complaint(capsys)
    assert not (tmp_path / "a.npz").exists()


def test_demo_leaves_its_files_and_asks_blender_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lsf_backend.engine import registry
    from tests.backend.engines import LoudnessEngine

    registry.register_engine("compact", LoudnessEngine)
    log = fake_addon(tmp_path, monkeypatch)
    out = tmp_path / "new" / "demo"
    assert lsf("demo", "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["demo.csv", "demo.npz"]
    assert json.loads(log.read_text()) == ["demo", "--out", str(out)]
    capsys.readouterr()
    assert lsf("demo", "--out", out) == 2
    assert "exists already" in complaint(capsys)
    with np.load(out / "demo.npz", allow_pickle=False) as loaded:
        assert json.loads(str(loaded["metadata"]))["audio"] == (ASSETS / "sample.wav").name


def test_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["animate", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for ending in (*cli_animate.OWN_FORMATS, *cli_animate.BLENDER_FORMATS):
        assert ending in text


def test_layers_have_strengths_of_their_own(speech: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "a.npz"
    assert animate(speech, "--out", out, "--layer", "head=2", "--layer", "blinks=0") == 0
    with np.load(out, allow_pickle=False) as stored:
        assert np.abs(stored["head_y_rad"]).max() > 0.01
        assert "breath" not in stored
        told = json.loads(str(stored["metadata"]))["finishing"]
    assert (told["head"], told["blinks"], told["gaze"]) == (2.0, 0.0, 1.0)
    assert animate(speech, "--out", out, "--overwrite", "--layer", "breathing=1") == 0
    with np.load(out, allow_pickle=False) as stored:
        assert stored["breath"].max() > 0.1 and np.abs(stored["head_x_rad"]).max() > 1e-3
        assert not stored["head_y_rad"].any(), "it nods with the breath alone"
    capsys.readouterr()
    for layer, words in (("blinks", "no strength"), ("ears=1", "'ears'"), ("gaze=9", "gaze = 9")):
        assert animate(speech, "--out", out, "--overwrite", "--layer", layer) == 2
        assert words in complaint(capsys)
    assert animate(speech, "--out", out, "--overwrite", "--raw", "--layer", "gaze=1") == 2


def test_a_reader_that_leaves_early_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "lsf_backend", "info"]
    done = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
