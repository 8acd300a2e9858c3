# SPDX-License-Identifier: Apache-2.0
import time

import numpy as np
import pytest

from lsf_backend.sampling import draw_codes, frame_uniforms, philox4x32


def test_philox_known_answers():
    """The published test vectors of Random123 for philox4x32, 10 rounds."""
    ones = 0xFFFFFFFF
    cases = [
        ([0, 0, 0, 0], (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ones] * 4, (ones, ones), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ]
    for counter, key, expected in cases:
        got = philox4x32(np.array(counter, dtype=np.uint32), key)
        assert [int(x) for x in got] == expected


def test_a_frame_keeps_its_numbers_however_the_sound_is_cut():
    whole = frame_uniforms(7, 0, 1000, 6)
    for start, count in ((0, 1), (123, 77), (999, 1)):
        assert np.array_equal(frame_uniforms(7, start, count, 6), whole[start : start + count])


def test_numbers_are_uniform_and_seeds_independent():
    u = frame_uniforms(3, 0, 50_000, 4).astype(np.float64)
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 0.003 and abs(u.var() - 1 / 12) < 0.002
    assert np.abs(np.corrcoef(u.T) - np.eye(4)).max() < 0.02
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.02
    other = frame_uniforms(4, 0, 50_000, 4)
    assert abs(np.corrcoef(u[:, 0], other[:, 0])[0, 1]) < 0.02
    assert not np.array_equal(frame_uniforms(-1, 0, 5, 4), frame_uniforms(1, 0, 5, 4))


def test_ten_minutes_take_no_time():
    start = time.perf_counter()
    frame_uniforms(0, 0, 15_000, 8)
    assert time.perf_counter() - start < 1.0


def test_numpy_draw_follows_the_softmax_and_zero_is_the_nearest():
    distance = np.array([0.1, 0.5, 0.9, 0.2])
    u = frame_uniforms(1, 0, 100_000, 1)[:, 0]
    codes = draw_codes(np.broadcast_to(distance, (u.size, 4)), 0.3, u)
    p = np.exp(-distance / 0.3)
    assert np.abs(np.bincount(codes, minlength=4) / u.size - p / p.sum()).max() < 0.005
    assert (draw_codes(np.broadcast_to(distance, (10, 4)), 0.0, u[:10]) == 0).all()


def test_both_engines_draw_the_same_codes():
    torch = pytest.importorskip("torch")
    from lsf_backend.model import quantiser

    rng = np.random.default_rng(0)
    distance = rng.random((2000, 3, 64)).astype(np.float32)
    u = frame_uniforms(5, 0, 2000, 3)
    ours = quantiser.draw_codes(torch.from_numpy(distance), torch.tensor(0.1), torch.from_numpy(u))
    # float32 sums may round differently at the edge between two codes, and only there.
    assert (ours.numpy() != draw_codes(distance, 0.1, u)).mean() < 1e-3
