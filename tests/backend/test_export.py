# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.export import Take, write_take
from lsf_backend.export.files import check_output, replace_when_written
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.head_space import motion_from_arkit


def make_take(n_frames: int = 130, face_space: str = "head") -> Take:
    weights = np.random.default_rng(3).random((n_frames, 52)).astype(np.float32)
    weights[:, ARKIT_NAMES.index("jawLeft")] = 0  # left and right at once have no meaning
    return Take(motion_from_arkit(weights), face_space, {"seed": 4, "audio": "речь.wav"})


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_npz_gives_back_what_was_written(tmp_path: Path) -> None:
    take = make_take()
    write_take(tmp_path / "a.npz", take)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert set(loaded) == {
            *("expression", "jaw_pose", "arkit", "arkit_names", "fps", "face_space", "metadata")
        }
        joined = np.concatenate((loaded["expression"], loaded["jaw_pose"]), axis=1)
        np.testing.assert_array_equal(joined, take.motion)
        np.testing.assert_array_equal(loaded["arkit"], take.arkit())
        assert tuple(loaded["arkit_names"]) == ARKIT_NAMES
        assert loaded["fps"] == 25 and loaded["face_space"] == "head"
        assert json.loads(str(loaded["metadata"])) == take.metadata
        assert loaded["expression"].shape == (130, 50) and loaded["jaw_pose"].shape == (130, 3)


def test_npz_of_another_face_has_no_arkit(tmp_path: Path) -> None:
    write_take(tmp_path / "a.npz", make_take(face_space="flame"))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert "arkit" not in loaded and loaded["face_space"] == "flame"
    with pytest.raises(LsfError, match="flame"):
        write_take(tmp_path / "a.csv", make_take(face_space="flame"))
    assert files_in(tmp_path) == ["a.npz"]


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="ascii") as file:
        header, *rows = csv.reader(file)
    return header, rows


def test_csv_has_the_columns_of_live_link_face(tmp_path: Path) -> None:
    write_take(tmp_path / "a.csv", make_take())
    header, rows = read_csv(tmp_path / "a.csv")
    assert header[:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert header[2:54] == [name[0].upper() + name[1:] for name in ARKIT_NAMES]
    assert header[53:] == [
        *("TongueOut", "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch"),
        *("LeftEyeRoll", "RightEyeYaw", "RightEyePitch", "RightEyeRoll"),
    ]
    assert len(header) == 63 and all(len(row) == 63 and row[1] == "61" for row in rows)
    assert all(len(row[0]) == len("00:00:00:00.000") for row in rows)


def seconds(timecode: str, fps: float) -> float:
    hours, minutes, whole, frames = timecode.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(whole) + float(frames) / fps


def test_csv_at_25_rows_a_second_is_every_frame(tmp_path: Path) -> None:
    take = make_take()
    write_take(tmp_path / "a.csv", take, csv_fps=25)
    _, rows = read_csv(tmp_path / "a.csv")
    weights = np.array([[float(value) for value in row[2:54]] for row in rows])
    np.testing.assert_allclose(weights, take.arkit(), atol=1e-6)
    times = [seconds(row[0], 25) for row in rows]
    np.testing.assert_allclose(times, np.arange(130) / 25, atol=1e-9)


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0, 100.0])
def test_csv_at_other_rates_follows_the_motion(tmp_path: Path, fps: float) -> None:
    take = make_take()
    write_take(tmp_path / "a.csv", take, csv_fps=fps)
    _, rows = read_csv(tmp_path / "a.csv")
    times = np.array([seconds(row[0], fps) for row in rows])
    np.testing.assert_allclose(times, np.arange(len(rows)) / fps, atol=1e-9)
    assert len(rows) == int(130 / 25 * fps + 1e-6)
    jaw = np.array([float(row[2 + ARKIT_NAMES.index("jawOpen")]) for row in rows])
    own = take.arkit()[:, ARKIT_NAMES.index("jawOpen")]
    at = times * 25
    on_frame = np.abs(at - np.rint(at)) < 1e-6
    expected = own[np.minimum(np.rint(at).astype(int), 129)]
    np.testing.assert_allclose(jaw[on_frame], expected[on_frame], atol=2e-6)
    around = [own[np.clip(at.astype(int) + k, 0, 129)] for k in (-1, 0, 1, 2)]
    assert (jaw >= np.min(around, axis=0) - 2e-6).all(), "between frames: within its neighbours"
    assert (jaw <= np.max(around, axis=0) + 2e-6).all()


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1000])
def test_csv_rates_that_make_no_sense(tmp_path: Path, fps: float) -> None:
    with pytest.raises(LsfError, match="rows per second"):
        write_take(tmp_path / "a.csv", make_take(), csv_fps=fps)
    assert files_in(tmp_path) == []


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replace_when_written(path) as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old" and files_in(tmp_path) == ["a.npz"]
    with pytest.raises(LsfError, match="No space") as caught, replace_when_written(path) as part:
        raise OSError(28, "No space left on device")
    assert caught.value.code == "output_unwritable"
    assert path.read_bytes() == b"old" and files_in(tmp_path) == ["a.npz"]
    with replace_when_written(path) as part:
        part.write_bytes(b"new")
    assert path.read_bytes() == b"new" and files_in(tmp_path) == ["a.npz"]
    if os.name == "posix":
        umask = os.umask(0o022)
        os.umask(umask)
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    def refused(path: Path, overwrite: bool = False, source: Path | None = None) -> str:
        with pytest.raises(LsfError) as caught:
            check_output(path, overwrite, source)
        assert caught.value.code == "output_unwritable" and caught.value.user_fault
        return caught.value.message

    old = tmp_path / "old.npz"
    old.write_bytes(b"old")
    assert "exists already" in refused(old)
    check_output(old, overwrite=True)
    assert "the sound itself" in refused(old, overwrite=True, source=tmp_path / "." / "old.npz")
    assert "no folder" in refused(tmp_path / "nowhere" / "a.npz")
    (tmp_path / "folder.npz").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.npz")
    check_output(tmp_path / "new.npz", overwrite=False)
    assert files_in(tmp_path) == ["folder.npz", "old.npz"] and old.read_bytes() == b"old"


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere: let the system call refuse instead

        def refuse(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(LsfError, match="cannot be written.*Permission denied") as caught:
        check_output(folder / "a.npz", overwrite=False)
    assert caught.value.code == "output_unwritable" and files_in(folder) == []


def test_turns_of_the_head_go_into_npz_and_csv_and_back(tmp_path: Path) -> None:
    from lsf_backend.exchange import read_live_link, read_take

    turns = np.random.default_rng(1).normal(0, 0.05, (130, 3)).astype(np.float32)
    extra = {f"head_{axis}_rad": turns[:, i] for i, axis in enumerate("xyz")}
    take = dataclasses.replace(make_take(), extra={**extra, "breath": np.abs(turns[:, 0])})
    write_take(tmp_path / "a.npz", take)
    back = read_take(tmp_path / "a.npz")
    assert set(back.extra) == set(take.extra)
    np.testing.assert_array_equal(back.extra["head_y_rad"], turns[:, 1])
    write_take(tmp_path / "a.csv", take, csv_fps=25)
    header, rows = read_csv(tmp_path / "a.csv")
    pitch = [float(row[header.index("HeadPitch")]) for row in rows]
    np.testing.assert_allclose(pitch, turns[:, 0], atol=1e-6)
    np.testing.assert_allclose(
        read_live_link(tmp_path / "a.csv").head_turns()["head_z_rad"], turns[:, 2], atol=1e-6
    )
