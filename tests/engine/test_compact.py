# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.engine.base import AnimateJob
from lsf_backend.engine.compact import CompactEngine, faded
from lsf_backend.engine.compact_files import FOLDER, CompactFiles
from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.protocol import ASSETS

SAMPLE = ASSETS / "sample.wav"
# End times of the phones of sample.wav, as ``flite -psdur`` printed them when it was made.
PHONES = (
    "pau:0.224 m:0.252 ey:0.410 b:0.461 iy:0.570 p:0.699 iy:0.791 p:0.894 ax:0.939 l:1.051 "
    "b:1.117 ih:1.173 l:1.301 iy:1.423 v:1.485 w:1.567 ah:1.620 t:1.656 ax:1.705 m:1.788 uw:1.866 "
    "v:1.924 ih:1.975 ng:2.089 m:2.129 aw:2.250 th:2.320 t:2.387 eh:2.469 l:2.560 z:2.663 "
    "dh:2.683 eh:2.746 m:2.831 pau:2.977 n:3.035 aw:3.248 ow:3.341 p:3.422 ax:3.487 n:3.538 "
    "ah:3.699 p:3.803 pau:3.916 ae:4.003 n:4.055 d:4.083 l:4.185 eh:4.206 t:4.275 m:4.345 "
    "ay:4.503 p:4.593 ah:4.681 p:4.776 ax:4.838 t:4.908 s:5.026 p:5.113 iy:5.207 k:5.337 pau:5.521"
)


class Sound:
    """An AudioReader over an array, which notes how it was read."""

    def __init__(self, audio: np.ndarray) -> None:
        self.audio, self.n_samples = audio, audio.size
        self.reads: list[tuple[int, int]] = []

    def read(self, start_sample: int, count: int) -> np.ndarray:
        self.reads.append((start_sample, count))
        return self.audio[start_sample : start_sample + count]


def sample() -> np.ndarray:
    with wave.open(str(SAMPLE)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return data.astype(np.float32) / 32768.0


def job(audio: np.ndarray | Sound, **changes: Any) -> AnimateJob:
    values: dict[str, Any] = {
        "audio": audio if isinstance(audio, Sound) else Sound(audio),
        "betas": None,
        "seed": 0,
        "temperature": 0.0,
        "device": "auto",
        "progress": lambda stage, fraction: None,
        "cancelled": lambda: False,
    }
    return AnimateJob(**(values | changes))


def run(audio: np.ndarray, **changes: Any) -> np.ndarray:
    chunks = list(CompactEngine().animate(job(audio, **changes)))
    return np.concatenate([chunk.motion for chunk in chunks])


@pytest.fixture(scope="module")
def motion() -> np.ndarray:
    return run(sample())


@pytest.fixture(scope="module")
def gap(motion: np.ndarray) -> np.ndarray:
    return lip_gap_mm(FaceModel.load(), arkit_from_motion(motion))


@pytest.fixture(scope="module")
def long_audio() -> np.ndarray:
    return np.concatenate([sample(), sample()[8_000:], 0.3 * sample(), sample()])


def phones() -> list[tuple[str, float, float]]:
    found, start = [], 0.0
    for item in PHONES.split():
        name, _, end = item.partition(":")
        found.append((name, start, float(end)))
        start = float(end)
    return found


def near(name: set[str], values: np.ndarray, around_s: float) -> list[np.ndarray]:
    times = np.arange(len(values)) / 25.0
    return [
        values[(times >= start - around_s) & (times <= end + around_s)]
        for phone, start, end in phones()
        if phone in name
    ]


def test_info_reads_no_weights_and_the_folder_holds_together():
    info = CompactEngine().info()
    assert info.available and info.face_space == "head" and "CC BY 4.0" in info.license
    files = CompactFiles.read()
    total = sum(len(files.checked(name)) for name in files.digests)
    assert total < 30_000_000


def test_motion_has_the_shape_range_and_count_of_the_sound(motion):
    assert motion.shape == (len(sample()) // 640, 53) and motion.dtype == np.float32
    assert np.isfinite(motion).all()
    assert motion[:, :50].min() >= 0.0 and motion[:, :50].max() <= 1.0
    assert motion[:, 49].max() < 0.02


def test_chunks_come_in_order_without_gaps_and_memory_stays_flat(long_audio):
    sound = Sound(long_audio)
    place = 0
    for chunk in CompactEngine().animate(job(sound)):
        assert chunk.first_frame == place
        place += len(chunk.motion)
    assert place == len(long_audio) // 640
    assert max(count for _, count in sound.reads) <= 5 * 16_000
    assert sound.reads == sorted(sound.reads)


def test_first_chunk_needs_four_seconds_of_sound(long_audio):
    sound = Sound(long_audio)
    next(CompactEngine().animate(job(sound)))
    assert max(start + count for start, count in sound.reads) <= 4 * 16_000


def test_what_comes_later_changes_no_earlier_frame(long_audio):
    whole, cut = run(long_audio), run(long_audio[: 9 * 16_000])
    # Windows that end inside both sounds are the same to the bit: 75 k + 100 <= 225.
    np.testing.assert_array_equal(whole[:145], cut[:145])


def test_no_seam_at_window_borders(long_audio):
    motion = run(long_audio)
    steps = np.abs(np.diff(motion, axis=0)).max(1)
    borders = np.zeros(len(steps), bool)
    for core in range(75, len(motion), 75):
        borders[core - 7 : core + 7] = True
    assert steps[borders].max() <= 1.2 * steps[~borders].max()


def test_same_seed_same_frames_other_seed_other_frames(motion):
    audio = sample()
    np.testing.assert_array_equal(run(audio), motion)
    np.testing.assert_array_equal(run(audio, seed=5), motion)
    one = run(audio, seed=1, temperature=1.0)
    np.testing.assert_array_equal(one, run(audio, seed=1, temperature=1.0))
    two = run(audio, seed=2, temperature=1.0)
    assert np.abs(one - two).max() > 1e-3


def test_bilabials_close(gap):
    closed = [values.min() < 1.0 for values in near({"m", "b", "p"}, gap, 0.04)]
    assert len(closed) == 14 and np.mean(closed) >= 0.9


def test_open_vowels_open_more_than_close_ones(gap):
    opened = [values.max() for values in near({"aw", "ay", "ae"}, gap, 0.0)]
    close = [values.max() for values in near({"iy", "uw"}, gap, 0.0)]
    assert min(opened) > 4.0 and np.mean(opened) > 1.4 * np.mean(close)


def test_lips_are_shut_before_and_after_speech(gap):
    assert gap[:3].max() < 1.0 and gap[-3:].max() < 1.0


@pytest.mark.parametrize("level", [0.0, 1e-4, 3e-3])
def test_lips_stay_shut_without_speech(level):
    noise = np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32)
    arkit = arkit_from_motion(run(np.float32(level) * noise))
    assert lip_gap_mm(FaceModel.load(), arkit).max() < 1.0


def test_loud_and_quiet_recordings_move_alike(gap):
    quiet = lip_gap_mm(FaceModel.load(), arkit_from_motion(run(0.05 * sample())))
    assert np.corrcoef(quiet, gap)[0, 1] > 0.95
    assert np.abs(quiet - gap).mean() < 1.0


def test_brows_and_cheeks_are_alive(motion):
    arkit = arkit_from_motion(motion)
    assert np.ptp(arkit[:, ARKIT_NAMES.index("browInnerUp")]) > 0.03
    blinks = arkit[:, ARKIT_NAMES.index("eyeBlinkLeft")]
    assert blinks.max() < 0.02  # blinks are made elsewhere


def test_very_short_sound_and_every_length():
    for n_samples in (3_200, 3_839, 5_000, 48_000, 48_640, 64_001, 99_999):
        audio = np.resize(sample(), n_samples)
        assert len(run(audio)) == n_samples // 640


def test_cancel_stops_before_the_next_window(long_audio):
    seen: list[int] = []
    chunks = CompactEngine().animate(job(long_audio, cancelled=lambda: len(seen) >= 1))
    for chunk in chunks:
        seen.append(chunk.first_frame)
    assert seen == [0]


@pytest.mark.parametrize("betas", [np.zeros(10), np.full(300, np.nan)])
def test_an_impossible_identity_is_refused(betas):
    with pytest.raises(LsfError) as caught:
        run(sample(), betas=betas)
    assert caught.value.code == "identity_invalid"


def test_a_device_it_does_not_have_is_refused():
    with pytest.raises(LsfError) as caught:
        run(sample(), device="cuda:0")
    assert caught.value.code == "request_invalid"


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "compact"))


def failure(folder: Path) -> LsfError:
    with pytest.raises(LsfError) as caught:
        list(CompactEngine(folder).animate(job(sample())))
    assert not caught.value.user_fault and caught.value.hint
    return caught.value


def test_a_missing_model_says_so(tmp_path):
    assert failure(tmp_path).code == "model_missing"
    assert not CompactEngine(tmp_path).info().available
    folder = copied(tmp_path)
    (folder / "sie.onnx").unlink()
    assert failure(folder).code == "model_missing"


def test_a_changed_file_is_refused_by_its_digest(tmp_path):
    folder = copied(tmp_path)
    data = bytearray((folder / "decoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "decoder.onnx").write_bytes(data)
    error = failure(folder)
    assert error.code == "model_invalid" and "decoder.onnx" in error.message


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', "\xff"])
def test_a_broken_config_is_refused(tmp_path, text):
    folder = copied(tmp_path)
    (folder / "config.json").write_text(text, encoding="latin-1")
    assert failure(folder).code == "model_invalid"


def test_config_lists_what_is_there():
    listed = json.loads((FOLDER / "config.json").read_text())["files"]
    assert sorted(listed) == sorted(
        path.name for path in FOLDER.iterdir() if path.suffix in (".onnx", ".npz")
    )


def test_fading_neighbours_gives_every_frame_once():
    from lsf_backend.engine.base import MotionChunk

    for n_frames in (3, 75, 78, 100, 151, 400):
        windows = (
            MotionChunk(max(0, core - 25), np.repeat(
                np.arange(max(0, core - 25), min(n_frames, core + 100), dtype=np.float32)[:, None],
                53, axis=1))
            for core in range(0, n_frames, 75)
        )  # fmt: skip
        motion = np.concatenate([chunk.motion for chunk in faded(windows, n_frames)])
        np.testing.assert_allclose(motion[:, 0], np.arange(n_frames), atol=1e-4)
