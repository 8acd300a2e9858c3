# SPDX-License-Identifier: Apache-2.0
"""Live Link Face CSV and ARKit JSON, in and out: rates, timecodes, spellings, damage."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.exchange import (
    Performance,
    read_arkit_json,
    read_live_link,
    read_performance,
    read_take,
    timecode,
    write_arkit_json,
    write_live_link,
)
from lsf_backend.export import Take, write_take
from lsf_backend.export.live_link import HEADER, ROTATIONS
from lsf_backend.face.arkit import ARKIT_NAMES, csv_name
from lsf_backend.face.head_space import motion_from_arkit

RATES = [24.0, 25.0, 30.0, 48.0, 50.0, 60.0]
NTSC = [24000 / 1001, 30000 / 1001, 60000 / 1001]


def performance(frames: int = 150, fps: float = 25.0, seed: int = 0) -> Performance:
    """Curves as speech makes them, below 5 Hz, slightly outside 0..1, with rotations."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / fps
    speed = random.uniform(0.3, 5.0, 52)
    weights = 0.5 + 0.53 * np.sin(2 * np.pi * speed * time + random.uniform(0, 6, 52))
    rotations = 0.2 * np.sin(time * random.uniform(1, 9, 9))
    return Performance(fps, weights.astype(np.float32), rotations.astype(np.float32))


def rows_of(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def store(path: Path, rows: list[list[str]]) -> Path:
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, Performance]:
    take = performance(150, 60.0)
    write_live_link(tmp_path / "take.csv", take, 60.0)
    return tmp_path / "take.csv", take


@pytest.mark.parametrize("fps", [*RATES, *NTSC])
def test_what_is_written_is_read(tmp_path: Path, fps: float) -> None:
    take = performance(200, fps)
    write_live_link(tmp_path / "take.csv", take, fps)
    stated = fps if fps in NTSC else None
    found = read_live_link(tmp_path / "take.csv", stated)
    assert found.fps == pytest.approx(fps) and found.warnings == ()
    np.testing.assert_allclose(found.weights, take.weights, atol=6e-7)
    np.testing.assert_allclose(found.rotations, take.rotations, atol=6e-7)
    assert found.weights.min() < -0.02 and found.weights.max() > 1.02, "kept, not clipped"


@pytest.mark.parametrize("fps", NTSC[1:])
def test_drop_frame_is_recognised_without_being_told(tmp_path: Path, fps: float) -> None:
    take = performance(round(70 * fps), fps)
    write_live_link(tmp_path / "take.csv", take, fps, drop_frame=True)
    codes = [row[0] for row in rows_of(tmp_path / "take.csv")[1:]]
    minute = [code for code in codes if code.startswith("00:01:00")]
    assert minute[0] == f"00:01:00;{2 * round(fps / 30):02d}.000", "labels are left out"
    found = read_live_link(tmp_path / "take.csv")
    assert found.fps == pytest.approx(fps) and found.warnings == ()
    np.testing.assert_allclose(found.weights, take.weights, atol=6e-7)


@pytest.mark.parametrize("base", [30, 60])
def test_drop_frame_labels_and_times_agree_for_an_hour(base: int) -> None:
    rate = base * 1000 / 1001
    for index in [*range(0, 4000), *range(17_900, 18_100), 107_892, 215_784]:
        minutes, seconds, frame, drop = timecode.parse(timecode.text_from(index, base, True))
        assert drop and timecode.seconds_from(
            minutes, seconds, frame, base, rate, drop
        ) == pytest.approx(index / rate)
    assert timecode.text_from(base * 3600 * 1000 // 1001, base, True).startswith("01:00:00;")


def test_timecode_on_base_60_with_30_rows_a_second(tmp_path: Path) -> None:
    take = performance(100, 30.0)
    write_live_link(tmp_path / "take.csv", take, 30.0)
    rows = rows_of(tmp_path / "take.csv")
    for row in rows[1:]:
        head, frame = row[0].rsplit(":", 1)
        row[0] = f"{head}:{2 * int(frame[:2]):02d}.000"
    found = read_live_link(store(tmp_path / "sixty.csv", rows))
    assert found.fps == 30.0 and found.warnings == ()
    np.testing.assert_allclose(found.weights, take.weights, atol=6e-7)
    ntsc = read_live_link(tmp_path / "sixty.csv", 30000 / 1001)
    assert ntsc.n_frames == 100 and ntsc.fps == pytest.approx(29.97, abs=1e-3)
    assert read_live_link(tmp_path / "sixty.csv", 30.0).n_frames == 100


@pytest.mark.parametrize(
    "spell", [str.lower, str.upper, lambda name: name[0].lower() + name[1:], str.title]
)
def test_both_header_spellings_and_any_order(
    recorded: tuple[Path, Performance], tmp_path: Path, spell: Callable[[str], str]
) -> None:
    path, take = recorded
    rows = rows_of(path)
    rows[0] = ["Timecode", "BlendshapeCount", *map(spell, HEADER[2:])]
    order = [0, 1, *np.random.default_rng(1).permutation(np.arange(2, 63))]
    found = read_live_link(store(tmp_path / "b.csv", [[row[i] for i in order] for row in rows]))
    np.testing.assert_allclose(found.weights, take.weights, atol=6e-7)
    np.testing.assert_allclose(found.rotations, take.rotations, atol=6e-7)


def test_byte_order_marks_line_ends_and_semicolons(
    recorded: tuple[Path, Performance], tmp_path: Path
) -> None:
    path, take = recorded
    text = path.read_text().replace("\n", "\r\n").replace(",", ";")
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    np.testing.assert_allclose(read_live_link(tmp_path / "b.csv").weights, take.weights, atol=6e-7)


def test_dropped_frames_are_filled_and_said(
    recorded: tuple[Path, Performance], tmp_path: Path
) -> None:
    path, take = recorded
    rows = rows_of(path)
    gone = {21, 22, 80}
    found = read_live_link(
        store(tmp_path / "b.csv", [row for i, row in enumerate(rows) if i - 1 not in gone])
    )
    assert found.n_frames == 150
    assert any("lacks 3 frames" in sentence for sentence in found.warnings)
    kept = [frame for frame in range(150) if frame not in gone]
    np.testing.assert_allclose(found.weights[kept], take.weights[kept], atol=6e-7)
    expected = (take.weights[79] + take.weights[81]) / 2
    np.testing.assert_allclose(found.weights[80], expected, atol=1e-5)


def test_rows_off_the_clock_are_brought_onto_it(
    recorded: tuple[Path, Performance], tmp_path: Path
) -> None:
    path, _ = recorded
    rows = rows_of(path)
    random = np.random.default_rng(2)
    for index, row in enumerate(rows[1:]):
        late = round(float(random.uniform(0, 300)))
        row[0] = row[0][:-3] + f"{late:03d}"
        row[2:] = [f"{(index + late / 1000) / 60:.6f}"] * 61
    found = read_live_link(store(tmp_path / "b.csv", rows))
    assert found.fps == 60.0
    first = float(rows[1][2])
    expected = first + np.arange(found.n_frames) / 60.0
    np.testing.assert_allclose(found.weights[:, 7], expected, atol=1e-4)


def test_doubled_timecodes_and_midnight(recorded: tuple[Path, Performance], tmp_path: Path) -> None:
    path, take = recorded
    rows = rows_of(path)
    doubled = [*rows[:50], rows[49], *rows[50:]]
    found = read_live_link(store(tmp_path / "b.csv", doubled))
    assert found.n_frames == 150 and "1 doubled timecode" in found.warnings[0]
    for index, row in enumerate(rows[1:]):
        second, frame = divmod(index, 60)
        row[0] = f"23:59:59:{frame:02d}.000" if not second else f"00:00:0{second - 1}:{frame:02d}"
    late = read_live_link(store(tmp_path / "c.csv", rows))
    np.testing.assert_allclose(late.weights, take.weights, atol=6e-7)


def test_missing_and_unknown_columns_are_said(
    recorded: tuple[Path, Performance], tmp_path: Path
) -> None:
    path, take = recorded
    rows = [row[:53] for row in rows_of(path)]  # no TongueOut, no rotations
    rows[0][2] = "EyeBlinkLeftX"
    found = read_live_link(store(tmp_path / "b.csv", rows))
    assert not found.weights[:, 0].any() and not found.weights[:, 51].any()
    assert not found.rotations.any()
    assert "lacks eyeBlinkLeft, tongueOut" in found.warnings[0]
    assert "EyeBlinkLeftX" in found.warnings[1]
    np.testing.assert_allclose(found.weights[:, 1:51], take.weights[:, 1:51], atol=6e-7)


def changed_cell(row: int, column: int, value: str) -> Callable[[list[list[str]]], None]:
    def change(rows: list[list[str]]) -> None:
        rows[row][column] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed_cell(0, 0, "Time"), "no Timecode column"),
        (changed_cell(0, 3, "EyeBlinkLeft"), "column eyeblinkleft twice"),
        (changed_cell(5, 7, "much"), "'much' as EyeSquintLeft in row 6"),
        (changed_cell(5, 7, ""), "'' as EyeSquintLeft in row 6"),
        (changed_cell(5, 7, "nan"), "no usable number in row 6"),
        (changed_cell(5, 7, "1e9"), "no usable number in row 6"),
        (changed_cell(5, 0, "later"), "'later' is not a timecode"),
        (changed_cell(5, 0, "00:00:99:00.000"), "not a time of day"),
        (changed_cell(5, 0, "00:00:00:77.000"), "more than any timecode counts"),
        (changed_cell(5, 0, "00:00:00:00.000"), "back in time at row 6"),
        (changed_cell(150, 0, "10:00:00:00.000"), "stops for 600 minutes"),
        (lambda rows: rows[4].pop(), "has 62 instead of 63 cells in row 5"),
        (lambda rows: rows.__delitem__(slice(1, None)), "no frames"),
        (lambda rows: rows.clear(), "empty"),
    ],
)
def test_damage_is_named_with_its_row(
    recorded: tuple[Path, Performance], tmp_path: Path, change: Callable, sentence: str
) -> None:
    rows = rows_of(recorded[0])
    change(rows)
    with pytest.raises(LsfError, match=sentence) as caught:
        read_live_link(store(tmp_path / "b.csv", rows))
    assert caught.value.code == "request_invalid"
    assert caught.value.message.startswith("b.csv ") and "\n" not in caught.value.message


def test_a_recording_under_a_second_is_taken_as_the_apps(tmp_path: Path) -> None:
    write_live_link(tmp_path / "take.csv", performance(20, 60.0), 60.0)
    found = read_live_link(tmp_path / "take.csv")
    assert found.fps == 60.0 and "shorter than a second" in found.warnings[0]
    write_live_link(tmp_path / "one.csv", performance(1, 60.0), 60.0)
    assert read_live_link(tmp_path / "one.csv").n_frames == 1


@pytest.mark.parametrize("fps", [*RATES, *NTSC])
def test_there_and_back_changes_speech_curves_little(fps: float) -> None:
    take = performance(500, 25.0)
    there = take.resampled(fps)
    assert there.n_frames == int(500 * fps / 25 + 1e-6)
    assert there.duration_s == pytest.approx(take.duration_s, abs=1 / fps)
    back = there.resampled(25.0)
    count = min(len(back.weights), 495)
    error = np.abs(back.weights[:count] - take.weights[:count])
    assert error.max() < (0.09 if fps >= 25 else 0.14) and error.mean() < 0.012


def test_resampling_never_leaves_the_range_of_its_neighbours() -> None:
    weights = np.zeros((50, 52), np.float32)
    weights[20:22, 0] = 1.0
    found = Performance(25.0, weights, np.zeros((50, 9), np.float32)).resampled(60.0)
    assert found.weights.min() == 0.0 and found.weights.max() == 1.0


def test_frames_that_coincide_are_exact() -> None:
    take = performance(300, 30.0)
    np.testing.assert_array_equal(take.resampled(60.0).weights[::2], take.weights)
    np.testing.assert_array_equal(take.resampled(60.0).resampled(30.0).weights, take.weights)
    np.testing.assert_array_equal(take.resampled(25.0).weights[::5], take.weights[::6])
    np.testing.assert_array_equal(
        performance(100, 25.0).resampled(50.0).resampled(25.0).weights,
        performance(100, 25.0).weights,
    )


def test_the_engines_own_csv_is_read_back(tmp_path: Path) -> None:
    weights = np.clip(performance(100).weights, 0, 1)
    weights[:, ARKIT_NAMES.index("jawLeft")] = 0
    take = Take(motion_from_arkit(weights), "head", {})
    write_take(tmp_path / "take.csv", take, csv_fps=25)
    found = read_live_link(tmp_path / "take.csv")
    assert found.fps == 25.0
    again = found.to_take()
    np.testing.assert_allclose(again.motion, take.motion, atol=1e-6)
    write_take(tmp_path / "take.npz", take)
    np.testing.assert_allclose(
        read_performance(tmp_path / "take.npz").weights, take.arkit(), atol=1e-6
    )


def test_drop_frame_is_refused_at_other_rates(tmp_path: Path) -> None:
    with pytest.raises(LsfError, match="does not exist at 25 fps"):
        write_live_link(tmp_path / "a.csv", performance(), 25.0, drop_frame=True)
    assert not (tmp_path / "a.csv").exists()


def test_json_gives_back_the_very_numbers(tmp_path: Path) -> None:
    take = performance(40, 30000 / 1001)
    write_arkit_json(tmp_path / "take.json", take, {"seed": 3})
    found = read_performance(tmp_path / "take.json")
    assert found.fps == take.fps
    np.testing.assert_array_equal(found.weights, take.weights)
    np.testing.assert_array_equal(found.rotations, take.rotations)
    content = json.loads((tmp_path / "take.json").read_text())
    assert content["facsNames"] == list(ARKIT_NAMES) and content["numFrames"] == 40
    assert content["metadata"] == {"seed": 3}


def test_the_json_of_audio2face_and_named_frames(tmp_path: Path) -> None:
    take = performance(10, 60.0)
    names = ["mouthClose", "JawOpen", "eyeBlinkLeft"]
    columns = [ARKIT_NAMES.index(name) for name in ("mouthClose", "jawOpen", "eyeBlinkLeft")]
    rows = take.weights[:, columns].astype(float).tolist()
    (tmp_path / "a2f.json").write_text(
        json.dumps({"exportFps": 60, "numPoses": 3, "facsNames": names, "weightMat": rows})
    )
    found = read_arkit_json(tmp_path / "a2f.json")
    np.testing.assert_allclose(found.weights[:, columns], take.weights[:, columns], atol=1e-6)
    assert "lacks" in found.warnings[0] and "44 more" in found.warnings[0]
    frames = [{"time": 0.0, "blendShapes": dict(zip(names, row, strict=True))} for row in rows]
    (tmp_path / "named.json").write_text(json.dumps({"fps": 60, "frames": frames}))
    np.testing.assert_array_equal(read_arkit_json(tmp_path / "named.json").weights, found.weights)
    (tmp_path / "bare.json").write_text(json.dumps(frames))
    np.testing.assert_array_equal(
        read_arkit_json(tmp_path / "bare.json", 60).weights, found.weights
    )
    with pytest.raises(LsfError, match="frames per second"):
        read_arkit_json(tmp_path / "bare.json")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("7", "neither a weightMat nor a list"),
        ('{"exportFps": 60, "facsNames": ["jawOpen"], "weightMat": [[1, 2]]}', "hold 1 numbers"),
        ('{"exportFps": 60, "facsNames": ["jawOpen"], "weightMat": [[NaN]]}', "no usable number"),
        ('{"exportFps": 60, "facsNames": ["jawOpen"], "weightMat": [["1"]]}', "no usable number"),
        ('{"exportFps": 60, "facsNames": ["jawOpen"], "weightMat": []}', "no frames"),
        ('{"exportFps": 60, "facsNames": ["nose"], "weightMat": [[1]]}', "none of ARKit's"),
        ('{"exportFps": 60, "facsNames": "jawOpen", "weightMat": [[1]]}', "name its weights"),
        ('{"exportFps": 0, "facsNames": ["jawOpen"], "weightMat": [[1]]}', "frames per second"),
        (
            '{"exportFps": 60, "facsNames": ["jawOpen", "JawOpen"], "weightMat": [[1, 1]]}',
            "names a shape twice",
        ),
    ],
)
def test_damaged_json_is_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(LsfError, match=sentence) as caught:
        read_performance(tmp_path / "a.json")
    assert caught.value.code == "request_invalid"


def test_a_take_comes_back_from_npz(tmp_path: Path) -> None:
    motion = np.random.default_rng(0).normal(0, 0.1, (30, 53)).astype(np.float32)
    write_take(tmp_path / "take.npz", Take(motion, "flame", {"seed": 1}))
    take = read_take(tmp_path / "take.npz")
    np.testing.assert_array_equal(take.motion, motion)
    assert (take.face_space, take.metadata) == ("flame", {"seed": 1})
    with pytest.raises(LsfError, match="has no ARKit weights"):
        read_performance(tmp_path / "take.npz")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "has no expression"),
        ({"expression": np.zeros((3, 49))}, "holds .3, 49. expression"),
        ({"jaw_pose": np.full((3, 3), np.nan)}, "finite numbers as jaw_pose"),
        ({"fps": np.float64(30)}, "30 instead of 25 fps"),
        ({"face_space": np.array("dog")}, "unknown face space 'dog'"),
        ({"metadata": np.array("{")}, "not JSON"),
        ({"expression": np.array([[None]])}, "is not a take of ours"),
    ],
)
def test_a_damaged_npz_is_a_sentence(tmp_path: Path, arrays: dict, sentence: str) -> None:
    whole = {
        "expression": np.zeros((3, 50)),
        "jaw_pose": np.zeros((3, 3)),
        "fps": np.float64(25),
        "face_space": np.array("head"),
        "metadata": np.array("{}"),
    }
    np.savez(tmp_path / "a.npz", **({**whole, **arrays} if arrays else {"other": np.zeros(1)}))
    with pytest.raises(LsfError, match=sentence):
        read_take(tmp_path / "a.npz")


def test_any_byte_of_an_npz_may_be_wrong(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 0.1, (30, 53)).astype(np.float32)
    write_take(tmp_path / "whole.npz", Take(motion, "head", {}))
    whole = (tmp_path / "whole.npz").read_bytes()
    refused = 0
    for place in rng.integers(30, len(whole), 200):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        (tmp_path / "a.npz").write_bytes(broken)
        try:
            read_take(tmp_path / "a.npz")
        except LsfError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.npz", "a.txt"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\x00\x12 not text")
    with pytest.raises(LsfError) as caught:
        read_performance(tmp_path / name)
    assert caught.value.code == "request_invalid"
    with pytest.raises(LsfError):
        read_performance(tmp_path / "missing" / name)


def test_names_of_the_rotations_follow_the_app() -> None:
    assert HEADER[2 + 52 :] == ROTATIONS and HEADER[2] == csv_name(ARKIT_NAMES[0])
