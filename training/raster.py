# SPDX-License-Identifier: Apache-2.0
"""Draws a mesh with smooth shading in numpy: videos of the study and the heat maps of figure 4.

No window system, no graphics driver, the same pixels everywhere; about a tenth of a second a face.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from scipy import sparse

from lsf_backend.face.face_model import FaceModel

_LIGHTS = ((np.array([0.35, 0.45, 0.82]), 0.75), (np.array([-0.7, 0.1, 0.7]), 0.25))
_AMBIENT = 0.28
_SUPERSAMPLES = 2
# A linear colour is a displayed one to this power.
GAMMA = 2.2


@dataclasses.dataclass(frozen=True)
class View:
    """A camera in front of the face: picture of ``width`` x ``height`` pixels.

    ``turn_deg`` turns the face to its left; ``middle`` [3] m is in the picture's centre, whose
    height is ``span_m`` m; ``distance_m`` from the camera to there.
    """

    middle: np.ndarray
    span_m: float
    width: int
    height: int
    turn_deg: float = 12.0
    distance_m: float = 0.9

    @classmethod
    def of_head(cls, points: np.ndarray, size: tuple[int, int], close: bool = False) -> View:
        """A view of points [V, 3] m in ``size`` (width, height); ``close`` cuts the neck off."""
        low, high = points.min(axis=0), points.max(axis=0)
        span = float(max(high[1] - low[1], (high[0] - low[0]) * size[1] / size[0]))
        if close:
            return cls((low + high) / 2 + [0.0, 0.1 * span, 0.0], 0.9 * span, *size)
        return cls((low + high) / 2, 1.12 * span, *size)

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Points [V, 3] m -> x and y in samples from the top left, and nearness, [V, 3]."""
        angle = np.deg2rad(self.turn_deg)
        cos, sin = np.cos(angle), np.sin(angle)
        turned = (points - self.middle) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        scale = self.height * _SUPERSAMPLES / self.span_m
        near = self.distance_m / (self.distance_m - turned[:, 2])
        x = turned[:, 0] * near * scale + self.width * _SUPERSAMPLES / 2
        y = self.height * _SUPERSAMPLES / 2 - turned[:, 1] * near * scale
        return np.stack([x, y, turned[:, 2]], axis=1).astype(np.float32)


def colours_of(face: FaceModel) -> np.ndarray:
    """Linear colours [F, 3] of a face's triangles: its materials, or grey where it has none."""
    if "polygon_material" not in face.extras:
        return np.full((len(face.faces), 3), 0.45, np.float32)
    material = face.extras["polygon_material"]
    # A head's triangles are all polygons' first ones, then the second ones of its quads.
    second = face.extras["polygons"][:, 3] >= 0
    return face.extras["material_colors"][np.concatenate([material, material[second]]), :3]


class Raster:
    """Draws one mesh again and again: triangles [F, 3] in the order of FLAME (outside: ccw)."""

    def __init__(self, triangles: np.ndarray, n_vertices: int, view: View) -> None:
        self.view = view
        self._triangles = triangles
        self._n_vertices = n_vertices

    @cached_property
    def _to_vertices(self) -> sparse.csr_matrix:
        rows = self._triangles.ravel()
        columns = np.repeat(np.arange(len(self._triangles)), 3)
        ones = np.ones(rows.size, np.float32)
        return sparse.csr_matrix((ones, (rows, columns)), (self._n_vertices, len(self._triangles)))

    def draw(self, points: np.ndarray, colours: np.ndarray, background: float = 0.03) -> np.ndarray:
        """Points [V, 3] m and linear colours [F or V, 3] -> picture [height, width, 3] uint8."""
        view, k = self.view, _SUPERSAMPLES
        seen = view.seen(points)
        light = self._light(points)
        corners = seen[self._triangles]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        # On a screen whose y goes down, what faces the camera runs the other way round.
        front = np.flatnonzero(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < -1e-6)
        pixel, which, weights = self._covered(corners[front])
        shape = (view.height * k, view.width * k, 3)
        picture = np.full((shape[0] * shape[1], 3), background, np.float32)
        triangles = self._triangles[front[which]]
        shade = (light[triangles] * weights).sum(axis=1)[:, None]
        if len(colours) == self._n_vertices:
            paint = (colours[triangles] * weights[:, :, None]).sum(axis=1)
        else:
            paint = colours[front[which]]
        picture[pixel] = paint * shade
        mean = picture.reshape(view.height, k, view.width, k, 3).mean(axis=(1, 3))
        return (np.clip(mean, 0.0, 1.0) ** (1 / GAMMA) * 255.0 + 0.5).astype(np.uint8)

    def _light(self, points: np.ndarray) -> np.ndarray:
        """Brightness of every vertex [V]."""
        corners = points[self._triangles]
        normal = self._to_vertices @ np.cross(
            corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        )
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        lit = sum(power * np.maximum(normal @ way, 0.0) for way, power in _LIGHTS)
        return np.asarray(_AMBIENT + lit, dtype=np.float32)

    def _covered(self, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Triangles [n, 3, 3] on the screen -> samples seen, their triangle, weights [m, 3]."""
        k = _SUPERSAMPLES
        width, height = self.view.width * k, self.view.height * k
        low = np.floor(corners[:, :, :2].min(axis=1) - 0.5).astype(np.int32) + 1
        size = np.ceil(corners[:, :, :2].max(axis=1) - 0.5).astype(np.int32) - low
        reach = size.max(axis=1)
        found = [_inside(corners[:0], low[:0], 1, reach[:0], width, height)]
        previous = 0
        for box in (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
            some = np.flatnonzero((reach <= box) & (reach > previous))
            previous = box
            if some.size:
                found.append(_inside(corners[some], low[some], box, some, width, height))
        pixel, which, weights, near = (np.concatenate(parts) for parts in zip(*found, strict=True))
        # The nearest is written last and stays.
        order = np.argsort(near, kind="stable")
        top = np.full(width * height, -1, np.int64)
        top[pixel[order]] = order
        seen = top[top >= 0]
        return pixel[seen], which[seen], weights[seen]


def _inside(
    corners: np.ndarray, low: np.ndarray, box: int, names: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Samples inside triangles no larger than ``box``: number, triangle, weights, nearness."""
    steps = np.arange(box, dtype=np.int32)
    x = (low[:, 0, None, None] + steps[None, None, :]).astype(np.float32) + 0.5
    y = (low[:, 1, None, None] + steps[None, :, None]).astype(np.float32) + 0.5
    p = corners[:, :, None, None, :]
    area = _cross(p[:, 0], p[:, 1], p[:, 2, ..., 0], p[:, 2, ..., 1])
    w0 = _cross(p[:, 1], p[:, 2], x, y) / area
    w1 = _cross(p[:, 2], p[:, 0], x, y) / area
    w2 = 1.0 - w0 - w1
    inside = (w0 >= 0) & (w1 >= 0) & (w2 >= 0)
    inside &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    n, row, column = np.nonzero(inside)
    weights = np.stack([w0[inside], w1[inside], w2[inside]], axis=1)
    near = (weights * corners[n, :, 2]).sum(axis=1)
    pixel = (low[n, 1] + row).astype(np.int64) * width + low[n, 0] + column
    return pixel, names[n], weights, near


def _cross(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Twice the signed area of a, b, (x, y)."""
    out: np.ndarray = (b[..., 0] - a[..., 0]) * (y - a[..., 1])
    return out - (b[..., 1] - a[..., 1]) * (x - a[..., 0])
