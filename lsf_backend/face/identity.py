# SPDX-License-Identifier: Apache-2.0
"""Identity from a neutral mesh: the 300 betas (z-scores) of a mesh in the face's own topology.

Similarity and betas are solved together by Gauss-Newton; betas have their prior N(0, 1), the noise
is estimated from what is left over, and single vertices that do not fit (horns, moved eyeballs)
lose weight. Not from the paper, which takes betas from its data.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import LsfError
from .face_model import N_BETAS, FaceModel, rotations

POOR_MM = 6.0
_ROUNDS = 12
_SETTLED = 1e-3
_SMALLEST_NOISE_M = 2e-6
# Lengths of a unit in metres; a mesh whose size fits one of them keeps its size as identity.
_UNITS_M = (1.0, 0.1, 0.01, 0.001, 0.0254)
_UNIT_TOLERANCE = 0.2


@dataclasses.dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift; takes points of a mesh into the face's space (metres)."""

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points [N, 3] -> [N, 3]."""
        return self.scale * points @ self.rotation.T + self.shift


@dataclasses.dataclass(frozen=True)
class IdentityFit:
    """``betas`` [300] float32, the errors of the fitted face in mm, and how the mesh was placed."""

    betas: np.ndarray
    mean_mm: float
    max_mm: float
    placement: Similarity

    def sentence(self) -> str:
        """The result as the panel shows it."""
        return (
            f"Identity found: the fitted face is {self.mean_mm:.2f} mm from the mesh on average, "
            f"{self.max_mm:.1f} mm at most."
        )


def fit_identity(
    face: FaceModel, vertices: np.ndarray, keep_size: bool | None = None
) -> IdentityFit:
    """Return the identity of a neutral mesh: vertices [V, 3] in the face's order.

    The mesh may lie anywhere, turned and in any unit. ``keep_size``: its size is part of the
    identity, as in FLAME (default), and its unit is m, dm, cm, mm or inch; the bundled head's
    identities all have one size (default: not kept).
    """
    mesh = checked_mesh(vertices)
    if len(mesh) != face.n_vertices:
        raise LsfError(
            "identity_invalid",
            f"The mesh has {len(mesh):,} vertices, the face has {face.n_vertices:,}.",
            "Use the face's own mesh (no modifiers applied that add vertices), or fit a mesh of "
            "another topology with landmarks.",
        )
    if keep_size is None:
        keep_size = face.jaw_shapes is None
    placement = align(mesh, face.v_template)
    if keep_size:
        placement = _with_unit(placement, mesh, face.v_template)
    solver = IdentitySolver(face, free_size=not keep_size)
    betas = np.zeros(N_BETAS)
    weights = np.ones(len(mesh))
    for _ in range(_ROUNDS):
        target = placement.apply(mesh)
        shape = solver.shape(betas)
        left = np.linalg.norm(target - shape, axis=1)
        # The median of a length in 3 D is 1.538 times its spread; outliers do not move it.
        noise = max(float(np.median(left)) / 1.538, _SMALLEST_NOISE_M)
        weights = np.minimum(1.0, (4.5 * noise / np.maximum(left, 1e-12)) ** 2)
        before = betas
        betas, placement = solver.step(betas, target, weights, noise, placement)
        if np.abs(betas - before).max() < _SETTLED:
            break
    error_mm = 1000.0 * np.linalg.norm(placement.apply(mesh) - solver.shape(betas), axis=1)
    if error_mm.mean() > POOR_MM:
        raise LsfError(
            "identity_invalid",
            f"The mesh does not fit the face: {error_mm.mean():.1f} mm off on average.",
            "Its vertices must be in the face's own order, and its expression neutral.",
        )
    return IdentityFit(
        betas.astype(np.float32), float(error_mm.mean()), float(error_mm.max()), placement
    )


def checked_mesh(vertices: np.ndarray) -> np.ndarray:
    """Return vertices [N, 3] float64, or raise one sentence for what cannot be a face."""
    try:
        mesh = np.asarray(vertices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LsfError("identity_invalid", "The mesh is not a list of points.") from error
    if mesh.ndim != 2 or mesh.shape[1] != 3 or len(mesh) < 4:
        raise LsfError(
            "identity_invalid", f"The mesh must be points [N, 3], got the shape {list(mesh.shape)}."
        )
    broken = np.flatnonzero(~np.isfinite(mesh).all(axis=1))
    if len(broken):
        raise LsfError(
            "identity_invalid",
            f"{len(broken):,} vertices of the mesh have no position (NaN), first {broken[0]}.",
            "Repair the mesh first.",
        )
    if np.linalg.norm(mesh - mesh.mean(axis=0), axis=1).max() < 1e-9:
        raise LsfError("identity_invalid", "All vertices of the mesh are in one point.")
    return mesh


def align(points: np.ndarray, onto: np.ndarray, weights: np.ndarray | None = None) -> Similarity:
    """Least-squares similarity that takes points [N, 3] onto points [N, 3] (Umeyama 1991).

    Raises LsfError for a mirrored mesh, which no rotation can turn into the face.
    """
    share = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    centre, goal = share @ points, share @ onto
    from_points, from_onto = points - centre, onto - goal
    u, values, vt = np.linalg.svd((from_onto * share[:, None]).T @ from_points)
    mirrored = np.linalg.det(u @ vt) < 0.0
    if mirrored and len(points) > 100 and values[2] > 0.05 * values[0]:
        raise LsfError(
            "identity_invalid",
            "The mesh is mirrored: its left is the face's right.",
            "Apply its scale, and mind a negative one.",
        )
    sign = np.array([1.0, 1.0, -1.0 if mirrored else 1.0])
    rotation = (u * sign) @ vt
    scale = float(values @ sign / (share @ (from_points**2).sum(axis=1)))
    return Similarity(scale, rotation, goal - scale * rotation @ centre)


class IdentitySolver:
    """Gauss-Newton steps for betas and placement together; vertices may be a part of the face."""

    def __init__(self, face: FaceModel, *, free_size: bool) -> None:
        self._template = face.v_template.astype(np.float64)
        self._basis = face.shapedirs[:, :, :N_BETAS].reshape(-1, N_BETAS).astype(np.float64)
        if not self._basis.any():
            raise LsfError("identity_invalid", "This face file knows one identity only.")
        self._free_size = free_size
        self._gram = np.empty((0, 0))

    def shape(self, betas: np.ndarray) -> np.ndarray:
        """Neutral face [V, 3] m of betas [300]."""
        return self._template + (self._basis @ betas).reshape(-1, 3)

    def step(
        self,
        betas: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray,
        noise_m: float,
        placement: Similarity,
        normals: np.ndarray | None = None,
        prior: float = 1.0,
        pins: tuple[np.ndarray, np.ndarray, float] | None = None,
    ) -> tuple[np.ndarray, Similarity]:
        """Return better betas [300] and placement for placed targets [V, 3] m.

        The target is turned, moved and perhaps scaled towards the face; ``weights`` [V] in 0..1.
        With ``normals`` [V, 3] only the distance along them counts, and ``pins`` (vertices [L],
        placed targets [L, 3], weight) hold in all directions. Betas keep their spread of 1 against
        ``noise_m``; ``prior`` stiffens it.
        """
        # Derivatives at the face, not at the target: noise there would shrink it.
        place = self.shape(betas)
        moves = _small_moves(place, self._free_size)
        right = target - self._template
        if normals is None:
            share = np.repeat(weights, 3)
            gram = self._weighted_gram(weights)
            cross = self._basis.T @ (moves * share[:, None])
            goal = self._basis.T @ (right.ravel() * share)
            moved, goal_moves = (
                moves.T @ (moves * share[:, None]),
                moves.T @ (right.ravel() * share),
            )
        else:
            rows = np.flatnonzero(weights)
            share, along = weights[rows, None], normals[rows, :, None]
            basis = (self._basis.reshape(-1, 3, N_BETAS)[rows] * along).sum(axis=1)
            small = (moves.reshape(len(target), 3, -1)[rows] * along).sum(axis=1)
            wanted = (right[rows] * normals[rows]).sum(axis=1) * weights[rows]
            gram, cross = basis.T @ (basis * share), basis.T @ (small * share)
            goal, goal_moves = basis.T @ wanted, small.T @ wanted
            moved = small.T @ (small * share)
            if pins is not None:
                vertices, points, weight = pins
                basis = self._basis.reshape(-1, 3, N_BETAS)[vertices].reshape(-1, N_BETAS)
                small = moves.reshape(len(target), 3, -1)[vertices].reshape(basis.shape[0], -1)
                wanted = weight * (points - self._template[vertices]).ravel()
                gram, cross = gram + weight * basis.T @ basis, cross + weight * basis.T @ small
                goal, goal_moves = goal + basis.T @ wanted, goal_moves + small.T @ wanted
                moved = moved + weight * small.T @ small
        count = N_BETAS
        normal = np.block([[gram, -cross], [-cross.T, moved]])
        normal[np.arange(count), np.arange(count)] += prior * noise_m**2
        # Keeps the system solvable where few points count; far below any real information.
        normal[np.arange(count, len(normal)), np.arange(count, len(normal))] += 1e-12
        solved = np.linalg.solve(normal, np.concatenate([goal, -goal_moves]))
        return solved[:count], _moved(placement, place.mean(axis=0), solved[count:])

    def _weighted_gram(self, weights: np.ndarray) -> np.ndarray:
        """Weighted products of the directions: all of them once, then only what weighs less."""
        if not len(self._gram):
            self._gram = self._basis.T @ self._basis
        less = np.flatnonzero(weights < 1.0)
        part = self._basis.reshape(-1, 3, N_BETAS)[less].reshape(-1, N_BETAS)
        return self._gram - part.T @ (part * np.repeat(1.0 - weights[less], 3)[:, None])


def _small_moves(points: np.ndarray, free_size: bool) -> np.ndarray:
    """Derivatives of points by turn (x, y, z), shift (x, y, z) and size: [3 N, 6 or 7]."""
    centred = points - points.mean(axis=0)
    moves = np.zeros((len(points), 3, 7 if free_size else 6))
    x, y, z = centred.T
    moves[:, 1, 0], moves[:, 2, 0] = -z, y
    moves[:, 0, 1], moves[:, 2, 1] = z, -x
    moves[:, 0, 2], moves[:, 1, 2] = -y, x
    moves[:, [0, 1, 2], [3, 4, 5]] = 1.0
    if free_size:
        moves[:, :, 6] = centred
    return moves.reshape(-1, moves.shape[2])


def _moved(placement: Similarity, centre: np.ndarray, move: np.ndarray) -> Similarity:
    turn = rotations(move[:3]).astype(np.float64)
    size = 1.0 + (float(np.clip(move[6], -0.5, 0.5)) if len(move) > 6 else 0.0)
    shift = size * turn @ (placement.shift - centre) + centre + move[3:6]
    return Similarity(placement.scale * size, turn @ placement.rotation, shift)


def _with_unit(placement: Similarity, mesh: np.ndarray, template: np.ndarray) -> Similarity:
    unit = min(_UNITS_M, key=lambda metres: abs(np.log(metres / placement.scale)))
    if abs(unit / placement.scale - 1.0) > _UNIT_TOLERANCE:
        raise LsfError(
            "identity_invalid",
            f"The mesh is {1.0 / placement.scale:.3g} times as large as a head in metres, which "
            "is no unit of length.",
            "Scale it to metres or centimetres.",
        )
    shift = template.mean(axis=0) - unit * placement.rotation @ mesh.mean(axis=0)
    return Similarity(unit, placement.rotation, shift)
