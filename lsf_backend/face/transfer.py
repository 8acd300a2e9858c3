# SPDX-License-Identifier: Apache-2.0
"""FLAME's motion as ARKit weights and back, by geometry: the same displacements on the same face.

The bundled head is fitted to the other face's neutral mesh (``registration``); its 52 shapes are
carried over to the nearest vertices there. A frame then is a box-constrained, temporally smooth fit
of those shapes to the frame's displacements, or FLAME's coefficients to the shapes' displacements.
Errors are stated in mm. Not from the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from ..errors import LsfError
from .arkit import ARKIT_NAMES
from .box_solve import solve_weights
from .face_model import N_EXPRESSION, FaceModel
from .nearest import nearest
from .registration import RegistrationFit, vertex_normals

# A vertex farther than this from the fitted head is hair, neck or the inside of the mouth.
_NEAR_M = 0.006
_OTHER_WAY_M = 0.004
_FEWEST_ROWS = 50
_CHUNK = 200
# A small pull of every weight to 0 (share of a shape's size), so that shapes do not cancel out.
_MODEST = 0.002
_JAW_STEP_RAD = 0.1
_JAW_LARGEST_RAD = 0.7


@dataclasses.dataclass(frozen=True)
class TransferError:
    """How far the made motion is from the wanted one, over all frames and compared vertices."""

    mean_mm: float
    max_mm: float
    moved_mm: float

    def sentence(self) -> str:
        """The error as people read it."""
        return (
            f"The motion is met to {self.mean_mm:.2f} mm on average ({self.max_mm:.1f} mm at "
            f"most), where the face moves by {self.moved_mm:.1f} mm."
        )


@dataclasses.dataclass(frozen=True)
class CarriedShapes:
    """ARKit's shapes on another face: ``rows`` [N] of its vertices, ``shapes`` [52, N, 3] m."""

    rows: np.ndarray
    shapes: np.ndarray


def carry_shapes(head: FaceModel, fit: RegistrationFit, face: FaceModel) -> CarriedShapes:
    """Carry the head's 52 shapes to a face that ``fit`` was made on (its neutral mesh, metres)."""
    fitted = head.shaped(fit.betas).astype(np.float64)
    placed = fit.placement.apply(face.v_template.astype(np.float64))
    own = vertex_normals(placed, face.faces)
    usable = np.isin(head.faces, fit.rows).all(axis=1)
    if not usable.any():
        raise LsfError("identity_invalid", "The fitted head has no surface to carry shapes from.")
    triangles = head.faces[usable]
    normals = vertex_normals(fitted, head.faces)
    some = min(8, len(triangles))
    _, near = nearest(fitted[triangles].mean(axis=1)).query(placed, k=some)
    near = near.reshape(len(placed), -1)
    facing = np.einsum("vx,vcx->vc", own, normals[triangles[near, 0]])
    shares, distance, best = _closest(placed, fitted, triangles[near], facing)
    every = np.arange(len(placed))
    chosen, facing = near[every, best], facing[every, best]
    # Eyeballs lie close behind the lids, but do not move with them.
    eyes = face.weights[:, 3:].sum(axis=1) > 0.5
    rows = np.flatnonzero((distance < _NEAR_M) & (facing > 0.3) & ~eyes)
    if len(rows) < _FEWEST_ROWS:
        raise LsfError(
            "identity_invalid",
            f"Only {len(rows)} vertices of the face lie on the fitted head.",
            "Fit the head to the neutral mesh of this very face first.",
        )
    corners = triangles[chosen[rows]]
    shapes = head.arkit_shapes().astype(np.float64)
    there = np.einsum("nc,kncx->knx", shares[rows], shapes[:, corners])
    return CarriedShapes(rows, there @ fit.placement.rotation / fit.placement.scale)


def arkit_from_flame(
    carried: CarriedShapes,
    face: FaceModel,
    motion: np.ndarray,
    betas: np.ndarray | None = None,
    calm: float = 0.02,
) -> tuple[np.ndarray, TransferError]:
    """ARKit weights [T, 52] float32 in 0..1 for FLAME motion [T, 53], with the error stated."""
    motion = _checked(motion, 53)
    flat = carried.shapes.reshape(len(carried.shapes), -1)
    size = np.einsum("kn,kn->k", flat, flat).mean() + 1e-18
    gram = flat @ flat.T / size + _MODEST * np.eye(len(flat))
    right = np.zeros((len(motion), len(flat)))
    for part in _chunks(len(motion)):
        right[part] = _displacements(face, motion[part], betas, carried.rows) @ flat.T / size
    weights = solve_weights(gram, right, calm)
    return weights.astype(np.float32), _error(
        (weights[part] @ flat, _displacements(face, motion[part], betas, carried.rows))
        for part in _chunks(len(motion))
    )


def flame_from_arkit(
    carried: CarriedShapes, face: FaceModel, weights: np.ndarray, prior: float = 0.02
) -> tuple[np.ndarray, TransferError]:
    """FLAME motion [T, 53] (50 expression, 3 jaw rad) for ARKit weights [T, 52], with the error.

    Expression coefficients keep a prior of spread 1 (times ``prior``, a share of their size).
    """
    weights = _checked(weights, len(ARKIT_NAMES)).astype(np.float64)
    rows, flat = carried.rows, carried.shapes.reshape(len(ARKIT_NAMES), -1)
    directions = face.shapedirs[rows, :, 300 : 300 + N_EXPRESSION].astype(np.float64)
    expression_rows = directions.reshape(-1, N_EXPRESSION).T
    motion = np.zeros((len(weights), 53))
    for part in _chunks(len(weights)):
        motion[part] = _solved(face, rows, expression_rows, weights[part] @ flat, prior)
    return motion.astype(np.float32), _error(
        (_displacements(face, motion[part], None, rows), weights[part] @ flat)
        for part in _chunks(len(weights))
    )


def _solved(
    face: FaceModel, rows: np.ndarray, expression_rows: np.ndarray, wanted: np.ndarray, prior: float
) -> np.ndarray:
    """Motion [n, 53] for displacements [n, 3 N]; every frame by itself."""
    motion = np.zeros((len(wanted), 53))
    for around in (0.0, None, None):  # the jaw's turn is not linear: solve around the last answer
        middle = float(np.median(motion[:, 50])) if around is None else around
        basis = np.concatenate([expression_rows, _jaw_directions(face, rows, middle)])
        size = np.einsum("kn,kn->k", basis, basis)
        pull = np.zeros(len(basis))
        pull[:N_EXPRESSION] = prior * size[:N_EXPRESSION].mean()
        # What the linear picture leaves out of the present answer is put right as well.
        goal = wanted - _displacements(face, motion, None, rows) + motion[:, : len(basis)] @ basis
        gram = basis @ basis.T + np.diag(pull)
        motion[:, : len(basis)] = np.linalg.solve(gram, basis @ goal.T).T
        motion[:, 50] = np.clip(motion[:, 50], -0.1, _JAW_LARGEST_RAD)
        motion[:, 51] = np.clip(motion[:, 51], -_JAW_LARGEST_RAD / 2, _JAW_LARGEST_RAD / 2)
    return motion


def _chunks(frames: int) -> list[slice]:
    """Pieces of a take, so that memory does not grow with its length."""
    return [slice(first, first + _CHUNK) for first in range(0, frames, _CHUNK)]


def _displacements(
    face: FaceModel, motion: np.ndarray, betas: np.ndarray | None, rows: np.ndarray
) -> np.ndarray:
    """How far some vertices are from rest: motion [n, 53] -> [n, 3 N] m."""
    posed = face.vertices(betas, motion[:, :N_EXPRESSION], motion[:, N_EXPRESSION:])[:, rows]
    return (posed.astype(np.float64) - face.shaped(betas)[rows]).reshape(len(motion), -1)


def _jaw_directions(face: FaceModel, rows: np.ndarray, around: float) -> np.ndarray:
    """Derivatives by the jaw's turns about x and y at ``around`` rad of opening: [2, 3 N]."""
    motion = np.zeros((4, 53))
    motion[:, 50] = around
    motion[[0, 1], 50] += [_JAW_STEP_RAD, -_JAW_STEP_RAD]
    motion[[2, 3], 51] = [_JAW_STEP_RAD, -_JAW_STEP_RAD]
    moved = _displacements(face, motion, None, rows)
    return (moved[[0, 2]] - moved[[1, 3]]) / (2.0 * _JAW_STEP_RAD)


def _closest(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, facing: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best of some triangles [V, C, 3] to each point: shares of corners [V, 3], distance, which.

    One that faces another way (the other lip) must be clearly nearer to be taken.
    """
    a, b, c = (vertices[triangles[..., corner]] for corner in range(3))
    first, second, out = b - a, c - a, points[:, None] - a
    pairs = ((first, first), (first, second), (second, second), (out, first), (out, second))
    d00, d01, d11, d20, d21 = ((p * q).sum(axis=-1) for p, q in pairs)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    # Outside of a triangle: pulled to its border, near enough on a mesh of small triangles.
    shares = np.clip(np.stack([1.0 - v - w, v, w], axis=-1), 0.0, None)
    shares /= shares.sum(axis=-1, keepdims=True)
    there = shares[..., :1] * a + shares[..., 1:2] * b + shares[..., 2:] * c
    distance = np.linalg.norm(points[:, None] - there, axis=-1)
    best = (distance + _OTHER_WAY_M * (1.0 - facing)).argmin(axis=1)
    every = np.arange(len(points))
    return shares[every, best], distance[every, best], best


def _error(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> TransferError:
    """Errors of made against wanted displacements, each [n, 3 N] m, over all parts."""
    off_sum = moved_sum = largest = 0.0
    count = 0
    for made, wanted in parts:
        off = 1000.0 * np.linalg.norm((made - wanted).reshape(-1, 3), axis=1)
        off_sum, largest = off_sum + off.sum(), max(largest, float(off.max(initial=0.0)))
        moved_sum += 1000.0 * np.linalg.norm(wanted.reshape(-1, 3), axis=1).sum()
        count += len(off)
    return TransferError(off_sum / max(count, 1), largest, moved_sum / max(count, 1))


def _checked(values: np.ndarray, width: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != width or not np.isfinite(values).all():
        raise LsfError(
            "request_invalid",
            f"Motion must be finite numbers [T, {width}], got the shape {list(values.shape)}.",
        )
    return values
