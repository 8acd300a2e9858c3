# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled head as plain arrays: head.npz -> vertices, polygons, the 52 shapes. No bpy.

FLAME's axes (y up, z to the front) become Blender's (z up, -y to the front).
"""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.protocol import HEAD_FILE

IDENTITY_COMPONENTS = 300
# What numpy raises for files that are cut off, or are something else.
UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


class HeadError(ValueError):
    """The head file or the identity file cannot be used; the text says why in one sentence."""


@dataclasses.dataclass(frozen=True)
class HeadMesh:
    """What Blender needs to make the head.

    vertices: [V, 3] float32 m; shapes: name -> [V, 3] float32 m offsets; polygons: list of corner
    lists; uv: [corners, 2] float32 or None; polygon_material: [P] int; regions: name -> [n] int.
    """

    vertices: np.ndarray
    shapes: dict[str, np.ndarray]
    polygons: list[list[int]]
    uv: np.ndarray | None
    polygon_material: np.ndarray
    materials: list[tuple[str, tuple[float, ...]]]
    regions: dict[str, np.ndarray]
    version: str


def blender_axes(points: np.ndarray) -> np.ndarray:
    """[..., 3] y-up -> [..., 3] z-up, facing -y."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def load_betas(path: str | Path) -> np.ndarray:
    """Identity of a .npy file (or the ``betas`` of a .npz) -> [300] float32 z-scores."""
    path = Path(path)
    if not path.is_file():
        raise HeadError(f"The identity file {path} does not exist.")
    try:
        data = np.load(path, allow_pickle=False)
        values = data["betas"] if isinstance(data, np.lib.npyio.NpzFile) else data
        betas = np.asarray(values, dtype=np.float32).reshape(-1)
    except (*UNREADABLE, KeyError) as error:
        raise HeadError(f"The identity file {path} is not a list of numbers: {error}.") from error
    if not 1 <= betas.size <= IDENTITY_COMPONENTS:
        raise HeadError(f"The identity file {path} has {betas.size} numbers; 1 to 300 are needed.")
    if not np.isfinite(betas).all() or np.abs(betas).max() > 20:
        raise HeadError(f"The identity file {path} has numbers that are not within -20..20.")
    return np.pad(betas, (0, IDENTITY_COMPONENTS - betas.size))


def load_head(betas: np.ndarray | None = None, path: Path = HEAD_FILE) -> HeadMesh:
    """Read the head; ``betas`` [300] are baked into its vertices."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return _build(data, betas)
    except FileNotFoundError as error:
        raise HeadError("The bundled head is missing; install the add-on again.") from error
    except (*UNREADABLE, KeyError) as error:
        raise HeadError(f"The bundled head cannot be read: {error}.") from error


def _build(data: np.lib.npyio.NpzFile, betas: np.ndarray | None) -> HeadMesh:
    directions = data["shapedirs"].astype(np.float32)
    vertices = data["v_template"].astype(np.float32)
    if betas is not None:
        vertices = vertices + directions[:, :, :IDENTITY_COMPONENTS] @ betas
    return HeadMesh(
        vertices=blender_axes(vertices),
        shapes={name: blender_axes(delta) for name, delta in _shapes(data, directions).items()},
        **looks(data),
        regions=regions(data),
        version=str(data["version"]) if "version" in data.files else "",
    )


def looks(data: np.lib.npyio.NpzFile) -> dict[str, Any]:
    """Polygons, UVs and materials of the bundled head, as fields of :class:`HeadMesh`."""
    names = [str(name) for name in data["material_names"]]
    colors = [tuple(float(c) for c in color) for color in data["material_colors"]]
    return {
        "polygons": [[int(v) for v in corners if v >= 0] for corners in data["polygons"]],
        "uv": _corner_uv(data["uv"], data["polygons"]),
        "polygon_material": data["polygon_material"].astype(np.int32),
        "materials": list(zip(names, colors, strict=True)),
    }


def regions(data: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    """Vertex lists of the bundled head by name."""
    return {
        key.removeprefix("region_"): data[key].astype(np.int32).reshape(-1)
        for key in data.files
        if key.startswith("region_")
    }


def _shapes(data: np.lib.npyio.NpzFile, directions: np.ndarray) -> dict[str, np.ndarray]:
    by_name = {
        str(name): directions[:, :, IDENTITY_COMPONENTS + i]
        for i, name in enumerate(data["expression_names"])
    }
    jaw = dict(zip(("jawOpen", "jawLeft", "jawRight"), data["jaw_shapes"], strict=True))
    by_name |= {name: delta.astype(np.float32) for name, delta in jaw.items()}
    return {name: by_name[name] for name in (str(n) for n in data["arkit_names"])}


def _corner_uv(uv: np.ndarray, polygons: np.ndarray) -> np.ndarray:
    uv = uv.astype(np.float32)
    if uv.ndim == 3:  # [P, 4, 2], padded like the polygons
        return uv[polygons >= 0]
    return uv.reshape(-1, 2)
