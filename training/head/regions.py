# SPDX-License-Identifier: Apache-2.0
"""Named vertex lists (lips, lids, brows, jaw, upper face) and the material of each polygon."""

from __future__ import annotations

import numpy as np

from .source import AnnyData
from .topology import HELPERS, LASHES, HeadCut

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
    "brows": (0.055, 0.032, 0.022, 1.0),
}


def polygon_materials(source: AnnyData, cut: HeadCut) -> np.ndarray:
    """Return the material name of each polygon of the cut (skin, lips, mouth, teeth, ..)."""
    centre = cut.uv.mean(axis=1)
    names = np.full(len(cut.polygons), "skin", dtype="<U8")
    for mask, name in (("lips", "lips"), ("inside-mouth", "mouth")):
        names[_sample(source.mask(mask), centre) > 0.5] = name
    for groups, name in ((HELPERS[:2], "teeth"), (HELPERS[2:], "tongue"), (LASHES, "lashes")):
        names[np.isin(cut.groups, groups)] = name
    return names


def _sample(mask: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return mask[row, column]


def lip_pairs(rim: np.ndarray, template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair the inner rim of the lips: loop [38], template [V, 3] -> (upper, lower), right to left.

    The upper rim has more vertices than the lower: each lower one gets the upper one nearest in x.
    """
    middle = len(rim) // 2
    x = template[rim, 0]
    corner = int(np.argmax(x[: middle + 1]))
    upper_side, lower_side = rim[:corner], rim[corner + 1 : middle + 1][::-1]
    pairs = []
    for vertex in lower_side:
        distance = np.abs(template[upper_side, 0] - template[vertex, 0])
        pairs.append((int(upper_side[np.argmin(distance)]), int(vertex)))
    mirrored = [(_mirror(u, template, rim), _mirror(v, template, rim)) for u, v in pairs[1:]]
    ordered = [*mirrored[::-1], *pairs]
    return np.array([u for u, _ in ordered]), np.array([v for _, v in ordered])


def _mirror(vertex: int, template: np.ndarray, among: np.ndarray) -> int:
    image = template[vertex] * [-1, 1, 1]
    return int(among[np.argmin(((template[among] - image) ** 2).sum(axis=1))])


def face_regions(
    source: AnnyData,
    cut: HeadCut,
    materials: np.ndarray,
    template: np.ndarray,
    shapes: dict[str, np.ndarray],
    eye_centres: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the vertex lists; template [N, 3] m and shapes [N, 3] m of the cut's vertices."""
    skin = np.zeros(len(cut.vertices), dtype=bool)
    skin[cut.polygons[np.isin(materials, ("skin", "lips", "mouth"))]] = True
    face = np.zeros_like(skin)
    face_polygons = _sample(source.mask("face"), cut.uv.mean(axis=1)) > 0.5
    face[cut.polygons[face_polygons & (materials == "skin")]] = True
    size = {name: np.linalg.norm(shape, axis=1) for name, shape in shapes.items()}
    upper, lower = lip_pairs(cut.lip_rim, template)
    lips = np.zeros_like(skin)
    lips[cut.polygons[materials == "lips"]] = True
    eye_y = float(eye_centres[:, 1].mean())
    brow = np.maximum.reduce(
        [size[n] for n in ("browDownLeft", "browDownRight", "browInnerUp")]
        + [size[n] for n in ("browOuterUpLeft", "browOuterUpRight")]
    )
    regions = {
        "lips_upper_inner": upper,
        "lips_lower_inner": lower,
        "lips": np.flatnonzero(lips),
        "brows": np.flatnonzero(
            skin & (brow > 0.35 * brow.max()) & (template[:, 1] > eye_y + 0.012)
        ),
        "jaw": np.flatnonzero(skin & ~lips & (size["jawOpen"] > 0.3 * size["jawOpen"].max())),
        "upper_face": np.flatnonzero(face & (template[:, 1] > eye_y - 0.012)),
        "neck_ring": cut.neck_ring,
    }
    for side, centre in zip(("Left", "Right"), eye_centres, strict=True):
        near = skin & (np.linalg.norm(template - centre, axis=1) < 0.024)
        blink = shapes[f"eyeBlink{side}"]
        near &= np.linalg.norm(blink, axis=1) > 0.0005
        name = side.lower()
        regions[f"lids_upper_{name}"] = np.flatnonzero(near & (blink[:, 1] < 0))
        regions[f"lids_lower_{name}"] = np.flatnonzero(near & (blink[:, 1] >= 0))
    return regions
