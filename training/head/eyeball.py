# SPDX-License-Identifier: Apache-2.0
"""Round eyeballs with iris and pupil in place of MakeHuman's plain white balls.

Rings of vertices around the gaze axis, so that pupil and iris end on exact circles. Displacements
of the old ball are carried over: gaze as a rigid motion, identity as translation and scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEGMENTS = 24
PUPIL_RADIUS_MM = 2.1
IRIS_RADIUS_MM = 6.0
LIMBUS_MM = 0.5
# A little smaller than MakeHuman's, so that the lids of every face keep clear of it.
_SIZE = 0.97
# Angles from the gaze axis of the rings behind the iris, degrees.
SCLERA_RINGS_DEG = (30.0, 42.0, 58.0, 78.0, 102.0, 132.0)


@dataclass(frozen=True)
class Eyeball:
    """vertices [N, 3] m; polygons [P, 4], -1 padded; material [P] of names; uv [P, 4, 2]."""

    vertices: np.ndarray
    polygons: np.ndarray
    material: np.ndarray
    uv: np.ndarray
    centre: np.ndarray
    radius: float


def make_eyeball(ball: np.ndarray) -> Eyeball:
    """Build the eye that replaces a ball of vertices [72, 3] m; it looks along +z."""
    centre, radius = fit_sphere(ball)
    radius *= _SIZE
    profile, names = _profile(radius)
    angle = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    rings = [np.column_stack([r * circle, np.full(SEGMENTS, z)]) for r, z in profile]
    front = np.array([[0.0, 0.0, profile[0][1] - 1e-4]])
    back = np.array([[0.0, 0.0, -radius]])
    vertices = np.concatenate([front, *rings, back]) + centre
    polygons, material = _polygons(len(rings), names)
    flat = 0.5 + 0.5 * (vertices - centre)[:, :2] / radius
    uv = np.where(polygons[:, :, None] >= 0, flat[polygons], 0.0)
    return Eyeball(vertices, polygons, material, uv, centre, radius)


def fit_sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the centre and the radius of the sphere nearest to points [N, 3]."""
    system = np.column_stack([2 * points, np.ones(len(points))])
    solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def carry_rigid(ball: np.ndarray, delta: np.ndarray, eye: Eyeball) -> np.ndarray:
    """Turn and move the eye as a displacement [72, 3] m moves the old ball -> [N, 3] m.

    The rigid motion of least squares, so that the eye stays round at full weight.
    """
    middle, moved = ball.mean(axis=0), (ball + delta).mean(axis=0)
    u, _, vt = np.linalg.svd((ball - middle).T @ (ball + delta - moved))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u @ flip @ vt).T
    return (eye.vertices - middle) @ rotation.T + moved - eye.vertices


def carry_round(ball: np.ndarray, delta: np.ndarray, eye: Eyeball) -> np.ndarray:
    """Move and scale the eye with displacements [.., 72, 3] m of the old ball -> [.., N, 3] m.

    Linear in ``delta`` and without rotation: eyes stay round and look ahead in every face.
    """
    arm = ball - ball.mean(axis=0)
    shift = delta.mean(axis=-2, keepdims=True)
    scale = np.einsum("...vc,vc->...", delta, arm) / (arm**2).sum()
    offset = ball.mean(axis=0) - eye.centre
    return shift + scale[..., None, None] * (eye.vertices - eye.centre - offset)


def _profile(radius: float) -> tuple[list[tuple[float, float]], list[str]]:
    """Return (ring radius, height) from front to back and the material in front of each ring."""
    iris, limbus = IRIS_RADIUS_MM / 1000, (IRIS_RADIUS_MM + LIMBUS_MM) / 1000
    rim = float(np.sqrt(radius**2 - limbus**2))
    # The iris is a shallow dish behind the rim: it catches the light like a real one.
    dish = [(PUPIL_RADIUS_MM / 1000, -1.1e-3), (0.5 * iris, -0.9e-3), (iris, -0.35e-3)]
    profile = [(r, rim + dz) for r, dz in dish] + [(limbus, rim)]
    names = ["pupil", "iris", "iris", "limbus"]
    for degrees in SCLERA_RINGS_DEG:
        theta = np.deg2rad(degrees)
        profile.append((radius * float(np.sin(theta)), radius * float(np.cos(theta))))
        names.append("sclera")
    return profile, [*names, "sclera"]


def _polygons(n_rings: int, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    polygons, material = [], []
    last = 1 + n_rings * SEGMENTS
    for i in range(SEGMENTS):
        j = (i + 1) % SEGMENTS
        polygons.append([0, 1 + i, 1 + j, -1])
        material.append(names[0])
        for ring in range(n_rings - 1):
            a = 1 + ring * SEGMENTS
            polygons.append([a + i, a + SEGMENTS + i, a + SEGMENTS + j, a + j])
            material.append(names[ring + 1])
        a = 1 + (n_rings - 1) * SEGMENTS
        polygons.append([a + i, last, a + j, -1])
        material.append(names[-1])
    return np.array(polygons), np.array(material)
