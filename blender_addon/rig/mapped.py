# SPDX-License-Identifier: GPL-3.0-or-later
"""A character driven through a retarget map: shape keys of several meshes, and bones.

The map is the one that the artist has built (kept on the mesh), or else what the names suggest.
"""

from __future__ import annotations

import dataclasses
import functools

import bpy
import numpy as np

from ..retarget.apply import curves
from ..retarget.channels import channel_curves
from ..retarget.matching import Character, propose
from ..retarget.model import BONE, KEY, MOVES, TURNS, RetargetMap, Row
from ..retarget.model import Target as Place
from ..retarget.report import FitReport, report
from . import arkit_mesh, bones, family, fitted, solved, stored_map
from .names import ARKIT_NAMES
from .target import Curve, Owner, bone_path, shape_key_path

FEWEST_SHAPES = 3


@dataclasses.dataclass(frozen=True)
class Mapped:
    """A mesh with the map of its character; ``automatic`` where names alone have made it."""

    name: str
    retarget: RetargetMap
    automatic: bool = True
    solved: tuple[str, ...] = ()  # keys of the mesh whose weights are found by geometry
    output: str = "arkit"

    def objects(self) -> list[bpy.types.Object]:
        """Return meshes, the chosen one first where it moves, then armatures."""
        owners = dict.fromkeys(row.target.owner for row in self.rows())
        if self.solved and self.name in bpy.data.objects:
            owners = {self.name: None, **owners}
        found = [bpy.data.objects[name] for name in owners]
        rigs = [obj for obj in found if obj.type == "ARMATURE"]
        meshes = [obj for obj in found if obj.type == "MESH"]
        own = bpy.data.objects.get(self.name)
        if not meshes and own is not None:  # bones alone: what they move is looked at
            meshes = [own]
        return [*sorted(meshes, key=lambda obj: obj != own), *rigs]

    def rows(self) -> list[Row]:
        """Rows that are on and whose key or bone is there; a solved mesh has none."""
        return [
            row
            for row in self.retarget.rows
            if row.enabled
            and _there(row.target)
            and not (self.solved and row.target.owner == self.name)
        ]

    def paths(self) -> dict[Owner, set[str]]:
        """Give the values of the mapped keys and the rotations of the mapped bones."""
        found: dict[Owner, set[str]] = {}
        own = bpy.data.objects.get(self.name)
        if self.solved and own is not None:
            found[Owner.of(own.data.shape_keys)] = {shape_key_path(n) for n in self.solved}
        for row in self.rows():
            obj = bpy.data.objects[row.target.owner]
            if row.target.kind == KEY:
                path = shape_key_path(row.target.name)
                found.setdefault(Owner.of(obj.data.shape_keys), set()).add(path)
            else:
                name = row.target.name
                turned = row.target.component in TURNS
                path = bones.rotation_path(obj, name) if turned else bone_path(name, "location")
                found.setdefault(Owner.of(obj), set()).add(path)
        return found

    def curves(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        """Apply the map to values [T, C]."""
        made = self._made(values, channels)
        found = [
            Curve(
                Owner.of(bpy.data.objects[p.owner].data.shape_keys), shape_key_path(p.name), curve
            )
            for p, curve in made.items()
            if p.kind == KEY
        ]
        found += self._solved(values, channels)
        rigs = {p.owner: bpy.data.objects[p.owner] for p in made if p.kind == BONE}
        axes = {name: bones.axes_of(rig) for name, rig in rigs.items()}
        for (rig, bone), turn in _by_bone(made, TURNS).items():
            found += bones.turn_curves(rigs[rig], bone, turn, axes[rig])
        for (rig, bone), move in _by_bone(made, MOVES).items():
            found += bones.move_curves(rigs[rig], bone, move, axes[rig])
        return found

    def _solved(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        if not self.solved:
            return []
        own = bpy.data.objects[self.name]
        sources = channel_curves(values, ARKIT_NAMES, channels)
        arkit = np.stack([sources[name] for name in ARKIT_NAMES], axis=1)
        weights = solved.weights(own, list(self.solved), arkit).astype(np.float32)
        owner = Owner.of(own.data.shape_keys)
        pairs = zip(self.solved, weights.T, strict=True)
        return [Curve(owner, shape_key_path(name), part) for name, part in pairs]

    def _made(self, values: np.ndarray, channels: tuple[str, ...]) -> dict[Place, np.ndarray]:
        return curves(dataclasses.replace(self.retarget, rows=tuple(self.rows())), values, channels)

    def lips(self) -> np.ndarray:
        """Vertices of the lips of the first mesh, by the keys that close and open them."""
        meshes = [obj for obj in self.objects() if obj.type == "MESH"]
        if not meshes:
            return np.zeros(0, dtype=np.int64)
        names = {
            source: row.target.name
            for row in reversed(self.rows())
            for source, _ in row.sources
            if row.target.kind == KEY and row.target.owner == meshes[0].name
        }
        chosen = [names[source] for source in arkit_mesh.LIP_SHAPES if source in names]
        return arkit_mesh.lip_vertices(meshes[0], chosen)

    def summary(self) -> str:
        """Say what the names are and how much of the face is reached."""
        if self.solved:
            return f"{self.name}: {len(self.solved)} shapes solved by geometry"
        return f"{self.name}: {self.fit().headline().rstrip('.')}"

    def fit(self) -> FitReport:
        """What the map reaches and misses on this character."""
        return report(self.retarget, family.inspect(_meshes(self.name, self.retarget)))

    def concerns(self) -> list[str]:
        """What is not driven, the important first; drivers, muted shapes, constraints."""
        found = [] if self.solved else self.fit().sentences()
        for obj in self.objects():
            names = [row.target.name for row in self.rows() if row.target.owner == obj.name]
            if obj.type == "MESH" and obj.data.shape_keys is not None:
                found += arkit_mesh.shape_concerns(obj, list(dict.fromkeys(names)))
            elif obj.type == "ARMATURE":
                found += bones.concerns(obj, list(dict.fromkeys(names)))
        return found


def recognise(obj: bpy.types.Object) -> Mapped | None:
    """Return the target for a mesh that has a map, or whose names are better met by one."""
    if obj.type != "MESH":
        return None
    kept = stored_map.stored(obj)
    solves = obj.lsf_character.solve and obj.data.shape_keys is not None
    if solves and solved.known_of(obj) is not None:
        there = obj.data.shape_keys.key_blocks
        keys = tuple(k for k in obj.lsf_character.solve_keys.split("\n") if k in there)
        if keys:
            return Mapped(obj.name, kept or RetargetMap(), False, keys)
    if kept is not None:
        found = Mapped(obj.name, kept, automatic=False)
        return found if found.paths() else None
    suggested = proposed(obj)
    driven = set(report(suggested, family.inspect(_meshes(obj.name, suggested))).driven)
    if "jawOpen" not in driven or len(driven) < FEWEST_SHAPES:
        return None
    plain_mesh = arkit_mesh.recognise(obj)
    if plain_mesh is not None and suggested.owners() == (obj.name,):
        mouth = [name for name in plain_mesh.mapping if name.startswith("mouth")]
        closes = "mouthClose" in mouth or not mouth
        if closes and len(plain_mesh.mapping) >= len(suggested.rows):
            return None  # ARKit's names on one mesh: nothing to map
    return Mapped(obj.name, suggested)


def proposed(obj: bpy.types.Object, others: tuple[bpy.types.Object, ...] = ()) -> RetargetMap:
    """Return the map that the names of a character suggest, its jaw fitted to its rest pose."""
    meshes = list(dict.fromkeys([*family.meshes_of(obj), *others]))
    seen = family.inspect(meshes)
    found = _cached(tuple(seen.shape_keys.items()), tuple(seen.bones.items()))
    return dataclasses.replace(found, rows=tuple(fitted.fit(row, meshes) for row in found.rows))


@functools.lru_cache(maxsize=64)
def _cached(
    shape_keys: tuple[tuple[str, tuple[str, ...]], ...],
    bone_names: tuple[tuple[str, tuple[str, ...]], ...],
) -> RetargetMap:
    """Matching takes milliseconds, and a panel asks at every redraw."""
    return propose(Character(dict(shape_keys), dict(bone_names)))


def _by_bone(
    made: dict[Place, np.ndarray], components: tuple[str, ...]
) -> dict[tuple[str, str], np.ndarray]:
    """Gather a bone's components into [T, 3]."""
    found: dict[tuple[str, str], np.ndarray] = {}
    for place, values in made.items():
        if place.component in components:
            whole = found.setdefault((place.owner, place.name), np.zeros((len(values), 3)))
            whole[:, components.index(place.component)] = values
    return found


def _meshes(name: str, retarget: RetargetMap) -> list[bpy.types.Object]:
    """Meshes to look for targets in: those of the map, and those of the chosen mesh's family."""
    named = [bpy.data.objects.get(owner) for owner in retarget.owners()]
    meshes = [obj for obj in named if obj is not None and obj.type == "MESH"]
    own = bpy.data.objects.get(name)
    return list(dict.fromkeys([*meshes, *(family.meshes_of(own) if own is not None else ())]))


def _there(place: Place) -> bool:
    obj = bpy.data.objects.get(place.owner)
    if obj is None:
        return False
    if place.kind == KEY:
        key = obj.data.shape_keys if obj.type == "MESH" else None
        return key is not None and key.key_blocks.find(place.name) > 0
    return obj.type == "ARMATURE" and place.name in obj.pose.bones
