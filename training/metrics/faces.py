# SPDX-License-Identifier: Apache-2.0
"""From a face file to what the metrics need: vertices of motion, regions, and a linear basis.

Truth and systems both use the mean face (zero shape), as published code does.
"""

from __future__ import annotations

import numpy as np

from lsf_backend.face.face_model import FaceModel
from training.metrics.clip import Vertices
from training.metrics.regions import MIDDLE_PAIRS, Regions, middle_of

_N_EXPRESSION = 50
_NEEDED = ("lips", "upper_face", "lips_upper_inner", "lips_lower_inner")
# Reported one by one; a name ending in _ joins all regions that begin so.
_REPORTED = {"lips": "lips", "brows": "brows", "jaw": "jaw", "lids": "lids_"}


def vertices_of(face: FaceModel, betas: np.ndarray | None = None) -> Vertices:
    """The callable motion [S, T, 53] -> vertices [S, T, V, 3] m of a face."""

    def vertices(motion: np.ndarray) -> np.ndarray:
        s, t = motion.shape[:2]
        rows = motion.reshape(s * t, -1)
        posed = face.vertices(betas, rows[:, :_N_EXPRESSION], rows[:, _N_EXPRESSION:])
        return posed.reshape(s, t, *posed.shape[1:])

    return vertices


def regions_of(face: FaceModel) -> Regions:
    """Regions that the face file names; the bundled head's does."""
    missing = [name for name in _NEEDED if name not in face.regions]
    if missing:
        raise ValueError(f"the face has no region {', '.join(missing)}")
    found = {name: region.astype(np.int64) for name, region in face.regions.items()}
    named = {}
    for title, name in _REPORTED.items():
        parts = [
            region
            for key, region in found.items()
            if key == name or (name.endswith("_") and key.startswith(name))
        ]
        if parts:
            named[title] = np.unique(np.concatenate(parts))
    upper, lower = (middle_of(found[name]) for name in _NEEDED[2:])
    return Regions(found["lips"], found["upper_face"], upper, lower, named)


def linear_basis(vertices: Vertices, step: float = 0.05, n_motion: int = 53) -> np.ndarray:
    """Change of vertices per unit of each motion number near the neutral face: [53, V * 3] m.

    Central differences; EMOTE's vertex loss takes it (``training.baselines.base.vertex_gram``).
    """
    moved = np.eye(n_motion, dtype=np.float32)[:, None] * np.float32(step)
    difference = vertices(moved) - vertices(-moved)
    return np.asarray(difference.reshape(n_motion, -1) / (2 * step), dtype=np.float32)


def rims_on_mesh(face: FaceModel, lips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of vertices that face each other across the middle of the mouth: two of [<= 5].

    ``lips`` [n]: of these, what an opening jaw carries along is the lower lip; a pair are two that
    are nearest to each other on the resting face. For faces whose file names no rims.
    """
    jaw = np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0]], np.float32)
    rest, opened = face.vertices(None, np.zeros((2, _N_EXPRESSION), np.float32), jaw)[:, lips]
    moved = np.linalg.norm(opened - rest, axis=1)
    is_lower = moved > 0.5 * moved.max()
    lower, upper = np.flatnonzero(is_lower), np.flatnonzero(~is_lower)
    if not (lower.size and upper.size):
        raise ValueError("the lip region has no two sides that an opening jaw parts")
    apart = np.linalg.norm(rest[lower][:, None] - rest[upper][None], axis=2)
    to_upper, to_lower = apart.argmin(axis=1), apart.argmin(axis=0)
    mutual = np.flatnonzero(to_lower[to_upper] == np.arange(lower.size))
    pairs = np.stack([upper[to_upper[mutual]], lower[mutual]])
    from_middle = np.abs(rest[pairs, 0].mean(axis=0) - 0.5 * (rest[:, 0].min() + rest[:, 0].max()))
    chosen = pairs[:, np.argsort(from_middle, kind="stable")[:MIDDLE_PAIRS]]
    return lips[chosen[0]], lips[chosen[1]]
