# SPDX-License-Identifier: Apache-2.0
"""How the bundled head's mouth answers to ARKit weights and identity: small linear tables in mm.

The head's shapes are linear, so its measures are too. As in ``lsf_backend.face.measure`` the lip
gap counts from the resting face, whose lips meet; identities move the same shapes on other faces,
whose own sizes (:class:`FaceSizes`) say how far a gesture goes.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import N_BETAS, FaceModel

# Inner-rim pairs that count for the gap, around the middle (as in lsf_backend.face.measure).
MIDDLE_PAIRS = 5
# Rim pairs half-way to the corners.
_SIDE_PAIRS = (2, 3, 9, 10)
# Shapes that make the mouth's gestures; those with two sides move together here.
CONTROLS = (
    "jawOpen", "jawForward", "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmile", "mouthFrown",
    "mouthDimple", "mouthStretch", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthPress", "mouthLowerDown", "mouthUpperUp",
)  # fmt: skip
# The jaw's own work: it does not count in measures of what the lips do besides.
_JAW_WORK = ("jawOpen", "mouthClose")


@dataclasses.dataclass(frozen=True)
class LipTables:
    """Lip gap [mm] = ``gap_per_weight_mm`` [52] @ weights; the corner distance moves likewise."""

    gap_per_weight_mm: np.ndarray
    width_per_weight_mm: np.ndarray

    def gap_mm(self, weights: np.ndarray) -> np.ndarray:
        """Gap of ARKit weights [T, 52] -> [T] mm; 0 is closed, negative pressed together."""
        return np.asarray(weights @ self.gap_per_weight_mm)


@functools.cache
def bundled_face() -> FaceModel:
    """The bundled head."""
    return FaceModel.load()


@functools.cache
def lip_tables() -> LipTables:
    """Tables of the bundled head."""
    upper, lower = _rims()
    shapes = bundled_face().arkit_shapes() * 1000.0
    middle = _middle(len(upper))
    gap = (shapes[:, upper[middle], 1] - shapes[:, lower[middle], 1]).mean(1)
    width = shapes[:, upper[-1], 0] - shapes[:, upper[0], 0]
    return LipTables(gap.astype(np.float64), width.astype(np.float64))


@dataclasses.dataclass(frozen=True)
class MouthTable:
    """What each of CONTROLS moves: ``effects`` [len(MEASURES), len(CONTROLS)] in mm at weight 1."""

    effects: np.ndarray

    def row(self, measure: str) -> np.ndarray:
        """Effects [len(CONTROLS)] on one measure."""
        return np.asarray(self.effects[MEASURES.index(measure)])


# gap and side: between the inner rims, in the middle and half-way to the corners; jaw: drop of the
# lower teeth; width: between the corners; upper_out, lower_out: rims forward; raised: upper rim up;
# upper_thin, lower_thin: loss of visible red; corner: corners up. All but the first four leave out
# what jaw and mouthClose do.
MEASURES = ("gap", "side", "jaw", "width", "upper_out", "lower_out", "raised", "upper_thin",
            "lower_thin", "corner")  # fmt: skip


@functools.cache
def mouth_table() -> MouthTable:
    """What the mouth's controls do on the bundled head."""
    face = bundled_face()
    upper, lower = _rims()
    shapes = face.arkit_shapes() * 1000.0
    moved = np.stack([_both_sides(shapes, name) for name in CONTROLS])
    middle = _middle(len(upper))
    above, below = upper[middle], lower[middle]
    gaps = moved[:, upper, 1] - moved[:, lower, 1]
    own = moved.copy()
    for name in _JAW_WORK:
        own[CONTROLS.index(name)] = 0.0
    top, bottom = lip_borders(face)
    drop = np.zeros(len(CONTROLS))
    drop[CONTROLS.index("jawOpen")] = -moved[CONTROLS.index("jawOpen"), below, 1].mean()
    low = own[:, below].mean(1)
    rows = {
        "gap": gaps[:, middle].mean(1),
        "side": gaps[:, _SIDE_PAIRS].mean(1),
        "jaw": drop,
        "width": moved[:, upper[-1], 0] - moved[:, upper[0], 0],
        "upper_out": own[:, above, 2].mean(1),
        "lower_out": low[:, 2],
        "raised": own[:, above, 1].mean(1),
        "upper_thin": own[:, above, 1].mean(1) - own[:, top, 1],
        "lower_thin": own[:, bottom, 1] - low[:, 1],
        "corner": own[:, upper[[0, -1]], 1].mean(1),
    }
    return MouthTable(np.stack([rows[name] for name in MEASURES]).astype(np.float64))


def lip_borders(face: FaceModel) -> tuple[int, int]:
    """Vertices in the middle of the upper and of the lower lip, where the red is fullest."""
    points = face.v_template
    lips = face.regions["lips"]
    middle = lips[np.abs(points[lips, 0]) < 0.001]
    front = middle[points[middle, 2] > points[middle, 2].max() - 0.006]
    split = points[face.regions["lips_upper_inner"], 1].mean()
    above, below = front[points[front, 1] > split], front[points[front, 1] < split]
    return int(above[points[above, 2].argmax()]), int(below[points[below, 2].argmax()])


@dataclasses.dataclass(frozen=True)
class FaceSizes:
    """A face against the mean one, as factors: mouth width, lower face (lips to chin), red lips."""

    mouth: float
    lower_face: float
    lips: float

    @classmethod
    def of(cls, betas: np.ndarray) -> FaceSizes:
        """Sizes of an identity: betas [300] z-scores."""
        rest, per_beta = _size_table()
        sizes = np.clip(1.0 + per_beta @ np.asarray(betas, np.float64) / rest, 0.7, 1.4)
        return cls(*(float(size) for size in sizes))


@functools.cache
def _size_table() -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the mean face [3] mm and their change per z-score [3, 300]."""
    face = bundled_face()
    upper, _ = _rims()
    centre, jaw = upper[len(upper) // 2], face.regions["jaw"]
    middle = jaw[np.abs(face.v_template[jaw, 0]) < 0.001]
    chin = middle[np.argmax(face.v_template[middle, 2] - 2.0 * face.v_template[middle, 1])]
    top, bottom = lip_borders(face)

    def measure(field: np.ndarray) -> np.ndarray:
        return np.stack([
            field[upper[-1], 0] - field[upper[0], 0],
            field[centre, 1] - field[chin, 1],
            field[top, 1] - field[bottom, 1],
        ])  # fmt: skip

    directions = face.shapedirs[:, :, :N_BETAS].astype(np.float64)
    return 1000.0 * measure(face.v_template.astype(np.float64)), 1000.0 * measure(directions)


def _both_sides(shapes: np.ndarray, name: str) -> np.ndarray:
    """Displacements [V, 3] of a control, of both sides together where it has two."""
    if name in ARKIT_NAMES:
        return np.asarray(shapes[ARKIT_NAMES.index(name)])
    left, right = (shapes[ARKIT_NAMES.index(name + side)] for side in ("Left", "Right"))
    return np.asarray(left + right)


def _rims() -> tuple[np.ndarray, np.ndarray]:
    regions = bundled_face().regions
    return regions["lips_upper_inner"], regions["lips_lower_inner"]


def _middle(count: int) -> slice:
    first = (count - MIDDLE_PAIRS) // 2
    return slice(first, first + MIDDLE_PAIRS)
