# SPDX-License-Identifier: Apache-2.0
"""From two trained runs to a page: the same clips, faces and sounds, other motion."""

import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from lsf_backend.face.face_model import FaceModel
from tests.training.conftest import loudness, write_store
from training.data.clips import Face
from training.data.features import cache_features
from training.settings import RunConfig
from training.study import render
from training.study.__main__ import main
from training.study.media import probe
from training.study.plan import Key
from training.study.render import choose_clips, pictures, write_video
from training.train import train

SHORT = {"epochs": 1, "batch_size": 6, "learning_rate": 1e-3}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two systems trained for a moment; their clips last a second or less."""
    store = write_store(tmp_path / "store", Face("head"))
    cache_features(store, tmp_path / "heard", loudness(6), "heard")
    monkeypatch.setattr(render, "_LENGTH_S", (0.1, 2.0))
    found = {}
    for system in ("faceformer", "facediffuser_ddpm"):
        data = {"store": str(tmp_path / "store"), "motion_features": str(tmp_path / "heard")}
        values = {"system": system, "size": "tiny", "data": data, "out": str(tmp_path / system)}
        config = RunConfig.from_dict(values | {"stage2": SHORT, "trainer": {"accelerator": "cpu"}})
        found[system] = train(config)
    return found


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "SIZE", (60, 72))


def test_two_runs_become_a_study_and_finished_videos_are_kept(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    systems = [f"{name}={folder}" for name, folder in runs.items()]
    command = ["make", str(tmp_path / "study"), "--ours", systems[0], "--other", systems[1]]
    assert main([*command, "--clips", "3", "--checks", "1"]) == 0
    key = Key.load(tmp_path / "study" / "key.json")
    assert {pair.emotion for pair in key.pairs} == {"neutral", "angry"}
    votes = [pair for pair in key.pairs if pair.kind == "vote"]
    assert len(votes) == 3
    folders = [tmp_path / "study" / "videos" / name for name in runs]
    stems = [sorted(path.stem for path in folder.glob("*.mp4")) for folder in folders]
    assert stems[0] == stems[1] and len(stems[0]) == 3
    made = {path: path.stat().st_mtime_ns for folder in folders for path in folder.glob("*.mp4")}
    lost = next(iter(made))
    lost.unlink()
    assert main([*command, "--clips", "3", "--checks", "1"]) == 0
    again = {path: path.stat().st_mtime_ns for path in made}
    assert {path for path in made if again[path] != made[path]} == {lost}
    # Videos of other weights are not taken for these.
    facts = folders[1] / render.FACTS
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"weights": "0"}))
    assert main([*command, "--clips", "3", "--checks", "1"]) == 0
    assert all(path.stat().st_mtime_ns != made[path] for path in made if folders[1] in path.parents)


def test_a_video_has_the_frames_and_the_sound(tmp_path: Path) -> None:
    face = FaceModel.load()
    motion = np.zeros((20, 53), np.float32)
    motion[:, 50] = 0.3 * (np.arange(20) % 2)
    sound = 0.3 * np.sin(2 * np.pi * 440 * np.arange(20 * 640) / 16000).astype(np.float32)
    write_video(tmp_path / "a.mp4", pictures(face, motion), sound)
    assert probe(tmp_path / "a.mp4").duration_s == pytest.approx(0.8, abs=0.1)
    with av.open(str(tmp_path / "a.mp4")) as opened:
        shown = np.stack([f.to_ndarray(format="gray") for f in opened.decode(video=0)]).astype(int)
    assert shown.shape[0] == 20
    assert np.abs(shown[2] - shown[4]).mean() < 0.3 * np.abs(shown[2] - shown[3]).mean()
    with av.open(str(tmp_path / "a.mp4")) as opened:
        heard = np.concatenate([f.to_ndarray().ravel() for f in opened.decode(audio=0)])
    spectrum = np.abs(np.fft.rfft(heard[4096:28672]))
    assert 48000 * spectrum.argmax() / 24576 == pytest.approx(440, abs=4)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_clips_take_turns_between_emotions() -> None:
    class Clip:
        def __init__(self, number: int) -> None:
            self.stem, self.emotion = f"c{number}", (0, 0, 0, 0, 6, 1)[number % 6]
            self.count = 10 if number == 5 else 75

    class Clips:
        clips = [Clip(number) for number in range(24)]

        class split:
            @staticmethod
            def numbers(stage: int, part: str) -> Iterator[int]:
                return range(24)

    chosen = choose_clips(Clips(), "test", 6, seed=1)  # type: ignore[arg-type]
    emotions = {clip.stem: clip.emotion for clip in Clips.clips}
    assert [emotions[stem] for stem in chosen] == [0, 1, 6, 0, 1, 6]
    assert "c5" not in choose_clips(Clips(), "test", 24, seed=1)  # type: ignore[arg-type]
    assert chosen != choose_clips(Clips(), "test", 6, seed=2)  # type: ignore[arg-type]
