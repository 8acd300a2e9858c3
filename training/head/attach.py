# SPDX-License-Identifier: Apache-2.0
"""Small things that ride on the face: single lashes and eyebrows.

Each of their vertices is a fixed mix of vertices of base.obj, so every target moves them along.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from .source import METRES_PER_UNIT, AnnyData

# Lashes are sampled on MakeHuman's lash strips: share of the strip's length, spikes per strip.
_LASH_LENGTH = {"upper": 1.0, "lower": 0.7}
_LASH_COUNT = {"upper": 30, "lower": 16}
_LASH_WIDTH_MM = {"upper": 0.42, "lower": 0.28}
_LASH_GROUPS = {"lower": "helper-{}-eyelashes-1", "upper": "helper-{}-eyelashes-2"}

# The left brow seen from the front, mm from the left eye's centre: x, y, half height.
_BROW = np.array(
    [
        (-18.0, 14.8, 0.6),
        (-17.2, 15.0, 2.0),
        (-14.5, 15.9, 2.9),
        (-9.0, 17.6, 3.1),
        (-2.0, 19.4, 2.8),
        (5.0, 20.3, 2.4),
        (11.0, 19.9, 1.9),
        (16.5, 18.0, 1.6),
        (20.5, 15.8, 1.0),
        (23.5, 13.6, 0.3),
    ]
)
_BROW_COLUMNS, _BROW_ROWS = 27, 5
_BROW_LIFT_MM = np.array([-0.25, 0.55, 0.75, 0.55, -0.25])


@dataclass(frozen=True)
class Attached:
    """Riding vertices: sources [N, 4] (base.obj) mixed by shares [N, 4], plus lift [N, 3] m.

    polygons [P, 4] (own numbers, -1 padded); material: one name; uv [P, 4, 2].
    """

    sources: np.ndarray
    shares: np.ndarray
    lift: np.ndarray
    polygons: np.ndarray
    material: str
    uv: np.ndarray

    def carry(self, field: np.ndarray) -> np.ndarray:
        """Mix a field over base.obj [19158, 3] dm -> [N, 3] m, without the lift."""
        mixed = (field[self.sources] * self.shares[:, :, None]).sum(axis=1)
        return np.asarray(mixed * METRES_PER_UNIT)


def make_lashes(source: AnnyData, neutral: np.ndarray) -> list[Attached]:
    """Return single lashes for both eyes; neutral [19158, 3] dm."""
    strips = []
    for side, lid in ((s, lid) for s in "lr" for lid in ("upper", "lower")):
        group = source.mesh.groups == _LASH_GROUPS[lid].format(side)
        polygons, uv = source.mesh.polygons[group], source.mesh.uv[source.mesh.uv_polygons[group]]
        grid = _grid(polygons, neutral)
        corner_uv = dict(zip(polygons.reshape(-1).tolist(), uv.reshape(-1, 2), strict=True))
        grid_uv = np.array([[corner_uv[v] for v in row] for row in grid.tolist()])
        strips.append(_spikes(grid, grid_uv, neutral, lid))
    return strips


def _grid(polygons: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Order a strip of quads as [rows from root to tip, columns] of vertex numbers."""
    count: dict[frozenset[int], int] = defaultdict(int)
    around: dict[int, set[int]] = defaultdict(set)
    for polygon in polygons.tolist():
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            count[frozenset((a, b))] += 1
            around[a].add(b)
            around[b].add(a)
    corner = min(vertex for vertex, others in around.items() if len(others) == 2)
    lines = [_line(corner, second, around) for second in sorted(around[corner])]
    first, down = sorted(lines, key=len, reverse=True)
    rows = [first]
    for start in down[1:]:
        previous = rows[-1]
        row = [start]
        for column in range(1, len(previous)):
            used = {*previous, *(v for r in rows for v in r), *row}
            row.append(next(v for v in around[row[-1]] & around[previous[column]] if v not in used))
        rows.append(row)
    grid = np.array(rows)
    # The root is the edge nearer to the eyeball.
    depth = neutral[grid][:, :, 2].mean(axis=1)
    return grid if depth[0] < depth[-1] else grid[::-1]


def _line(corner: int, second: int, around: dict[int, set[int]]) -> list[int]:
    """Follow the strip's border from a corner to the next corner."""
    line = [corner, second]
    while len(around[line[-1]]) != 2:
        options = around[line[-1]] - {line[-2]}
        line.append(next(v for v in sorted(options) if len(around[v]) < 4))
    return line


def _spikes(grid: np.ndarray, grid_uv: np.ndarray, neutral: np.ndarray, lid: str) -> Attached:
    n_rows, n_columns = grid.shape
    root = neutral[grid[0]] * METRES_PER_UNIT
    spacing = np.linalg.norm(np.diff(root, axis=0), axis=1).mean() * 1000.0
    half = 0.5 * _LASH_WIDTH_MM[lid] / spacing
    count, length = _LASH_COUNT[lid], _LASH_LENGTH[lid] * (n_rows - 1)
    sources, shares, polygons, uv = [], [], [], []
    centres = np.linspace(half, n_columns - 1 - half, count)
    for number, column in enumerate(centres):
        # Lashes are longest near the outer corner's side of the middle, and no two are alike.
        own = length * (0.75 + 0.25 * np.sin(np.pi * (number + 0.5) / count))
        own *= 0.92 + 0.16 * ((number * 7) % 5) / 4.0
        lean = 0.30 * ((number * 3) % 4 - 1.5) / 1.5
        start = len(sources)
        for row, left_right in ((0.0, 1.0), (0.55 * own, 0.75)):
            for sign in (-1.0, 1.0):
                place = column + sign * half * left_right + lean * row / length
                _sample_grid(grid, row, place, sources, shares)
        _sample_grid(grid, own, column + lean * own / length, sources, shares)
        polygons.append([start, start + 1, start + 3, start + 2])
        polygons.append([start + 2, start + 3, start + 4, -1])
        here = grid_uv[0, int(round(column))]
        uv.extend([np.tile(here, (4, 1))] * 2)
    numbers, mix = np.array(sources), np.array(shares)
    return Attached(
        numbers, mix, np.zeros((len(numbers), 3)), np.array(polygons), "lashes", np.array(uv)
    )


def _sample_grid(
    grid: np.ndarray, row: float, column: float, sources: list[list[int]], shares: list[list[float]]
) -> None:
    """Append the bilinear mix of the grid's vertices at (row, column)."""
    i = int(np.clip(np.floor(row), 0, grid.shape[0] - 2))
    j = int(np.clip(np.floor(column), 0, grid.shape[1] - 2))
    s = float(np.clip(row - i, 0.0, 1.0))
    t = float(np.clip(column - j, 0.0, 1.0))
    sources.append([int(v) for v in grid[i : i + 2, j : j + 2].reshape(-1)])
    shares.append([(1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t])


def make_brows(
    source: AnnyData, neutral: np.ndarray, skin: np.ndarray, eye_centres: np.ndarray
) -> list[Attached]:
    """Return two brows on the skin polygons [P, 4]; eye_centres [2, 3] m in base.obj's space."""
    return [
        _brow(source, neutral, skin, centre, sign)
        for centre, sign in zip(eye_centres, (1.0, -1.0), strict=True)
    ]


def _brow(
    source: AnnyData, neutral: np.ndarray, skin: np.ndarray, centre: np.ndarray, sign: float
) -> Attached:
    points = neutral * METRES_PER_UNIT
    triangles = np.concatenate([skin[:, [0, 1, 2]], skin[:, [0, 2, 3]]])
    middle = points[triangles].mean(axis=1)
    near = np.abs(middle[:, :2] - centre[:2]).max(axis=1) < 0.05
    triangles = triangles[near & (middle[:, 2] > centre[2] - 0.02)]
    along = np.linspace(0.0, 1.0, _BROW_COLUMNS)
    knots = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(_BROW[:, :2], axis=0), axis=1)))
    knots /= knots[-1]
    x, y, half = (np.interp(along, knots, column) for column in _BROW.T)
    slope = np.gradient(y, x)
    across = np.stack([-slope, np.ones_like(slope)]) / np.hypot(slope, 1.0)
    sources, shares, lift = [], [], []
    for column in range(_BROW_COLUMNS):
        for row, offset in enumerate(np.linspace(-1.0, 1.0, _BROW_ROWS)):
            spot = np.array([x[column], y[column]]) + offset * half[column] * across[:, column]
            spot = centre[:2] + spot * [sign, 1.0] / 1000.0
            corners, mix, normal = _front_hit(points, triangles, spot)
            sources.append([*corners, corners[0]])
            shares.append([*mix, 0.0])
            fade = min(1.0, half[column] / 2.0)
            lift.append(normal * _BROW_LIFT_MM[row] * fade / 1000.0)
    quads = []
    for column in range(_BROW_COLUMNS - 1):
        for row in range(_BROW_ROWS - 1):
            a = column * _BROW_ROWS + row
            quad = [a, a + _BROW_ROWS, a + _BROW_ROWS + 1, a + 1]
            quads.append(quad if sign > 0 else quad[::-1])
    polygons = np.array(quads)
    flat = np.stack([polygons // _BROW_ROWS, polygons % _BROW_ROWS], axis=-1)
    uv = flat / np.array([_BROW_COLUMNS - 1, _BROW_ROWS - 1])
    return Attached(np.array(sources), np.array(shares), np.array(lift), polygons, "brows", uv)


def _front_hit(
    points: np.ndarray, triangles: np.ndarray, spot: np.ndarray
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return the front-most triangle at (x, y), its barycentric shares and its normal."""
    corners = points[triangles]
    a, b, c = (corners[:, k, :2] for k in range(3))
    area = _cross(b - a, c - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        mix = np.stack([_cross(b - spot, c - spot), _cross(c - spot, a - spot)], axis=-1)
        mix = mix / area[:, None]
    mix = np.column_stack([mix, 1.0 - mix.sum(axis=1)])
    inside = np.isfinite(mix).all(axis=1) & (mix >= -1e-9).all(axis=1)
    depth = np.where(inside, (mix * corners[:, :, 2]).sum(axis=1), -np.inf)
    best = int(np.argmax(depth))
    assert inside[best], f"no skin at {spot}"
    normal = np.cross(corners[best, 1] - corners[best, 0], corners[best, 2] - corners[best, 0])
    return triangles[best].tolist(), mix[best], normal / np.linalg.norm(normal)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])
