# SPDX-License-Identifier: Apache-2.0
"""Draws figure 4: mean and spread of every vertex's movement from frame to frame, on the face.

One column a system, ground truth first. Each row has one scale, the truth's; colours beyond its end
are clipped there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.collections import PolyCollection

from lsf_backend.face.face_model import FaceModel
from training.metrics.motion_map import MovementMap

_TURN_DEG = 18.0
_LIGHT = np.array([0.25, 0.45, 0.86])
_PERCENTILE = 99.5
_PARTS = (("mean_mm", "mean"), ("std_mm", "standard deviation"))


def draw_movement(face: FaceModel, maps: Mapping[str, MovementMap], path: Path) -> None:
    """Draw ``maps`` (title -> map; the first sets the scale, it is the truth) as a PNG."""
    rows, columns = len(_PARTS), len(maps)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(1.9 * columns + 0.9, 2.5 * rows + 0.3), squeeze=False
    )
    polygons, depth, light = _seen_from_the_front(face)
    order = np.argsort(depth)
    corners = face.faces[polygons[order]]
    points = _turned(face.v_template)[:, :2] * 1e3
    first = next(iter(maps.values()))
    for row, (part, words) in enumerate(_PARTS):
        top = float(np.percentile(getattr(first, part), _PERCENTILE)) or 1.0
        scale = matplotlib.colors.Normalize(0.0, top)
        for axis, (title, found) in zip(axes[row], maps.items(), strict=True):
            values = getattr(found, part)[corners].mean(axis=1)
            colours = matplotlib.colormaps["turbo"](scale(values))
            colours[:, :3] *= light[order, None]
            axis.add_collection(
                PolyCollection(points[corners], facecolors=colours, edgecolors="face", lw=0.15)
            )
            _frame(axis, points)
            if row == 0:
                axis.set_title(title, fontsize=9)
            average = getattr(found, part).mean()
            axis.set_xlabel(f"{average:.3f} over all vertices", fontsize=7)
        axes[row, 0].set_ylabel(f"{words}, mm a frame", fontsize=9)
        mappable = matplotlib.cm.ScalarMappable(scale, "turbo")
        figure.colorbar(mappable, ax=list(axes[row]), fraction=0.02, pad=0.01, extend="max")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def _frame(axis: pyplot.Axes, points: np.ndarray) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    axis.set_xlim(low[0], high[0])
    axis.set_ylim(low[1], high[1])
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def _turned(points: np.ndarray) -> np.ndarray:
    """Points [V, 3], the face a little to one side."""
    angle = np.deg2rad(_TURN_DEG)
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])


def _seen_from_the_front(face: FaceModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the triangles that face the camera, their depth, and their light 0..1."""
    corners = _turned(face.v_template)[face.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    seen = np.flatnonzero(normal[:, 2] > 0.0)
    light = np.clip(0.55 + 0.5 * (normal[seen] @ _LIGHT), 0.0, 1.0)
    return seen, corners[seen][:, :, 2].mean(axis=1), light
