# SPDX-License-Identifier: GPL-3.0-or-later
"""The plainest target: a mesh whose shape keys have ARKit names, such as the bundled head."""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np

from .names import ARKIT_NAMES, match
from .target import Curve, Owner, shape_key_path

LIP_SHAPES = ("mouthPucker", "mouthFunnel", "mouthClose", "jawOpen")


@dataclasses.dataclass(frozen=True)
class ArkitMesh:
    """A mesh with the shape key that each channel drives."""

    name: str
    mapping: dict[str, str]
    output: str = "arkit"

    def objects(self) -> list[bpy.types.Object]:
        """Return the mesh object."""
        obj = bpy.data.objects.get(self.name)
        return [obj] if obj is not None and obj.type == "MESH" else []

    def key(self) -> bpy.types.Key | None:
        """Return the shape-key datablock, None where it is gone."""
        return next((obj.data.shape_keys for obj in self.objects()), None)

    def paths(self) -> dict[Owner, set[str]]:
        """Give the values of the mapped shape keys."""
        key = self.key()
        paths = {shape_key_path(name) for name in self.mapping.values()}
        return {Owner.of(key): paths} if key is not None else {}

    def curves(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        """Copy the weights, values [T, C], to their shape keys."""
        key = self.key()
        if key is None:
            return []
        return [
            Curve(Owner.of(key), shape_key_path(self.mapping[channel]), values[:, column])
            for column, channel in enumerate(channels)
            if channel in self.mapping
        ]

    def lips(self) -> np.ndarray:
        """Vertices of the lips: the head's own region, else what the lip shapes move most."""
        obj = next(iter(self.objects()), None)
        if obj is None:
            return np.zeros(0, dtype=np.int64)
        names = [self.mapping[name] for name in LIP_SHAPES if name in self.mapping]
        return lip_vertices(obj, names)

    def summary(self) -> str:
        """Say how many shapes there are."""
        return f"{self.name}: {len(self.mapping)} of {len(ARKIT_NAMES)} shapes"

    def concerns(self) -> list[str]:
        """Missing, driven and muted shapes."""
        obj, key = next(iter(self.objects()), None), self.key()
        if obj is None or key is None:
            return []
        found = []
        missing = [name for name in ARKIT_NAMES if name not in self.mapping]
        if missing:
            some = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
            found.append(f"'{obj.name}' lacks {len(missing)} shapes: {some}.")
        return found + shape_concerns(obj, list(self.mapping.values()))


def recognise(obj: bpy.types.Object) -> ArkitMesh | None:
    """Return the target that a mesh with ARKit names is; None for another."""
    key = obj.data.shape_keys if obj.type == "MESH" else None
    mapping = match(ARKIT_NAMES, key.key_blocks.keys()) if key is not None else {}
    return ArkitMesh(obj.name, mapping) if mapping else None


def shape_concerns(obj: bpy.types.Object, names: list[str]) -> list[str]:
    """What keeps keys on these shape keys of a mesh from showing."""
    key, found = obj.data.shape_keys, []
    paths = {shape_key_path(name) for name in names}
    data = key.animation_data
    drivers = [d for d in (data.drivers if data else ()) if d.data_path in paths]
    if drivers:
        found.append(f"{len(drivers)} shapes of '{obj.name}' have drivers, which win over keys.")
    muted = [name for name in names if key.key_blocks[name].mute]
    if muted:
        found.append(f"{len(muted)} shapes of '{obj.name}' are muted.")
    if obj.show_only_shape_key:
        found.append(f"'{obj.name}' shows one pinned shape only; unpin it to see the motion.")
    if not key.use_relative:
        found.append(f"'{obj.name}' has absolute shape keys; relative ones are needed.")
    return found


def lip_vertices(obj: bpy.types.Object, lip_shapes: list[str]) -> np.ndarray:
    """Vertices [n] of the vertex group "lips", else what the first lip shape that moves moves."""
    group = obj.vertex_groups.get("lips")
    if group is not None:
        index = group.index
        inside = [v.index for v in obj.data.vertices if any(g.group == index for g in v.groups)]
        return np.array(inside, dtype=np.int64)
    key = obj.data.shape_keys
    for name in lip_shapes if key is not None else ():
        block = key.key_blocks[name]
        way = np.linalg.norm(_points(block) - _points(block.relative_key), axis=1)
        if way.max() > 0:
            return np.flatnonzero(way > 0.5 * way.max())
    return np.zeros(0, dtype=np.int64)


def _points(block: bpy.types.ShapeKey) -> np.ndarray:
    points = np.empty(len(block.data) * 3, dtype=np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)
