# SPDX-License-Identifier: Apache-2.0
"""Identity of a neutral mesh in any topology: placed by landmarks, then drawn onto its surface.

A statistical closest-point fit: the face's 300 betas are the only way in which it may bend, so the
result is always a face. The error is the distance to the mesh's surface in mm; a poor fit is
refused. Not from the paper.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..errors import LsfError
from .face_model import N_BETAS, FaceModel
from .identity import IdentitySolver, Similarity, align, checked_mesh
from .nearest import Nearest, nearest

POOR_MM = 2.5
POOR_LANDMARKS_MM = 15.0
FEWEST_LANDMARKS = 4
_ROUNDS = 18
# Parts of the bundled head that lie on the surface of every face.
_OUTSIDE = ("upper_face", "lips", "jaw", "brows")


@dataclasses.dataclass(frozen=True)
class Surface:
    """A triangle mesh as points with normals, dense enough to find the nearest place on it."""

    points: np.ndarray
    normals: np.ndarray

    @classmethod
    def of(cls, vertices: np.ndarray, triangles: np.ndarray) -> Surface:
        """Vertices [N, 3] and triangles [M, 3]: corners, middles of sides and of triangles."""
        a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
        middles = [(a + b + c) / 3.0, (a + b) / 2.0, (b + c) / 2.0, (c + a) / 2.0]
        across = np.cross(b - a, c - a)
        unit = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
        corner_normals = vertex_normals(vertices, triangles)
        used = np.unique(triangles)
        return cls(
            np.concatenate([vertices[used], *middles]),
            np.concatenate([corner_normals[used], unit, unit, unit, unit]),
        )


@dataclasses.dataclass(frozen=True)
class RegistrationFit:
    """``betas`` [300] float32; distances of the fitted face to the mesh in mm; where it lies.

    ``rows`` are the vertices of the face that were compared; ``placement`` takes the mesh's points
    into the face's space.
    """

    betas: np.ndarray
    mean_mm: float
    max_mm: float
    landmarks_mm: float
    placement: Similarity
    rows: np.ndarray

    def sentence(self) -> str:
        """The result as the panel shows it."""
        return (
            f"Identity found: the fitted face is {self.mean_mm:.2f} mm from the mesh's surface on "
            f"average, {self.max_mm:.1f} mm at most, {self.landmarks_mm:.1f} mm at the landmarks."
        )


def landmark_vertices(face: FaceModel) -> dict[str, int]:
    """Vertices of the bundled head that people can pick on any face: name -> vertex."""
    if "lips_upper_inner" not in face.regions:
        raise LsfError("identity_invalid", "This face file has no regions to take landmarks from.")
    place = face.v_template
    upper, lower = face.regions["lips_upper_inner"], face.regions["lips_lower_inner"]
    ends = sorted((int(upper[0]), int(upper[-1])), key=lambda vertex: place[vertex, 0])
    found = {"mouth_right": ends[0], "mouth_left": ends[1]}
    middle = np.abs(place[:, 0]) < 0.006
    lip_top = place[upper, 1].mean()
    lids = np.concatenate([face.regions[f"lids_upper_{side}"] for side in ("left", "right")])
    nose = np.flatnonzero(middle & (place[:, 1] > lip_top) & (place[:, 1] < place[lids, 1].mean()))
    found["nose_tip"] = int(nose[place[nose, 2].argmax()])
    chin = np.flatnonzero(middle & (place[:, 1] < place[lower, 1].mean() - 0.022))
    found["chin"] = int(chin[place[chin, 2].argmax()])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        lid = face.regions[f"lids_upper_{side}"]
        outwards = sign * place[lid, 0]
        found[f"eye_outer_{side}"] = int(lid[outwards.argmax()])
        found[f"eye_inner_{side}"] = int(lid[outwards.argmin()])
    return found


def fit_other_topology(
    face: FaceModel,
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: dict[int, np.ndarray],
    rows: np.ndarray | None = None,
) -> RegistrationFit:
    """Fit the face to a neutral mesh: vertices [N, 3] in any unit, triangles [M, 3].

    ``landmarks``: vertex of the face -> point [3] on the mesh, four or more. ``rows``: vertices of
    the face to compare; by default the outside of the bundled head, all of another face. Raises
    LsfError (``identity_invalid``) where the result would not be the person.
    """
    mesh, faces = checked_mesh(vertices), _checked_triangles(triangles, len(vertices))
    pinned, points = _checked_landmarks(face, landmarks)
    start = align(points, face.v_template[pinned].astype(np.float64))
    _check_landmarks(face, pinned, start.apply(points))
    if rows is None:
        rows = _outside(face)
    surface = Surface.of(mesh, faces)
    tree = nearest(surface.points)
    solver = IdentitySolver(face, free_size=True)
    betas, placement = np.zeros(N_BETAS), start
    for progress in np.linspace(0.0, 1.0, _ROUNDS):
        shape = solver.shape(betas)
        target, normals, weights = _nearest(face, shape, rows, surface, tree, placement)
        left = np.abs(((target - shape)[rows] * normals[rows]).sum(axis=1))
        noise = max(float(np.median(left[weights[rows] > 0])) * 1.48, 1e-4) if len(left) else 1e-3
        # Landmarks lead and let go, as they were picked by hand; betas come in as it settles.
        pins = (pinned, placement.apply(points), 30.0 * (1.0 - progress) + 0.1)
        betas, placement = solver.step(
            betas, target, weights, noise, placement, normals, 10.0 ** (2.0 - 2.0 * progress), pins
        )
    return _result(face, solver.shape(betas), betas, placement, rows, surface, tree, pinned, points)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals [N, 3], weighted by the triangles' areas."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices, dtype=np.float64)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def _nearest(
    face: FaceModel,
    shape: np.ndarray,
    rows: np.ndarray,
    surface: Surface,
    tree: Nearest,
    placement: Similarity,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest places on the placed mesh: targets [V, 3], normals [V, 3], weights [V] (0 or 1)."""
    asked = (shape[rows] - placement.shift) @ placement.rotation / placement.scale
    distance, index = tree.query(asked)
    normal = surface.normals[index] @ placement.rotation.T
    own = vertex_normals(shape, face.faces)[rows]
    facing = (normal * own).sum(axis=1)
    limit = max(3.0 * float(np.median(distance)) * placement.scale, 0.002)
    good = (facing > 0.5) & (distance * placement.scale < limit)
    target, normals, weights = shape.copy(), np.zeros_like(shape), np.zeros(len(shape))
    target[rows] = placement.apply(surface.points[index])
    normals[rows], weights[rows] = normal, good
    return target, normals, weights


def _result(
    face: FaceModel,
    shape: np.ndarray,
    betas: np.ndarray,
    placement: Similarity,
    rows: np.ndarray,
    surface: Surface,
    tree: Nearest,
    pinned: np.ndarray,
    points: np.ndarray,
) -> RegistrationFit:
    target, normals, _ = _nearest(face, shape, rows, surface, tree, placement)
    away = target[rows] - shape[rows]
    along = np.abs((away * normals[rows]).sum(axis=1))
    # Where the plane of the nearest point is left, the straight distance tells the truth.
    beside = np.linalg.norm(away, axis=1)
    error = 1000.0 * np.where(beside > 0.006, beside, along)
    at_landmarks = 1000.0 * np.linalg.norm(placement.apply(points) - shape[pinned], axis=1)
    if not np.isfinite(error).all() or error.mean() > POOR_MM:
        raise LsfError(
            "identity_invalid",
            f"The face does not fit this mesh: {error.mean():.1f} mm off on average.",
            "Check the landmarks, the mesh's neutral expression, and that it is a human face.",
        )
    return RegistrationFit(
        betas.astype(np.float32),
        float(error.mean()),
        float(error.max()),
        float(at_landmarks.mean()),
        placement,
        rows,
    )


def _outside(face: FaceModel) -> np.ndarray:
    parts = [face.regions[name] for name in _OUTSIDE if name in face.regions]
    return np.unique(np.concatenate(parts)) if parts else np.arange(face.n_vertices)


def _checked_triangles(triangles: np.ndarray, count: int) -> np.ndarray:
    faces = np.asarray(triangles)
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu" or not len(faces):
        raise LsfError("identity_invalid", "The mesh has no triangles.", "Triangulate it first.")
    if faces.min() < 0 or faces.max() >= count:
        raise LsfError("identity_invalid", "A triangle of the mesh uses a vertex it does not have.")
    return faces.astype(np.int64)


def _checked_landmarks(
    face: FaceModel, landmarks: dict[int, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    if len(landmarks) < FEWEST_LANDMARKS:
        raise LsfError(
            "identity_invalid",
            f"{len(landmarks)} landmarks are too few.",
            f"Pick {FEWEST_LANDMARKS} or more: eye corners, nose tip, mouth corners, chin.",
        )
    pinned = np.array(sorted(landmarks))
    points = np.array([landmarks[vertex] for vertex in pinned.tolist()], dtype=np.float64)
    if points.shape != (len(pinned), 3) or not np.isfinite(points).all():
        raise LsfError("identity_invalid", "A landmark has no position.")
    if pinned.min() < 0 or pinned.max() >= face.n_vertices:
        raise LsfError("identity_invalid", "A landmark names a vertex that the face does not have.")
    return pinned, points


def _check_landmarks(face: FaceModel, pinned: np.ndarray, placed: np.ndarray) -> None:
    off_mm = 1000.0 * np.linalg.norm(placed - face.v_template[pinned], axis=1)
    if off_mm.mean() > POOR_LANDMARKS_MM:
        raise LsfError(
            "identity_invalid",
            f"The landmarks do not lie as on a face: {off_mm.mean():.0f} mm off on average, the "
            f"worst is number {int(off_mm.argmax()) + 1}.",
            "Left is the character's left.",
        )
