# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies for export whose shape keys stay in 0..1, because importers clamp them there.

A key that goes below 0 becomes two (``name`` and ``name_neg``), one that goes above 1 is made as
much larger and its curve smaller. The mesh moves as before; the artist's own is not touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import bpy
import numpy as np

from ..rig import actions
from ..rig.target import Curve, Owner, shape_key_path

NEGATIVE = "_neg"
_SLACK = 1e-4


@dataclasses.dataclass(frozen=True)
class Span:
    """Values of a key over the scene's range."""

    values: np.ndarray

    @property
    def fits(self) -> bool:
        """Whether every importer would take them."""
        return bool(self.values.min() >= -_SLACK and self.values.max() <= 1.0 + _SLACK)


def spans(scene: bpy.types.Scene, obj: bpy.types.Object) -> dict[str, Span]:
    """Values of every keyed shape key at each whole frame of the scene's range."""
    key = obj.data.shape_keys if obj.type == "MESH" else None
    owner = Owner.of(key) if key is not None else None
    action = actions.active(owner) if owner is not None else None
    if key is None or action is None or not actions.driven_paths(action, owner):
        return {}
    curves = actions.fcurves(action, owner)
    frames = range(scene.frame_start, scene.frame_end + 1)
    found = {}
    for block in key.key_blocks[1:]:
        curve = curves.find(shape_key_path(block.name))
        if curve is not None and not block.mute:
            found[block.name] = Span(np.array([curve.evaluate(frame) for frame in frames]))
    return found


@contextlib.contextmanager
def in_range(
    scene: bpy.types.Scene, objects: list[bpy.types.Object]
) -> Iterator[tuple[list[bpy.types.Object], list[str]]]:
    """Give objects whose keys stay in 0..1 and what was split; copies go away afterwards."""
    made: list[tuple[bpy.types.Object, str, str]] = []
    given, notes = [], []
    try:
        for obj in objects:
            keyed = spans(scene, obj)
            over = [name for name, span in keyed.items() if not span.fits]
            if not over:
                given.append(obj)
                continue
            names = obj.name, obj.data.name
            copy = obj.copy()
            copy.data = obj.data.copy()
            scene.collection.objects.link(copy)
            made.append((copy, *names))
            obj.name, obj.data.name = f"{names[0]} (kept)", f"{names[1]} (kept)"
            copy.name, copy.data.name = names
            _split(scene, copy, keyed)
            given.append(copy)
            notes.append(
                f"{len(over)} shape keys of '{names[0]}' leave 0..1; they are split or scaled in "
                "the file, so that no importer clamps them."
            )
        yield given, notes
    finally:
        for copy, name, mesh_name in made:
            _remove(copy)
            obj = bpy.data.objects[f"{name} (kept)"]
            obj.name, obj.data.name = name, mesh_name


def _split(scene: bpy.types.Scene, obj: bpy.types.Object, keyed: dict[str, Span]) -> None:
    key = obj.data.shape_keys
    owner = Owner.of(key)
    action = actions.new_action(f"{obj.name} split", owner)
    frames = np.arange(scene.frame_start, scene.frame_end + 1, dtype=np.float64)
    curves = []
    for name, span in keyed.items():
        block = key.key_blocks[name]
        base, points = _points(block.relative_key), _points(block)
        parts = [(name, np.maximum(span.values, 0.0), points - base)]
        if span.values.min() < -_SLACK:
            parts.append((name + NEGATIVE, np.maximum(-span.values, 0.0), base - points))
        for part, values, way in parts:
            target = key.key_blocks.get(part)
            if target is None:
                target = obj.shape_key_add(name=part, from_mix=False)
                target.relative_key = block.relative_key
            most = max(float(values.max()), 1.0)
            target.data.foreach_set("co", (base + most * way).ravel())
            target.slider_min, target.slider_max = 0.0, 1.0
            curves.append(Curve(owner, shape_key_path(target.name), (values / most)))
    actions.assign(action, owner)
    actions.write_curves(action, frames, curves)


def _points(block: bpy.types.ShapeKey) -> np.ndarray:
    points = np.empty(len(block.data) * 3, dtype=np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)


def _remove(obj: bpy.types.Object) -> None:
    mesh = obj.data
    data = mesh.shape_keys.animation_data if mesh.shape_keys is not None else None
    action = data.action if data is not None else None
    bpy.data.objects.remove(obj)
    bpy.data.meshes.remove(mesh)
    if action is not None and action.name.endswith(" split"):
        bpy.data.actions.remove(action)
