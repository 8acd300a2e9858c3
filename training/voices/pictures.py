# SPDX-License-Identifier: Apache-2.0
"""Pictures to look at, drawn by matplotlib: shaded faces side by side, lip gap over the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.protocol import HEAD_FILE
from training.voices.align import Phones
from training.voices.measures import CLOSED_MM, LIPS, PAUSE

PLOTTED = ("browInnerUp", "browDownLeft", "mouthPucker", "mouthStretchLeft", "mouthRollLower")


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


def mouths(motion: np.ndarray, phones: Phones, path: Path) -> None:
    """Draw the mouth in the middle of the first sounds of a clip."""
    shown = [p for p in phones if p[0] != PAUSE][:40]
    frames = [min(len(motion) - 1, round(12.5 * (start + stop))) for _, start, stop in shown]
    titles = [
        f"{name} {frame / 25:.2f} s" for (name, _, _), frame in zip(shown, frames, strict=True)
    ]
    contact_sheet(motion[frames], titles, path, columns=10, mouth_only=True)


def plot(
    audio: np.ndarray, motion: np.ndarray, wanted: np.ndarray | None, phones: Phones,
    face: FaceModel, path: Path,
) -> None:  # fmt: skip
    """Draw the lip gap in mm over the spectrogram, with the phones and the teacher's gap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(16, 7), sharex=True, height_ratios=[3, 1]
    )
    top.specgram(audio + 1e-6, NFFT=400, Fs=16_000, noverlap=240, cmap="Greys")
    top.set_ylim(0, 6000)
    top.set_yticks([])
    axis = top.twinx()
    arkit = arkit_from_motion(motion)
    times = np.arange(len(motion)) / 25.0
    axis.plot(times, lip_gap_mm(face, arkit), "C3", lw=2, label="engine")
    if wanted is not None:
        gap = lip_gap_mm(face, arkit_from_motion(wanted))
        axis.plot(times, gap, "C0", lw=1, label="rules on the aligned phones")
    axis.axhline(CLOSED_MM, color="C2", lw=0.8, ls="--")
    axis.set_ylim(-2, 18)
    axis.set_ylabel("lip gap, mm")
    axis.legend(loc="upper right")
    for name, start, stop in phones:
        colour = "C3" if name in LIPS else "k"
        axis.text(0.5 * (start + stop), 16.2, name, fontsize=7, color=colour, ha="center")
        axis.axvline(start, lw=0.3, color="k")
        if name in LIPS:
            axis.axvspan(start, stop, color="C3", alpha=0.15, lw=0)
    for name in PLOTTED:
        bottom.plot(times, arkit[:, ARKIT_NAMES.index(name)], label=name)
    bottom.legend(loc="upper right", fontsize=7)
    bottom.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    pyplot.close(figure)
