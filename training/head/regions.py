# SPDX-License-Identifier: Apache-2.0
"""Named vertex lists (lips, lids, brows, jaw, upper face) and the material of each polygon."""

from __future__ import annotations

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES

from .corrections import Seams
from .parts import Parts
from .source import AnnyData
from .topology import HELPERS, HeadCut

# Linear RGBA; what a viewport shows. The add-on may put real shaders on the same slots.
MATERIALS: dict[str, tuple[float, float, float, float]] = {
    "skin": (0.60, 0.36, 0.27, 1.0),
    "lips": (0.50, 0.20, 0.17, 1.0),
    "mouth": (0.22, 0.05, 0.05, 1.0),
    "teeth": (0.80, 0.76, 0.66, 1.0),
    "tongue": (0.50, 0.16, 0.15, 1.0),
    "sclera": (0.82, 0.80, 0.77, 1.0),
    "limbus": (0.05, 0.04, 0.04, 1.0),
    "iris": (0.10, 0.17, 0.22, 1.0),
    "pupil": (0.003, 0.003, 0.003, 1.0),
    "lashes": (0.015, 0.011, 0.009, 1.0),
    "brows": (0.085, 0.050, 0.034, 1.0),
}


def polygon_materials(source: AnnyData, cut: HeadCut) -> np.ndarray:
    """Return the material name of each polygon of the cut (skin, lips, mouth, teeth, ..)."""
    centre = cut.uv.mean(axis=1)
    names = np.full(len(cut.polygons), "skin", dtype="<U8")
    for mask, name in (("lips", "lips"), ("inside-mouth", "mouth")):
        names[_sample(source.mask(mask), centre) > 0.5] = name
    for groups, name in ((HELPERS[:2], "teeth"), (HELPERS[2:], "tongue")):
        names[np.isin(cut.groups, groups)] = name
    return names


def _sample(mask: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return mask[row, column]


def face_regions(
    source: AnnyData,
    parts: Parts,
    materials: np.ndarray,
    template: np.ndarray,
    shapes: dict[str, np.ndarray],
    seams: Seams,
) -> dict[str, np.ndarray]:
    """Return the vertex lists; template and shapes [V, 3] m."""
    cut = parts.cut
    skin = _vertices_of(len(template), cut.polygons[cut.skin])
    face_polygons = _sample(source.mask("face"), cut.uv.mean(axis=1)) > 0.5
    face = _vertices_of(len(template), cut.polygons[face_polygons & (materials == "skin")])
    lips = _vertices_of(len(template), cut.polygons[materials == "lips"])
    size = {name: np.linalg.norm(shape, axis=1) for name, shape in shapes.items()}
    eye_y = float(parts.eye_centres[:, 1].mean())
    brow = np.maximum.reduce([size[name] for name in ARKIT_NAMES if name.startswith("brow")])
    brows = skin & (brow > 0.35 * brow.max()) & (template[:, 1] > eye_y + 0.012)
    lists = {
        "lips_upper_inner": seams.mouth.upper[: seams.n_rim],
        "lips_lower_inner": seams.mouth.lower[: seams.n_rim],
        "lips": np.flatnonzero(lips),
        "brows": np.flatnonzero(brows),
        "jaw": np.flatnonzero(skin & ~lips & (size["jawOpen"] > 0.3 * size["jawOpen"].max())),
        "upper_face": np.flatnonzero(face & (template[:, 1] > eye_y - 0.012)),
        "neck_ring": cut.neck_ring,
    }
    for side, centre, seam in zip(("Left", "Right"), parts.eye_centres, seams.lids, strict=True):
        near = skin & (np.linalg.norm(template - centre, axis=1) < 0.024)
        blink = shapes[f"eyeBlink{side}"]
        near &= np.linalg.norm(blink, axis=1) > 0.0005
        name = side.lower()
        lists[f"lids_upper_{name}"] = np.flatnonzero(near & (blink[:, 1] < 0))
        lists[f"lids_lower_{name}"] = np.flatnonzero(near & (blink[:, 1] >= 0))
        lists[f"lid_rim_upper_{name}"] = seam.upper
        lists[f"lid_rim_lower_{name}"] = seam.lower
    return lists


def _vertices_of(count: int, polygons: np.ndarray) -> np.ndarray:
    """Return which of ``count`` vertices [bool] belong to the polygons."""
    belongs = np.zeros(count, dtype=bool)
    belongs[polygons] = True
    return belongs
