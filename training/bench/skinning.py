# SPDX-License-Identifier: Apache-2.0
"""Linear blend skinning of a face of FLAME's size: ours, and ``smplx``'s where it is installed.

A random face with 5,023 vertices and every joint weighted; 250 frames, the jaw and all joints.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch

from lsf_backend.face.face_model import FaceModel
from training.bench.measure import best_seconds

VERTICES, FRAMES = 5023, 250


def measure_skinning(vertices: int = VERTICES, frames: int = FRAMES) -> list[dict[str, Any]]:
    """Processor seconds for all frames, and the largest difference in metres."""
    face = random_face(vertices)
    random = np.random.default_rng(1)
    betas = random.normal(size=300).astype(np.float32)
    expression = random.normal(size=(frames, 50)).astype(np.float32)
    pose = random.normal(0.0, 0.2, (frames, 5, 3)).astype(np.float32)
    jaw_only = np.zeros_like(pose)
    jaw_only[:, 2] = pose[:, 2]
    rows = []
    for name, turns in (("jaw", jaw_only), ("all joints", pose)):
        row: dict[str, Any] = {"pose": name, "frames": frames, "vertices": vertices}
        row["ours_s"] = best_seconds(lambda t=turns: ours(face, betas, expression, t))
        if importlib.util.find_spec("smplx"):
            row["smplx_s"] = best_seconds(lambda t=turns: theirs(face, betas, expression, t))
            off = ours(face, betas, expression, turns) - theirs(face, betas, expression, turns)
            row["ratio"] = row["smplx_s"] / row["ours_s"]
            row["largest_difference_m"] = float(np.abs(off).max())
        rows.append(row)
    return rows


def random_face(vertices: int) -> FaceModel:
    """A face of FLAME's layout with random numbers: no term of the model is zero."""
    random = np.random.default_rng(0)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (scale * random.standard_normal(shape)).astype(np.float32)

    weights, regressor = random.random((vertices, 5)), random.random((5, vertices))
    return FaceModel(
        v_template=draw(vertices, 3, scale=0.1),
        shapedirs=draw(vertices, 3, 400, scale=1e-3),
        posedirs=draw(vertices, 3, 36, scale=1e-3),
        j_regressor=(regressor / regressor.sum(axis=1, keepdims=True)).astype(np.float32),
        weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        parents=np.array([-1, 0, 1, 1, 1]),
        faces=random.integers(0, vertices, (2 * vertices, 3)),
    )


def ours(
    face: FaceModel, betas: np.ndarray, expression: np.ndarray, pose: np.ndarray
) -> np.ndarray:
    """Vertices [T, V, 3] m of poses [T, 5, 3] rad by our numpy code."""
    if not np.delete(pose, 2, axis=1).any():
        return face.vertices(betas, expression, pose[:, 2])
    return face.vertices(
        betas,
        expression,
        pose[:, 2],
        global_pose=pose[:, 0],
        neck_pose=pose[:, 1],
        eye_pose=pose[:, 3:].reshape(len(pose), 6),
    )


def theirs(
    face: FaceModel, betas: np.ndarray, expression: np.ndarray, pose: np.ndarray
) -> np.ndarray:
    """Return the same by ``smplx.lbs.lbs`` (non-commercial research licence: measured only)."""
    from smplx.lbs import lbs

    both = np.hstack([np.tile(betas, (len(pose), 1)), expression])
    tensors = (
        both,
        pose.reshape(len(pose), -1),
        face.v_template[None],
        face.shapedirs[:, :, : both.shape[1]],
        face.posedirs.reshape(-1, 36).T,
        face.j_regressor,
    )
    with torch.no_grad():
        made, _ = lbs(
            *(torch.from_numpy(np.ascontiguousarray(array)) for array in tensors),
            torch.from_numpy(face.parents),
            torch.from_numpy(face.weights),
        )
    return np.asarray(made)
