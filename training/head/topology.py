# SPDX-License-Identifier: Apache-2.0
"""Cuts the head out of the base mesh along an edge loop and walks its quad loops.

The neck ends at a closed loop of 42 vertices, so the cut is clean without moving a vertex.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from .source import AnnyData

# One directed edge on each loop (vertex numbers of base.obj, at the back of the neck or the middle
# of the upper lip, then its neighbour on the left).
NECK_CUT = (1496, 8180)
NECK_JOINT = (856, 7722)
LIP_RIMS = ((474, 7229), (520, 7267), (537, 7282))
LID_RIM_LEFT = (6785, 6784)
HEAD_SEED = 302

# The groups taken over beside the skin; lash strips and the white balls of the eyes are replaced.
HELPERS = ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue")


class QuadLoops:
    """Edge loops of a quad mesh: straight on at every vertex with four edges."""

    def __init__(self, polygons: np.ndarray) -> None:
        self.faces: dict[frozenset[int], list[int]] = defaultdict(list)
        self.neighbours: dict[int, set[int]] = defaultdict(set)
        for number, polygon in enumerate(polygons.tolist()):
            for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
                self.faces[frozenset((a, b))].append(number)
                self.neighbours[a].add(b)
                self.neighbours[b].add(a)

    def walk(self, start: int, second: int) -> list[int]:
        """Return the closed loop start, second, ...; raises ValueError where it does not close."""
        loop = [start, second]
        while True:
            before, here = loop[-2:]
            behind = set(self.faces[frozenset((before, here))])
            ahead = [
                other
                for other in self.neighbours[here]
                if other != before and not behind & set(self.faces[frozenset((here, other))])
            ]
            if len(self.neighbours[here]) != 4 or len(ahead) != 1:
                raise ValueError(f"the loop from {start} ends at vertex {here}")
            if ahead[0] == start:
                return loop
            loop.append(ahead[0])


@dataclass(frozen=True)
class HeadCut:
    """The part of the base mesh that becomes the head, without eyeballs, lashes and brows.

    vertices [N] numbers in base.obj; polygons [P, 4] in new numbers; uv [P, 4, 2]; groups [P];
    neck_ring, neck_loop, lip_rims (from outside in), lid_rims (left, right): loops in new numbers.
    """

    vertices: np.ndarray
    polygons: np.ndarray
    uv: np.ndarray
    groups: np.ndarray
    neck_ring: np.ndarray
    neck_loop: np.ndarray
    lip_rims: tuple[np.ndarray, ...]
    lid_rims: tuple[np.ndarray, np.ndarray]

    @property
    def skin(self) -> np.ndarray:
        """Numbers of the skin's polygons."""
        return np.flatnonzero(self.groups == "body")


def cut_head(source: AnnyData) -> HeadCut:
    """Cut the head (skin above the neck loop, teeth, tongue) out of the base mesh."""
    mesh = source.mesh
    body = np.flatnonzero(mesh.groups == "body")
    loops = QuadLoops(mesh.polygons[body])
    neck_ring = loops.walk(*NECK_CUT)
    skin = body[_flood(mesh.polygons[body], HEAD_SEED, set(neck_ring))]
    left_lid = loops.walk(*LID_RIM_LEFT)
    helpers = np.flatnonzero(np.isin(mesh.groups, HELPERS))
    keep = np.concatenate([skin, helpers])
    vertices = np.unique(mesh.polygons[keep])
    new = np.full(len(mesh.vertices), -1)
    new[vertices] = np.arange(len(vertices))
    return HeadCut(
        vertices,
        new[mesh.polygons[keep]],
        mesh.uv[mesh.uv_polygons[keep]],
        mesh.groups[keep],
        new[neck_ring],
        new[loops.walk(*NECK_JOINT)],
        tuple(new[loops.walk(*rim)] for rim in LIP_RIMS),
        (new[left_lid], new[_mirrored(mesh.vertices, left_lid)]),
    )


def _mirrored(vertices: np.ndarray, numbers: list[int]) -> list[int]:
    """Return the vertices opposite to ``numbers``; base.obj is symmetric."""
    image = vertices[numbers] * [-1.0, 1.0, 1.0]
    distance = ((vertices[None] - image[:, None]) ** 2).sum(axis=-1)
    return [int(number) for number in distance.argmin(axis=1)]


def _flood(polygons: np.ndarray, seed: int, border: set[int]) -> np.ndarray:
    """Return the numbers of the polygons on the seed's side of the border loop."""
    touching: dict[int, list[int]] = defaultdict(list)
    for number, polygon in enumerate(polygons.tolist()):
        for vertex in polygon:
            touching[vertex].append(number)
    seen, queue = {seed}, [seed]
    inside: set[int] = set()
    while queue:
        for number in touching[queue.pop()]:
            inside.add(number)
            for vertex in polygons[number].tolist():
                if vertex not in seen:
                    seen.add(vertex)
                    if vertex not in border:
                        queue.append(vertex)
    return np.array(sorted(inside))
