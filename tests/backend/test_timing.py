# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend import timing


def test_a_sound_has_floor_of_25_frames_a_second() -> None:
    for frames in range(0, 300_000, 7):
        assert timing.frames_from_seconds(frames / 25) == frames
        assert timing.frames_from_seconds((frames + 0.999) / 25) == frames
        assert timing.frames_from_samples(timing.samples_from_frames(frames)) == frames
    assert timing.frames_from_samples(639) == 0


def test_seconds_and_samples_agree_for_every_length() -> None:
    for n_samples in range(0, 40_000):
        seconds = timing.seconds_from_samples(n_samples)
        assert timing.samples_from_seconds(seconds) == n_samples
        assert timing.frames_from_seconds(seconds) == timing.frames_from_samples(n_samples)


def test_features_of_a_400_sample_window() -> None:
    assert [timing.features_from_samples(n) for n in (0, 399, 400, 719, 720, 16000)] == [
        *(0, 0, 1, 1, 2, 49)
    ]
    assert timing.features_from_frames(25) == timing.FEATURE_HZ


@pytest.mark.parametrize(
    ("fps", "base"), [(24, 1.0), (24, 1.001), (25, 1.0), (30, 1.001), (30, 1.0), (60, 1.0), (5, 1)]
)
def test_scene_frames_are_exact_at_any_rate(fps: float, base: float) -> None:
    frames = np.arange(0, 270_000, 997)
    scene = timing.scene_frame_from_frame(frames, 1, fps, base)
    seconds = (scene - 1) * base / fps
    np.testing.assert_allclose(seconds, frames / 25, atol=1e-9)
    back = timing.frame_from_scene_frame(scene, 1, fps, base)
    np.testing.assert_allclose(back, frames, atol=1e-7)


def test_timecodes() -> None:
    assert timing.timecode_from_seconds(0, 60) == "00:00:00:00.000"
    assert timing.timecode_from_seconds(59 / 60, 60) == "00:00:00:59.000"
    assert timing.timecode_from_seconds(3661.5, 60) == "01:01:01:30.000"
    assert timing.timecode_from_seconds(1 / 25, 60) == "00:00:00:02.400"
    assert timing.timecode_from_seconds(1001 / 1000, 30 / 1.001) == "00:00:01:00.000"


@pytest.mark.parametrize("fps", [24, 25, 30 / 1.001, 30, 60, 120])
def test_resampling_keeps_the_length(fps: float) -> None:
    times = timing.resample_times_frames(250, 25, fps)
    assert len(times) == int(10 * fps + 1e-6)
    np.testing.assert_allclose(times / 25, np.arange(len(times)) / fps, atol=1e-12)
