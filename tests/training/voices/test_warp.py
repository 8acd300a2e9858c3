# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from training.corpus.engines import Utterance
from training.voices.languages import as_closures
from training.voices.warp import _LATE_S, warp_path, warped


def sweep(seconds: float, seed: int) -> np.ndarray:
    """A tone that rises from 300 to 3300 Hz, with a little noise."""
    t = np.arange(int(16_000 * seconds)) / 16_000
    noise = 0.02 * np.random.default_rng(seed).standard_normal(t.size)
    tone = np.sin(2 * np.pi * (300 * t + 1500 * t**2 / seconds))
    return (tone + noise).astype(np.float32)


def test_the_path_runs_from_corner_to_corner_and_takes_the_cheap_cells() -> None:
    distance = np.ones((6, 9))
    wanted = [(0, 0), (1, 1), (1, 2), (2, 3), (3, 4), (4, 5), (4, 6), (5, 7), (5, 8)]
    for cell in wanted:
        distance[cell] = 0.0
    assert [tuple(cell) for cell in warp_path(distance)] == wanted


def test_sounds_are_found_at_the_recordings_times() -> None:
    """The recording is the same sweep, twice as slow, after a second of silence."""
    said = Utterance(sweep(1.2, 0), (("a", 0.0, 0.4), ("p", 0.4, 0.8), ("o", 0.8, 1.2)), "ipa")
    recorded = np.concatenate([np.zeros(16_000, np.float32), sweep(2.4, 1)])

    def hear(audio: np.ndarray) -> np.ndarray:
        frames = audio[: audio.size // 320 * 320].reshape(-1, 320)
        return np.log(np.abs(np.fft.rfft(frames, axis=1))[:, :80] + 0.1)

    times, _ = warped(recorded, said, hear)
    assert times[1] + _LATE_S == pytest.approx([1.8, 2.6], abs=0.06)


def test_only_p_b_and_m_become_closures() -> None:
    names = [n for n, _, _ in as_closures([(s, 0, 1) for s in ("p", "bʲ", "m", "β", "n", "sil")])]
    assert names == ["P", "P", "P", "β", "n", "SIL"]
