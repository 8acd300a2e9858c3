# SPDX-License-Identifier: GPL-3.0-or-later
"""What bones do to vertices, constraints and all: posed and evaluated in a scene of its own.

The artist's scene is neither evaluated nor left changed; only the wanted vertices are carried.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from .target import Curve


def carried(
    mesh: bpy.types.Object, rest: np.ndarray, chosen: np.ndarray, frames: list[list[Curve]]
) -> np.ndarray:
    """Displacements [T, n, 3] of the vertices ``chosen`` [n] at ``rest`` [n, 3], in mesh space.

    ``frames`` hold one frame's curves of bones each, against the same bones at 0.
    """
    rigs = [m.object for m in mesh.modifiers if m.type == "ARMATURE" and m.object is not None]
    found = np.zeros((len(frames), len(chosen), 3))
    if not rigs or not any(frames) or not len(chosen):
        return found
    touched = {(c.owner, c.data_path): None for frame in frames for c in frame}
    with _apart(mesh, rest, chosen, rigs) as (scene, copy), _restored(list(touched)):
        for owner, path in touched:
            holder, name = _holder(owner.datablock(), path)
            setattr(holder, name, holder.bl_rna.properties[name].default_array)
        base = _evaluated(scene, copy)
        for index, frame in enumerate(frames):
            for curve in frame:
                holder, name = _holder(curve.owner.datablock(), curve.data_path)
                getattr(holder, name)[curve.index] = curve.values[0]
            found[index] = _evaluated(scene, copy) - base
    return found


@contextmanager
def _apart(
    mesh: bpy.types.Object, rest: np.ndarray, chosen: np.ndarray, rigs: list[bpy.types.Object]
) -> Iterator[tuple[bpy.types.Scene, bpy.types.Object]]:
    """Give a scene with the armatures and a copy of some vertices, gone afterwards."""
    scene = bpy.data.scenes.new("LSF measuring")
    data = bpy.data.meshes.new("LSF measuring")
    copy = bpy.data.objects.new("LSF measuring", data)
    try:
        data.from_pydata(rest.tolist(), [], [])
        copy.matrix_world = mesh.matrix_world
        groups = [copy.vertex_groups.new(name=group.name) for group in mesh.vertex_groups]
        for place, index in enumerate(chosen.tolist()):
            for entry in mesh.data.vertices[index].groups:
                groups[entry.group].add([place], entry.weight, "REPLACE")
        for modifier in (m for m in mesh.modifiers if m.type == "ARMATURE"):
            own = copy.modifiers.new(modifier.name, "ARMATURE")
            own.object = modifier.object
            own.use_deform_preserve_volume = modifier.use_deform_preserve_volume
        for obj in dict.fromkeys([copy, *rigs]):
            scene.collection.objects.link(obj)
        yield scene, copy
    finally:
        bpy.data.objects.remove(copy)
        bpy.data.meshes.remove(data)
        bpy.data.scenes.remove(scene)


@contextmanager
def _restored(touched: list) -> Iterator[None]:
    """Put the values back, to the bit."""
    before = []
    for owner, path in touched:
        holder, name = _holder(owner.datablock(), path)
        before.append((holder, name, tuple(getattr(holder, name))))
    try:
        yield
    finally:
        for holder, name, values in before:
            setattr(holder, name, values)


def _holder(datablock: bpy.types.ID, path: str) -> tuple[bpy.types.bpy_struct, str]:
    parent, _, name = path.rpartition(".")
    return datablock.path_resolve(parent), name


def _evaluated(scene: bpy.types.Scene, copy: bpy.types.Object) -> np.ndarray:
    layer = scene.view_layers[0]
    layer.update()
    shown = copy.evaluated_get(layer.depsgraph).data
    points = np.empty(len(shown.vertices) * 3, dtype=np.float32)
    shown.vertices.foreach_get("co", points)
    return points.reshape(-1, 3).astype(np.float64)
