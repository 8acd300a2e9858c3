# SPDX-License-Identifier: Apache-2.0
"""Bad clips are named by file and skipped or refused; good ones beside them arrive."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.data.__main__ import main
from training.data.clips import BadClip, PrepareConfig, SourceError
from training.data.layouts import list_source
from training.data.prepare import prepare
from training.data.store import Store, open_stores

from .conftest import add_cache_clip, add_release_clip, params, tone, write_wav

BAD = "M003_001_0_0"
Damage = Callable[[Path, Path], object]


def edited(change: Callable[[np.ndarray], object]) -> Damage:
    def damage(param: Path, wav: Path) -> None:
        values = np.load(param, allow_pickle=False)
        change(values)
        np.save(param, values)

    return damage


def cut(path: Path, keep: int = 200) -> None:
    path.write_bytes(path.read_bytes()[:keep])


def columns(width: int) -> Damage:
    return lambda param, wav: np.save(param, np.zeros((1, 20, width), "f4"))


CASES: dict[str, tuple[str, str, Damage]] = {
    "nan": ("motion_not_finite", f"{BAD}.npy", edited(lambda p: p[0, 3].fill(np.nan))),
    "infinite shape": ("betas_not_finite", BAD, edited(lambda p: p[0, :, :300].fill(np.inf))),
    "degrees": ("motion_range", "degrees", edited(lambda p: p[0, :, 400:].__imul__(57.3))),
    "400 columns": ("motion_columns", "instead of [1, T, 403]", columns(400)),
    "413 columns": ("motion_columns", "413", columns(413)),
    "no frames": ("motion_empty", BAD, lambda p, w: np.save(p, np.zeros((1, 0, 403), "f4"))),
    "whole numbers": (
        "motion_unreadable",
        "int",
        lambda p, w: np.save(p, np.zeros((20, 403), int)),
    ),
    "truncated": ("motion_unreadable", f"{BAD}.npy", lambda p, w: cut(p, 5000)),
    "empty file": ("motion_unreadable", BAD, lambda p, w: p.write_bytes(b"")),
    "pickled": (
        "motion_unreadable",
        BAD,
        lambda p, w: np.save(p, np.array([{"a": 1}]), allow_pickle=True),
    ),
    "no sound": ("audio_missing", BAD, lambda p, w: w.unlink()),
    "no motion": ("motion_missing", BAD, lambda p, w: p.unlink()),
    "silent": ("audio_silent", f"{BAD}.wav", lambda p, w: write_wav(w, np.zeros(12_800, "i2"))),
    "no sound file": ("audio_unreadable", BAD, lambda p, w: w.write_text("hello")),
    "empty sound": ("audio_empty", BAD, lambda p, w: w.write_bytes(b"")),
    "short sound": ("audio_too_short", BAD, lambda p, w: write_wav(w, tone(0.1))),
    "another sound": ("length_mismatch", BAD, lambda p, w: write_wav(w, tone(3.3))),
    "30 fps": ("wrong_fps", "as 30 fps would give", lambda p, w: write_wav(w, tone(15 / 30))),
}


@pytest.mark.parametrize("case", CASES)
def test_one_bad_clip_is_named_and_the_others_arrive(cache: Path, case: str) -> None:
    code, told, damage = CASES[case]
    damage(cache / "param" / f"{BAD}.npy", cache / "wav" / f"{BAD}.wav")
    out = cache.parent / "out"
    with pytest.raises(BadClip) as error:
        prepare(cache, out, PrepareConfig(on_bad="refuse"))
    assert error.value.code == code and told in error.value.message
    assert not out.exists()
    report = prepare(cache, out, PrepareConfig())
    assert [(stem, why) for stem, why, _ in report.skipped] == [(BAD, code)]
    assert len(Store.open(out)) == report.kept == 5 and BAD not in [
        c.stem for c in Store.open(out).clips
    ]
    written = json.loads((out / "report.json").read_text())
    assert written["reasons"] == {code: 1} and told in written["skipped"][0][2]
    assert f"| {BAD} | {code} |" in (out / "report.md").read_text()


def released(folder: Path, change: Callable[[object], object]) -> None:
    import h5py

    with h5py.File(folder / "shape_pose_cam.hdf5", "r+") as file:
        change(file)


def replace(file: dict, key: str, values: object) -> None:
    del file[key]
    file[key] = values


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("motion_keys", lambda f: f.__delitem__("jaw")),
        ("motion_columns", lambda f: replace(f, "exp", np.zeros((1, 20, 53), "f4"))),
        ("motion_columns", lambda f: replace(f, "shape", np.zeros((1, 20, 100), "f4"))),
        ("motion_lengths", lambda f: replace(f, "jaw", np.zeros((1, 19, 3), "f4"))),
        ("motion_not_finite", lambda f: replace(f, "exp", np.full((1, 20, 100), np.nan, "f4"))),
        ("wrong_fps", lambda f: f.attrs.__setitem__("fps", 30.0)),
        ("motion_empty", lambda f: replace(f, "exp", np.zeros((1, 0, 100), "f4"))),
        ("motion_keys", lambda f: replace(f, "exp", __import__("h5py").ExternalLink("b.h5", "/x"))),
        ("motion_keys", lambda f: replace(f, "exp", __import__("h5py").SoftLink("/elsewhere"))),
    ],
)
def test_bad_files_of_the_release(tmp_path: Path, code: str, change: Callable) -> None:
    root = tmp_path / "data"
    for sentence in ("001", "002"):
        write_wav(add_release_clip(root, "M003", 0, 1, sentence) / "audio.wav", tone(0.8))
    released(root / "EMICA-MEAD_flame2020/M003/front/neutral/level_1/002", change)
    report = prepare(root, tmp_path / "out", PrepareConfig())
    assert (report.kept, report.reasons) == (1, {code: 1})
    assert "neutral/level_1/002/shape_pose_cam.hdf5" in report.skipped[0][2]


@pytest.mark.parametrize("keep", [0, 8, 100, 2000, 30_000])
def test_truncated_hdf5_is_named_wherever_it_was_cut(tmp_path: Path, keep: int) -> None:
    root = tmp_path / "data"
    for sentence in ("001", "002"):
        write_wav(add_release_clip(root, "M003", 0, 1, sentence) / "audio.wav", tone(0.8))
    path = root / "EMICA-MEAD_flame2020/M003/front/neutral/level_1/001/shape_pose_cam.hdf5"
    assert path.stat().st_size > 31_000
    cut(path, keep)
    report = prepare(root, tmp_path / "out", PrepareConfig())
    assert (report.kept, report.reasons) == (1, {"motion_unreadable": 1})
    assert str(path) in report.skipped[0][2]


@pytest.mark.parametrize("kind", ["npy", "npz", "hdf5"])
def test_random_damage_is_never_a_traceback(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(5)
    motion = rng.uniform(0, 0.2, (20, 53))
    source = tmp_path / "data"
    if kind == "hdf5":
        folder = add_release_clip(source, "M003", 0, 1, "001", 5)
        path, face = folder / "shape_pose_cam.hdf5", None
        write_wav(folder / "audio.wav", tone(0.2))
    else:
        source.mkdir()
        path, face = source / f"a.{kind}", "head"
        save = np.save if kind == "npy" else np.savez_compressed
        save(path, motion) if kind == "npy" else save(path, motion=motion)
        write_wav(source / "a.wav", tone(0.8))
    good, codes = path.read_bytes(), set()
    listing = list_source(source, PrepareConfig(face_space=face))
    for _ in range(150):
        damaged = bytearray(good)
        for place in rng.integers(0, min(len(good), 2500), rng.integers(1, 20)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            listing.read(listing.clips[0])
        except BadClip as error:
            codes.add(error.code)
    assert "motion_unreadable" in codes


def test_emotions_and_levels_that_are_none_are_told(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_wav(add_release_clip(root, "M003", 0, 1, "001") / "audio.wav", tone(0.8))
    tree = root / "EMICA-MEAD_flame2020" / "M003" / "front"
    (tree / "bored" / "level_1" / "001").mkdir(parents=True)
    (tree / "neutral" / "level_4" / "001").mkdir(parents=True)
    (tree / "neutral" / "level_1" / "002").mkdir()
    report = prepare(root, tmp_path / "out", PrepareConfig())
    assert len(report.left_out) == 2 and report.reasons == {"motion_missing": 1}


def test_doubled_motion_and_bad_captures(tmp_path: Path) -> None:
    source = tmp_path / "takes"
    source.mkdir()
    motion = np.concatenate([params(25)[1][0, :, :50], params(25)[2][0]], axis=1)
    for stem in ("good", "both", "rate", "keys", "torn", "csv"):
        write_wav(source / f"{stem}.wav", tone(1.0))
    np.save(source / "good.npy", motion)
    np.save(source / "both.npy", motion)
    np.savez(source / "both.npz", motion=motion)
    np.savez(source / "rate.npz", motion=motion, fps=60.0)
    np.savez(source / "keys.npz", weights=motion)
    np.savez(source / "torn.npz", motion=motion)
    cut(source / "torn.npz")
    (source / "csv.csv").write_text("Timecode,JawOpen\n00:00:00:00.000,wide\n")
    (source / "shots.csv").write_text("slate,take\n1,2\n")
    (source / "._good.npy").write_bytes(b"what macOS leaves")
    report = prepare(source, tmp_path / "out", PrepareConfig(face_space="head"))
    assert report.kept == 1 and [text[:9] for text in report.left_out] == ["shots.csv"]
    assert {stem: code for stem, code, _ in report.skipped} == {
        "both": "motion_doubled",
        "rate": "length_mismatch",
        "keys": "motion_keys",
        "torn": "motion_unreadable",
        "csv": "motion_unreadable",
    }


def test_a_steady_wrong_rate_is_noted_though_each_clip_passes(tmp_path: Path) -> None:
    source = tmp_path / "cache"
    for n in range(1, 4):
        add_cache_clip(source, f"M003_00{n}_0_0", 96)
        write_wav(source / "wav" / f"M003_00{n}_0_0.wav", tone(4.0))
    report = prepare(source, tmp_path / "out", PrepareConfig())
    assert report.kept == 3 and "24.0 frames per second" in report.notes[0]


def test_motion_and_sound_are_cut_to_their_common_length(tmp_path: Path) -> None:
    source = tmp_path / "cache"
    add_cache_clip(source, "M003_001_0_0", 50)
    add_cache_clip(source, "M003_002_0_0", 50)
    write_wav(source / "wav" / "M003_001_0_0.wav", tone(48.5 / 25))
    write_wav(source / "wav" / "M003_002_0_0.wav", tone(52.5 / 25))
    prepare(source, tmp_path / "out", PrepareConfig())
    store = Store.open(tmp_path / "out")
    assert [clip.count for clip in store.clips] == [48, 50]
    assert [clip.n_samples // 640 for clip in store.clips] == [48, 50]


def test_nothing_usable_makes_no_store_but_a_report(cache: Path) -> None:
    for path in (cache / "wav").glob("*.wav"):
        path.unlink()
    out = cache.parent / "out"
    with pytest.raises(SourceError, match="none of the 6 clips"):
        prepare(cache, out, PrepareConfig())
    assert not out.exists()
    assert "audio_missing" in (cache.parent / "out.unfinished" / "report.md").read_text()


def test_stores_of_two_faces_are_not_opened_together(tmp_path: Path) -> None:
    add_cache_clip(tmp_path / "a", "S001_001_0_0")
    flame = [PrepareConfig(face_space="flame", flame_version=v) for v in ("2020", "2023")]
    for number, config in enumerate([*flame, PrepareConfig(face_space="head")]):
        prepare(tmp_path / "a", tmp_path / str(number), config)
    assert len(open_stores([tmp_path / "0", tmp_path / "0"])) == 2
    for others in ("01", "02", "12"):
        with pytest.raises(SourceError, match="do not mix"):
            open_stores([tmp_path / name for name in others])
    with pytest.raises(SourceError, match="FLAME 2020 is needed"):
        Store.open(tmp_path / "1", Store.open(tmp_path / "0").face)


def test_the_commands_say_what_happened(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = cache.parent / "out"
    (cache / "wav" / f"{BAD}.wav").unlink()
    assert main(["prepare", str(cache), str(out), "--on-bad", "refuse"]) == 2
    assert BAD in capsys.readouterr().err
    assert main(["prepare", str(cache), str(out)]) == 0
    assert "5 clips" in (told := capsys.readouterr().out) and "1 audio_missing" in told
    assert main(["show", str(out), "--split", "paper-code", "--verify"]) == 0
    assert "paper-code (leaky)" in (told := capsys.readouterr().out) and "FLAME 2020" in told
    assert main(["show", str(cache)]) == 2
    assert "not a finished store" in capsys.readouterr().err
