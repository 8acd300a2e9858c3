# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.model.windows import Seam, Window, measure_clip, window_audio, windows


@pytest.mark.parametrize("n", [1, 5, 250, 251, 274, 275, 276, 500, 1234, 15_000])
def test_windows_cover_every_frame_once_with_context(n):
    grid = list(windows(n))
    assert [w.keep_start for w in grid] == [0, *(w.keep_stop for w in grid[:-1])]
    assert grid[-1].keep_stop == n
    for w in grid:
        assert w.start == max(0, w.keep_start - 25) and w.stop == min(n, w.keep_stop + 25)
        assert w.n_frames <= 325
        if w is not grid[-1]:
            assert w.keep_stop % 250 == 0
    assert len(grid) == 1 or grid[-1].keep_stop - grid[-1].keep_start >= 25


def _reader(x):
    return lambda start, count: x[start : start + count]


@pytest.mark.parametrize("n", [3200, 100_003, 300_000, 1_000_000])
def test_clip_statistics_are_those_of_the_whole_clip(n):
    x = np.random.default_rng(0).normal(0.1, 0.3, n).astype(np.float32)
    kernels = np.random.default_rng(1).normal(size=(6, 10))
    stats = measure_clip(_reader(x), n)
    assert np.isclose(stats.mean, x.mean(dtype=np.float64)) and np.isclose(
        stats.variance, x.var(dtype=np.float64)
    )
    normalised = (x.astype(np.float64) - x.mean(dtype=np.float64)) / x.std(dtype=np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(normalised, 10)[::5]
    y = frames @ kernels.T
    mean, var = stats.channel_statistics(kernels)
    assert np.allclose(mean, y.mean(0), atol=1e-6) and np.allclose(var, y.var(0), rtol=1e-6)


def test_window_audio_has_80_more_samples_and_zeros_after_the_end():
    x = np.arange(1, 6401, dtype=np.float32)
    got = window_audio(_reader(x), Window(2, 10, 2, 10))
    assert got.size == 8 * 640 + 80
    assert np.array_equal(got[: 8 * 640], x[1280:]) and not got[8 * 640 :].any()
    got = window_audio(_reader(x), Window(0, 5, 0, 4))
    assert np.array_equal(got, x[: 5 * 640 + 80])


@pytest.mark.parametrize("n", [10, 250, 275, 500, 1234])
def test_seam_gives_every_frame_once_and_keeps_agreeing_windows(n):
    truth = np.random.default_rng(0).normal(size=(n, 53)).astype(np.float32)
    seam, parts = Seam(n), []
    for w in windows(n):
        first, frames = seam.join(w, truth[w.start : w.stop])
        assert first == sum(map(len, parts))
        parts.append(frames)
    assert np.allclose(np.concatenate(parts), truth, atol=1e-6)


def test_seam_fades_between_windows_that_disagree():
    seam, parts = Seam(500), []
    for value, w in zip((0.0, 1.0), windows(500), strict=True):
        parts.append(seam.join(w, np.full((w.n_frames, 53), value, np.float32))[1])
    joined = np.concatenate(parts)[:, 0]
    assert joined[:244].max() == 0 and joined[256:].min() == 1
    assert (np.diff(joined) >= 0).all() and np.diff(joined).max() < 0.1
