# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each ARKit channel parts the lips of the mesh that will move, in mm on that mesh.

The lips are found by what the map does with jawOpen: foremost vertices that stay, next to such that
drop. The backend's guards count these millimetres instead of the bundled head's.
"""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np
from mathutils.kdtree import KDTree

from . import bones, posed
from .names import ARKIT_NAMES
from .target import Target, shape_key_path

PAIRS = 5
FEWEST_PAIRS = 2
# Openings by jawOpen of a life-size face, and the bundled head's: others are scaled to that.
LIFE_SIZE_MM, USUAL_MM = (8.0, 100.0), 29.3
_JAW = ARKIT_NAMES.index("jawOpen")
_CLOSE = ARKIT_NAMES.index("mouthClose")
_MOUTH = [
    index
    for index, name in enumerate(ARKIT_NAMES)
    if name.startswith(("jaw", "mouth", "cheekPuff", "tongue"))
]
_STRIP = 0.1  # of the largest drop: 3 mm on a life-size face
_ROUNDS = 4
_HALF = 0.5  # channels are measured around a half-open jaw, where a map that subtracts is linear


@dataclasses.dataclass(frozen=True)
class LipGap:
    """``per_weight_mm`` [52] at weight 1, ``rest_mm`` between the lips of the resting face."""

    name: str
    per_weight_mm: tuple[float, ...]
    rest_mm: float
    pairs: int
    life_size: bool

    def sentence(self) -> str:
        """What was measured, for the report."""
        opened, closed = self.per_weight_mm[_JAW], -self.per_weight_mm[_CLOSE]
        size = "" if self.life_size else " (not life size: counted as if it were)"
        return (
            f"Lips of '{self.name}' measured at {self.pairs} places: jawOpen parts them by "
            f"{opened:.1f} mm, mouthClose takes back {closed:.1f} mm{size}."
        )


def measure(scene: bpy.types.Scene, target: Target) -> LipGap | None:
    """Measure the first mesh of a target that takes ARKit weights; None where no lips are found."""
    mesh = next((obj for obj in target.objects() if obj.type == "MESH"), None)
    if mesh is None or target.output != "arkit":
        return None
    moved = _Moved(target, mesh)
    up = np.array(mesh.matrix_world.inverted_safe().to_3x3())[:, 2]
    up = up / max(float(np.linalg.norm(up)), 1e-12)
    found = _lips(moved.rest, moved.ways(np.eye(52)[[_JAW]], slice(None))[0], up)
    if found is None:
        return None
    upper, lower = found
    half = np.zeros((1 + len(_MOUTH), 52))
    half[:, _JAW] = _HALF
    half[1:] += _HALF * np.eye(52)[_MOUTH]
    ways = moved.ways(half, np.concatenate([upper, lower])) @ up
    gaps = (ways[:, : len(upper)] - ways[:, len(upper) :]).mean(axis=1)
    scale = float(np.mean(np.abs(mesh.matrix_world.to_scale()))) * scene.unit_settings.scale_length
    mm = 1000.0 * scale
    per_weight = np.zeros(52)
    per_weight[_MOUTH] = (gaps[1:] - gaps[0]) / _HALF * mm
    opened = float(per_weight[_JAW])
    if not np.isfinite(per_weight).all() or opened <= 0.0:
        return None
    life_size = LIFE_SIZE_MM[0] <= opened <= LIFE_SIZE_MM[1]
    share = 1.0 if life_size else USUAL_MM / opened
    rest = float(((moved.rest[upper] - moved.rest[lower]) @ up).mean()) * mm * share
    values = tuple(round(float(value) * share, 4) for value in per_weight)
    return LipGap(mesh.name, values, rest, len(upper), life_size)


def jaw_angle(
    rig: bpy.types.Object, jaw: str, opening: float, mesh: bpy.types.Object, trial_deg: float
) -> float | None:
    """Turn of a jaw bone that parts the lips of a mesh by ``opening`` (the armature's unit).

    Found on the mesh's own lips, which may follow the jaw in part; None where there are none.
    """
    share = bones.shares(rig, jaw, mesh)
    if not share.any():
        return None
    rest = _points(mesh.data.vertices)
    up = np.array(mesh.matrix_world.inverted_safe().to_3x3())[:, 2]
    up = up / max(float(np.linalg.norm(up)), 1e-12)
    scales = (np.mean(np.abs(obj.matrix_world.to_scale())) for obj in (mesh, rig))
    size = float(np.divide(*scales))

    def way(degrees: float) -> np.ndarray:
        turn = np.array([degrees, 0.0, 0.0])
        return bones.carried_way(rig, jaw, turn, mesh, rest, share)

    found, degrees = _lips(rest, way(trial_deg), up), trial_deg
    if found is None:
        return None
    for _ in range(_ROUNDS):  # an arc is not a line
        moved = way(degrees)
        parted = size * float(((moved[found[0]] - moved[found[1]]) @ up).mean())
        if parted <= 0.0:
            return None
        degrees = bones.clipped_jaw(degrees * opening / parted)
    return degrees


class _Moved:
    """Where a target moves the vertices of a mesh, from its keys and the bones that carry it."""

    def __init__(self, target: Target, mesh: bpy.types.Object) -> None:
        self._target, self._mesh = target, mesh
        key = mesh.data.shape_keys
        self.rest = _points(key.key_blocks[0].data if key is not None else mesh.data.vertices)

    def ways(self, weights: np.ndarray, chosen: slice | np.ndarray) -> np.ndarray:
        """Displacements [T, n, 3] of some vertices for ARKit weights [T, 52], in the mesh's space.

        One frame at a time, so that what a map smooths over time does not mix them.
        """
        rest = self.rest[chosen]
        found = np.zeros((len(weights), *rest.shape))
        key = self._mesh.data.shape_keys
        blocks = {shape_key_path(b.name): b for b in key.key_blocks[1:]} if key is not None else {}
        deltas: dict[str, np.ndarray] = {}
        rows = weights.astype(np.float32)[:, None]
        frames = [self._target.curves(row, ARKIT_NAMES) for row in rows]
        for index, curves in enumerate(frames):
            for curve in curves:
                block = blocks.get(curve.data_path) if curve.owner.datablock() == key else None
                if block is None or not curve.values[0]:
                    continue
                if curve.data_path not in deltas:
                    base = _points(block.relative_key.data)
                    deltas[curve.data_path] = (_points(block.data) - base)[chosen]
                found[index] += curve.values[0] * deltas[curve.data_path]
        indices = np.arange(len(self.rest))[chosen]
        bones_only = [[c for c in curves if c.owner.id_type == "OBJECT"] for curves in frames]
        return found + posed.carried(self._mesh, rest, indices, bones_only)


def _lips(
    rest: np.ndarray, way: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pairs of upper and lower lip vertices around the middle of the mouth, [n] int each."""
    drop = -(way @ up)
    size = float(drop.max(initial=0.0))
    if not size > 1e-9:
        return None
    lower = np.flatnonzero(drop > 0.45 * size)
    box = rest[lower].min(axis=0, initial=np.inf), rest[lower].max(axis=0, initial=-np.inf)
    close_by = ((rest > box[0] - 0.3 * size) & (rest < box[1] + 0.3 * size)).all(axis=1)
    upper = np.flatnonzero(close_by & (np.linalg.norm(way, axis=1) < 0.33 * size))
    if not len(lower) or not len(upper):
        return None
    middle = rest[lower].mean(axis=0)
    around = np.linalg.norm(rest - middle, axis=1) < 8.0 * size
    if not around.any():
        return None
    ahead = middle - rest[around].mean(axis=0)
    ahead -= (ahead @ up) * up
    ahead /= max(float(np.linalg.norm(ahead)), 1e-12)
    tree = KDTree(len(upper))
    for index, point in enumerate(rest[upper]):
        tree.insert(point, index)
    tree.balance()
    pairs = [(*tree.find(rest[low])[1:], low) for low in lower]
    near = [(upper[index], low, away) for index, away, low in pairs if away < 0.2 * size]
    if not near:
        return None
    found, apart = np.array([pair[:2] for pair in near]), np.array([pair[2] for pair in near])
    front = rest[found[:, 1]] @ ahead  # teeth lie behind the lips
    off = rest[found[:, 1]] @ np.cross(up, ahead)
    lips = front > front.max() - 0.25 * size
    off -= 0.5 * (off[lips].min() + off[lips].max())
    # One pair in each of some strips around the middle: the inner rims, nearest to each other.
    strip = np.rint(off / (_STRIP * size)).astype(int)
    places = sorted(set(strip[lips].tolist()), key=abs)
    near_middle = [place for place in places if abs(place) <= PAIRS // 2]
    best = []
    for place in near_middle if len(near_middle) >= FEWEST_PAIRS else places[:FEWEST_PAIRS]:
        inside = np.flatnonzero(lips & (strip == place))
        best.append(inside[apart[inside].argmin()])
    return (found[best, 0], found[best, 1]) if len(best) >= FEWEST_PAIRS else None


def _points(data: object) -> np.ndarray:
    points = np.empty(len(data) * 3, dtype=np.float32)  # type: ignore[arg-type]
    data.foreach_get("co", points)  # type: ignore[attr-defined]
    return points.reshape(-1, 3).astype(np.float64)
