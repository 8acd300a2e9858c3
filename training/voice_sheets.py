# SPDX-License-Identifier: Apache-2.0
"""Pictures of the bundled head to look at: shaded faces side by side, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.protocol import HEAD_FILE


def contact_sheet(
    motion: np.ndarray, titles: list[str], path: Path, betas: np.ndarray | None = None,
    columns: int = 8, mouth_only: bool = False,
) -> None:  # fmt: skip
    """Draw the face (or the mouth alone) of each row of motion [n, 53] under its title."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.collections import PolyCollection

    with np.load(HEAD_FILE, allow_pickle=False) as head:
        template = head["v_template"].astype(np.float64)
        directions = head["shapedirs"].astype(np.float64)
        jaw, polygons = head["jaw_shapes"].astype(np.float64), head["polygons"]
        material, colours = head["polygon_material"], head["material_colors"][:, :3]
    if betas is not None:
        template = template + directions[:, :, :300] @ betas
    shapes = np.zeros((len(ARKIT_NAMES), *template.shape))
    for index, name in enumerate(EXPRESSION_NAMES[:-1]):
        shapes[ARKIT_NAMES.index(name)] = directions[:, :, 300 + index]
    for index, name in enumerate(("jawOpen", "jawLeft", "jawRight")):
        shapes[ARKIT_NAMES.index(name)] = jaw[index]
    weights = arkit_from_motion(motion)
    rows = -(-len(motion) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(2.4 * columns, 3.0 * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    turn = np.deg2rad(14.0)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0],
                         [-np.sin(turn), 0, np.cos(turn)]])  # fmt: skip
    corners = np.where(polygons < 0, polygons[:, :1], polygons)
    for axis, title, row in zip(axes.flat, titles, weights, strict=False):
        points = (template + np.tensordot(row, shapes, 1)) @ rotation.T
        quads = points[corners]
        normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        order = np.argsort(quads[:, :, 2].mean(1))
        order = order[normal[order, 2] > 0.0]
        light = np.clip(normal @ np.array([0.25, 0.45, 0.86]), 0.0, 1.0)
        shade = np.clip(colours[material] * (0.25 + 0.8 * light[:, None]), 0.0, 1.0)
        flat, colour = quads[order][:, :, :2], shade[order]
        axis.add_collection(PolyCollection(flat, facecolors=colour, edgecolors="face", lw=0.2))
        axis.set_xlim(*((-0.035, 0.065) if mouth_only else (-0.09, 0.09)))
        axis.set_ylim(*((-0.095, 0.005) if mouth_only else (-0.11, 0.10)))
        axis.set_aspect("equal")
        axis.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=70)
    pyplot.close(figure)
