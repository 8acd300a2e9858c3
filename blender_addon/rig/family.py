# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a character: the meshes that hang together with a chosen one, and its armature."""

from __future__ import annotations

import bpy

from ..retarget.matching import Character


def armature_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """Return the armature that moves a mesh, or that it hangs on; None where there is none."""
    found = obj.find_armature()
    parent = obj.parent
    while found is None and parent is not None:
        found = parent if parent.type == "ARMATURE" else None
        parent = parent.parent
    return found


def meshes_of(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """Meshes of the same armature, or else below the same parent; the chosen one first."""
    rig = armature_of(obj)
    scenes = obj.users_scene
    if rig is not None and scenes:
        found = [o for o in scenes[0].objects if o.type == "MESH" and armature_of(o) == rig]
    else:
        root = obj
        while root.parent is not None:
            root = root.parent
        found = [o for o in (root, *root.children_recursive) if o.type == "MESH"]
    return sorted(found, key=lambda other: other != obj)


def inspect(meshes: list[bpy.types.Object]) -> Character:
    """Names of the shape keys and bones of some meshes and of the armatures that move them."""
    keys = {
        obj.name: tuple(obj.data.shape_keys.key_blocks.keys()[1:])
        for obj in meshes
        if obj.data.shape_keys is not None
    }
    rigs = dict.fromkeys(rig for rig in map(armature_of, meshes) if rig is not None)
    return Character(keys, {rig.name: tuple(rig.data.bones.keys()) for rig in rigs})
