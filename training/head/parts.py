# SPDX-License-Identifier: Apache-2.0
"""The parts of the head in one numbering: cut mesh, lashes, brows, eyeballs; and their placement.

Placement: y up, z forward, metres; the point between the eyes is at EYE_MIDPOINT_M, which puts the
origin between the ears, near FLAME's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import attach, eyeball, topology
from .source import METRES_PER_UNIT, AnnyData

EYE_MIDPOINT_M = np.array([0.0, 0.030, 0.040])

# Vertices of base.obj: MakeHuman's balls for the left and the right eye.
_BALLS = (slice(14598, 14670), slice(14670, 14742))


@dataclass(frozen=True)
class Parts:
    """Vertices in order: the cut of base.obj, what is attached to it, left eye, right eye.

    balls: the vertices [72, 3] m of MakeHuman's eyes; origin [3] m, in base.obj's space.
    """

    cut: topology.HeadCut
    attached: tuple[attach.Attached, ...]
    eyes: tuple[eyeball.Eyeball, eyeball.Eyeball]
    balls: tuple[np.ndarray, np.ndarray]
    origin: np.ndarray

    @property
    def n_cut(self) -> int:
        """Number of vertices that come from base.obj as they are; they are numbered first."""
        return len(self.cut.vertices)

    @property
    def eye_vertices(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the vertices of the left and the right eye."""
        start = self.n_cut + sum(len(piece.sources) for piece in self.attached)
        middle = start + len(self.eyes[0].vertices)
        return np.arange(start, middle), np.arange(middle, middle + len(self.eyes[1].vertices))

    @property
    def eye_centres(self) -> np.ndarray:
        """Centres of the eyes [2, 3] m: left, right."""
        return np.stack([eye.centre for eye in self.eyes])

    def template(self, neutral: np.ndarray) -> np.ndarray:
        """Return the head's vertices [V, 3] m of a face over base.obj [19158, 3] dm."""
        skin = neutral[self.cut.vertices] * METRES_PER_UNIT - self.origin
        riding = [piece.carry(neutral) + piece.lift - self.origin for piece in self.attached]
        return np.concatenate([skin, *riding, *(eye.vertices for eye in self.eyes)])

    def place(self, field: np.ndarray, *, rigid_eyes: bool) -> np.ndarray:
        """Carry displacements over base.obj [19158, 3] dm to the head -> [V, 3] m."""
        pieces = [field[self.cut.vertices] * METRES_PER_UNIT]
        pieces += [piece.carry(field) for piece in self.attached]
        move = eyeball.carry_rigid if rigid_eyes else eyeball.carry_round
        for eye, ball, where in zip(self.eyes, self.balls, _BALLS, strict=True):
            pieces.append(move(ball, field[where] * METRES_PER_UNIT, eye))
        return np.concatenate(pieces)

    def polygons(self, cut_materials: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return all polygons [P, 4] (-1 padded), their uv [P, 4, 2] and material names [P]."""
        polygons, uv, names = [self.cut.polygons], [self.cut.uv], [cut_materials]
        start = self.n_cut
        for piece in self.attached:
            polygons.append(_shifted(piece.polygons, start))
            uv.append(piece.uv)
            names.append(np.full(len(piece.polygons), piece.material))
            start += len(piece.sources)
        for eye in self.eyes:
            polygons.append(_shifted(eye.polygons, start))
            uv.append(eye.uv)
            names.append(eye.material)
            start += len(eye.vertices)
        return np.concatenate(polygons), np.concatenate(uv), np.concatenate(names)


def _shifted(polygons: np.ndarray, start: int) -> np.ndarray:
    return np.where(polygons >= 0, polygons + start, -1)


def make_parts(source: AnnyData, neutral: np.ndarray) -> Parts:
    """Cut the head and make what base.obj lacks, for the mean face ``neutral`` [19158, 3] dm."""
    cut = topology.cut_head(source)
    balls = [neutral[where] * METRES_PER_UNIT for where in _BALLS]
    centres = np.stack([eyeball.fit_sphere(ball)[0] for ball in balls])
    origin = centres.mean(axis=0) * [0, 1, 1] - EYE_MIDPOINT_M
    skin = source.mesh.polygons[source.mesh.groups == "body"]
    lashes = attach.make_lashes(source, neutral)
    brows = attach.make_brows(source, neutral, skin, centres)
    balls = [ball - origin for ball in balls]
    eyes = [eyeball.make_eyeball(ball) for ball in balls]
    return Parts(cut, (*lashes, *brows), (eyes[0], eyes[1]), (balls[0], balls[1]), origin)
