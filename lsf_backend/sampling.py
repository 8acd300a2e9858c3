# SPDX-License-Identifier: Apache-2.0
"""Random numbers that belong to a frame: the same seed and frame give the same draw, always.

Philox4x32-10 (Salmon et al., 2011), a counter-based generator, in numpy: key = seed, counter =
(frame, token, 0, 0). Nothing is carried from frame to frame, so cutting a sound into other chunks,
or starting in the middle, changes no number. Both engines draw from here.
"""

from __future__ import annotations

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_ROUNDS = 10


def philox4x32(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Philox4x32-10 block function: counter [..., 4] uint32, key two uint32 -> [..., 4] uint32."""
    c0, c1, c2, c3 = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = np.uint32(key[0]), np.uint32(key[1])
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
            c0, c2 = (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0), (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1)
            c1, c3 = p1 & _LOW, p0 & _LOW
            k0, k1 = k0 + _KEY_STEPS[0], k1 + _KEY_STEPS[1]
    return np.stack((c0, c1, c2, c3), axis=-1).astype(np.uint32)


def frame_uniforms(seed: int, first_frame: int, n_frames: int, n_draws: int) -> np.ndarray:
    """Numbers in [0, 1) of absolute frames: -> [n_frames, n_draws] float32.

    ``seed`` is any integer (taken modulo 2^64); row i belongs to frame ``first_frame + i``.
    """
    n_blocks = -(-n_draws // 4)
    counter = np.zeros((n_frames, n_blocks, 4), dtype=np.uint32)
    counter[..., 0] = np.arange(first_frame, first_frame + n_frames, dtype=np.int64)[:, None]
    counter[..., 1] = np.arange(n_blocks)[None, :]
    key = (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
    bits = philox4x32(counter, key).reshape(n_frames, 4 * n_blocks)[:, :n_draws]
    # 24 bits: the largest float32 below 1 is 1 - 2^-24, so 1.0 itself cannot come out.
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def draw_codes(distances: np.ndarray, unit: float, uniforms: np.ndarray) -> np.ndarray:
    """Codes by p = softmax(-distances / unit): [..., K], uniforms [...] -> [...] int64.

    ``unit`` is temperature * tau; 0 takes the nearest code. The network's own draw is the same.
    """
    if unit <= 0:
        return np.asarray(distances.argmin(axis=-1))
    logits = (distances.min(axis=-1, keepdims=True) - distances) / unit
    cumulative = np.exp(logits).cumsum(axis=-1)
    below = cumulative <= uniforms[..., None] * cumulative[..., -1:]
    return np.asarray(np.minimum(below.sum(axis=-1), distances.shape[-1] - 1))
