# SPDX-License-Identifier: Apache-2.0
"""What the source's shapes miss on the mean face: lips that meet, lids that close.

MakeHuman's shapes were made on its own base face. Here the resting lips are brought together,
eyeBlink is scaled so that the lids just meet, and mouthClose undoes jawOpen exactly at the rims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import Parts
from .seams import Seam, make_seam, pair_rim

# The resting rims touch with this much overlap; the upper lid ends in front of the lower one.
_LIP_OVERLAP_M = 0.0001
_LID_OVERLAP_M = np.array([0.0, 0.0006, -0.0004])


@dataclass(frozen=True)
class Seams:
    """The mouth (rims from outside in, joined) and the lids of the left and the right eye.

    n_rim: pairs of the outermost rim, which come first in ``mouth``.
    """

    mouth: Seam
    lids: tuple[Seam, Seam]
    n_rim: int


def make_seams(parts: Parts, template: np.ndarray) -> Seams:
    """Find the seams of the head [V, 3] m."""
    skin = np.unique(parts.cut.polygons[parts.cut.skin])
    lashes = np.arange(parts.n_cut, parts.eye_vertices[0][0])
    followers = np.concatenate([skin, lashes])
    rims = [pair_rim(loop, template) for loop in parts.cut.lip_rims]
    joined = tuple(np.concatenate(side) for side in zip(*rims, strict=True))
    mouth = make_seam(template, (joined[0], joined[1]), skin, reach_m=0.007, along_m=0.004)
    left = pair_rim(parts.cut.lid_rims[0], template)
    pairs = [left, tuple(_mirrored(rim, template, parts.cut.lid_rims[1]) for rim in left)]
    lids = [
        make_seam(template, (upper, lower), followers, reach_m=0.004, along_m=0.002)
        for upper, lower in pairs
    ]
    return Seams(mouth, (lids[0], lids[1]), len(rims[0][0]))


def _mirrored(vertices: np.ndarray, template: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return the vertices of ``among`` that lie opposite, from -x to +x again."""
    image = template[vertices] * [-1.0, 1.0, 1.0]
    distance = np.linalg.norm(template[among][None] - image[:, None], axis=-1)
    return among[distance.argmin(axis=1)][::-1]


def close_lips(template: np.ndarray, seams: Seams) -> np.ndarray:
    """Return the resting head [V, 3] m with lips that touch along the whole mouth."""
    gap = seams.mouth.opening(template)[:, 1].reshape(-1, seams.n_rim)
    change = np.zeros((gap.size, 3))
    # The two outer rims are the line of contact; the rim further in only goes along.
    change[:, 1] = np.tile(-gap[:2].min(axis=0) - _LIP_OVERLAP_M, len(gap))
    return seams.mouth.changed(template, change)


def close_lids(
    template: np.ndarray, blink: np.ndarray, seam: Seam, eye_centre: np.ndarray
) -> np.ndarray:
    """Return eyeBlink [V, 3] m scaled along the lid so that the rims meet at full weight."""
    resting, moving = seam.opening(template), blink[seam.upper] - blink[seam.lower]
    scale = (-_LID_OVERLAP_M[1] - resting[:, 1]) / np.minimum(moving[:, 1], -1e-4)
    x = template[seam.upper, 0]
    order = np.argsort(x)
    # The lids' ends hardly open and the quotient says nothing; nowhere is the shape made larger.
    solid = resting[order, 1] > 0.0015
    scale = np.minimum(scale, 1.0)
    factor = np.interp(template[:, 0], x[order][solid], scale[order][solid])
    near = np.linalg.norm(template - eye_centre, axis=1) < 0.045
    scaled = np.where(near[:, None], blink * factor[:, None], blink)
    left = seam.opening(template + scaled)
    # Full overlap in the middle, less towards the corners, where the lids are one.
    share = np.clip(resting[:, 1:2] / 0.006, 0.25, 1.0)
    wanted = -_LID_OVERLAP_M * share
    change = (wanted - left) * [0.0, 1.0, 1.0]
    change[:, 2:] *= share
    return seam.changed(scaled, change)


def close_mouth(close: np.ndarray, opened: np.ndarray, seams: Seams) -> np.ndarray:
    """Return mouthClose [V, 3] m such that the rims meet when added to jawOpen [V, 3] m."""
    return seams.mouth.changed(close, -seams.mouth.opening(close + opened))
