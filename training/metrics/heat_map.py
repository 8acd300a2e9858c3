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

from lsf_backend.face.face_model import FaceModel
from training.metrics.motion_map import MovementMap
from training.raster import GAMMA, Raster, View

_PERCENTILE = 99.5
_SIZE = (300, 360)
_PARTS = (("mean_mm", "mean"), ("std_mm", "standard deviation"))


def draw_movement(face: FaceModel, maps: Mapping[str, MovementMap], path: Path) -> None:
    """Draw ``maps`` (title -> map; the first sets the scale, it is the truth) as a PNG."""
    rows, columns = len(_PARTS), len(maps)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(1.9 * columns + 0.9, 2.5 * rows + 0.3), squeeze=False
    )
    raster = Raster(face.faces, face.n_vertices, View.of_head(face.v_template, _SIZE))
    first = next(iter(maps.values()))
    for row, (part, words) in enumerate(_PARTS):
        top = float(np.percentile(getattr(first, part), _PERCENTILE)) or 1.0
        mappable = pyplot.cm.ScalarMappable(pyplot.Normalize(0.0, top), "turbo")
        for axis, (title, found) in zip(axes[row], maps.items(), strict=True):
            values = getattr(found, part)
            colours = mappable.to_rgba(values)[:, :3] ** GAMMA
            axis.imshow(raster.draw(face.v_template, colours, background=1.0))
            axis.set_xticks([])
            axis.set_yticks([])
            for side in axis.spines.values():
                side.set_visible(False)
            if row == 0:
                axis.set_title(title, fontsize=9)
            axis.set_xlabel(f"{values.mean():.3f} over all vertices", fontsize=7)
        axes[row, 0].set_ylabel(f"{words}, mm a frame", fontsize=9)
        figure.colorbar(mappable, ax=list(axes[row]), fraction=0.02, pad=0.01, extend="max")
    part = path.with_name(f"{path.name}.part")
    figure.savefig(part, dpi=160, bbox_inches="tight", format="png")
    pyplot.close(figure)
    part.replace(path)
