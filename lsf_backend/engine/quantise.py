# SPDX-License-Identifier: Apache-2.0
"""The quantiser of section 3 in numpy: residual levels, nearest code or a draw per frame."""

from __future__ import annotations

import numpy as np

from lsf_backend.sampling import draw_codes, frame_uniforms


def quantise(
    latent: np.ndarray,
    books: np.ndarray,
    tau: np.ndarray,
    temperature: float,
    seed: int,
    first_frame: int,
) -> np.ndarray:
    """Latent [T, d], codebooks [R, K, C], tau [R] -> zq [T, d] float32.

    Temperature 0 takes the nearest codes; above, a draw that belongs to seed and absolute frame.
    """
    n_levels, _, d_code = books.shape
    tokens = latent.reshape(len(latent), -1, d_code)
    n_tokens = tokens.shape[1]
    uniforms = frame_uniforms(seed, first_frame, len(latent), n_tokens * n_levels)
    draws = uniforms.reshape(len(latent), n_tokens, n_levels)
    residual, chosen = tokens, np.zeros_like(tokens)
    for level in range(n_levels):
        book = books[level]
        distances = _squared_distances(residual, book)
        codes = draw_codes(distances, temperature * float(tau[level]), draws[..., level])
        residual = residual - book[codes]
        chosen = chosen + book[codes]
    return np.asarray(chosen.reshape(latent.shape), dtype=np.float32)


def _squared_distances(tokens: np.ndarray, book: np.ndarray) -> np.ndarray:
    """Tokens [..., C], book [K, C] -> [..., K]."""
    cross = tokens @ book.T
    return np.asarray((tokens**2).sum(-1, keepdims=True) - 2.0 * cross + (book**2).sum(-1))
