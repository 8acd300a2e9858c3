# SPDX-License-Identifier: GPL-3.0-or-later
"""The vertex-cache mode: a copy of the face that plays exact vertices from an Alembic file.

Nothing is left of shape keys, drivers and bones: what the scene shows is what the copy shows.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from .export import export
from .files import OutputError


def bake(
    scene: bpy.types.Scene, objects: list[bpy.types.Object], path: Path
) -> list[bpy.types.Object]:
    """Write ``objects`` over the scene's range to ``path`` and add the copies that play it."""
    if path.suffix.lower() != ".abc":
        raise OutputError(f"{path.name}: a vertex cache ends in .abc.")
    if "alembic_import" not in dir(bpy.ops.wm):
        raise OutputError("This build of Blender has no Alembic.")
    meshes = [obj for obj in objects if obj.type == "MESH"]
    export(scene, meshes, path)
    known = set(bpy.data.objects.keys())
    here, between = scene.frame_current, scene.frame_subframe
    span = (scene.frame_start, scene.frame_end)
    try:
        bpy.ops.wm.alembic_import(
            filepath=str(path), as_background_job=False, set_frame_range=False
        )
    except RuntimeError as error:
        raise OutputError(f"{path.name} could not be read back: {str(error).strip()}") from error
    scene.frame_start, scene.frame_end = span
    scene.frame_set(here, subframe=between)
    made = [obj for obj in bpy.data.objects if obj.name not in known]
    for obj in made:
        obj.name = f"{obj.name.rsplit('.', 1)[0]} Cache" if "." in obj.name else f"{obj.name} Cache"
    return [obj for obj in made if obj.type == "MESH"]
