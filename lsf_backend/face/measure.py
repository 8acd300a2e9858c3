# SPDX-License-Identifier: Apache-2.0
"""Measures of the mouth in millimetres, on the real mesh but only at the vertices they need."""

from __future__ import annotations

import numpy as np

from .face_model import N_BETAS, FaceModel

# The share of the lip pairs, around the middle, over which the gap is averaged.
_MIDDLE_PAIRS = 5


def lip_gap_mm(face: FaceModel, arkit: np.ndarray, betas: np.ndarray | None = None) -> np.ndarray:
    """Return the gap between the lips [T] mm: ARKit weights [T, 52] (and betas [<=300]) -> [T].

    Mean over the middle pairs of the inner rims, less the gap of the resting face, whose lips
    meet: 0 is closed, negative is pressed together.
    """
    upper, lower = face.regions["lips_upper_inner"], face.regions["lips_lower_inner"]
    first = (len(upper) - _MIDDLE_PAIRS) // 2
    middle = slice(first, first + _MIDDLE_PAIRS)
    points, rest = _points(face, np.concatenate([upper[middle], lower[middle]]), arkit, betas)
    gap = points[:, :_MIDDLE_PAIRS, 1] - points[:, _MIDDLE_PAIRS:, 1]
    closed = rest[:_MIDDLE_PAIRS, 1] - rest[_MIDDLE_PAIRS:, 1]
    return np.asarray((gap - closed).mean(axis=1) * 1000.0)


def mouth_width_mm(
    face: FaceModel, arkit: np.ndarray, betas: np.ndarray | None = None
) -> np.ndarray:
    """Return the distance of the mouth's corners [T] mm: ARKit weights [T, 52] -> [T]."""
    upper = face.regions["lips_upper_inner"]
    points, _ = _points(face, upper[[0, -1]], arkit, betas)
    return np.asarray(np.linalg.norm(points[:, 0] - points[:, 1], axis=-1) * 1000.0)


def mouth_aperture_mm2(
    face: FaceModel, arkit: np.ndarray, betas: np.ndarray | None = None
) -> np.ndarray:
    """Return the area between the inner rims as seen from the front [T] mm^2.

    ARKit weights [T, 52] -> [T]; where the lips overlap they do not count as negative.
    """
    upper, lower = face.regions["lips_upper_inner"], face.regions["lips_lower_inner"]
    points, rest = _points(face, np.concatenate([upper, lower]), arkit, betas)
    n = len(upper)
    closed = rest[:n, 1] - rest[n:, 1]
    gap = np.maximum(points[:, :n, 1] - points[:, n:, 1] - closed, 0.0)
    x = 0.5 * (points[:, :n, 0] + points[:, n:, 0])
    strip = 0.5 * (gap[:, 1:] + gap[:, :-1]) * np.abs(np.diff(x, axis=1))
    return np.asarray(strip.sum(axis=1) * 1e6)


def _points(
    face: FaceModel, vertices: np.ndarray, arkit: np.ndarray, betas: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices [T, N, 3] m under the weights, and at rest [N, 3] m."""
    rest = face.v_template[vertices]
    if betas is not None:
        betas = np.asarray(betas, dtype=np.float32)
        rest = rest + face.shapedirs[vertices, :, : min(len(betas), N_BETAS)] @ betas[:N_BETAS]
    shapes = face.arkit_shapes(vertices)
    arkit = np.asarray(arkit, dtype=np.float32)
    return rest + np.einsum("tk,kvc->tvc", arkit, shapes), rest
