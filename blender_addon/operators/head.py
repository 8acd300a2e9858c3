# SPDX-License-Identifier: GPL-3.0-or-later
"""Create Head: the chosen face, with the chosen identity."""

from __future__ import annotations

import bpy
import numpy as np

from .. import runtime
from ..faces import add_face, converted
from ..properties import face_choice
from ..rig.head_file import HeadError, load_betas


def show_head(context: bpy.types.Context, head: bpy.types.Object) -> bool:
    """Select a new head and let the 3D views look it in the face; False where it is not in view."""
    layer = context.view_layer
    layer.update()  # an object that was linked a moment ago is not in the layer yet
    if layer.objects.get(head.name) is None:
        return False
    for obj in layer.objects:
        obj.select_set(obj == head)
    layer.objects.active = head
    if bpy.app.background or context.window is None:
        return True
    for area in context.window.screen.areas:
        regions = [region for region in area.regions if region.type == "WINDOW"]
        if area.type == "VIEW_3D" and regions:
            with context.temp_override(area=area, region=regions[0]):
                bpy.ops.view3d.view_axis(type="FRONT")
                bpy.ops.view3d.view_selected()
    return True


class LSFCreateHead(bpy.types.Operator):
    """Add the chosen face (bundled head or FLAME file), shaped by the identity file"""

    bl_idname = "lsf.create_head"
    bl_label = "Create Head"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the head, select it, and choose it for the next take."""
        settings = context.scene.lsf
        try:
            path = bpy.path.abspath(settings.identity) if settings.identity.strip() else ""
            head = new_face(context.scene, load_betas(path) if path else None)
        except HeadError as error:
            settings.report, settings.report_ok = str(error), False
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        show_head(context, head)
        return {"FINISHED"}


def new_face(scene: bpy.types.Scene, betas: np.ndarray | None) -> bpy.types.Object:
    """Add the face of the panel's settings and choose it as the scene's head."""
    choice = face_choice(scene.lsf)
    if scene.lsf.face_model == "flame" and not choice.flame:
        raise HeadError("Choose your FLAME file first.")
    if choice.problem():
        raise HeadError(choice.problem())
    safe = converted(runtime.backend(), choice.flame) if choice.flame else None
    scene.lsf.head = add_face(scene, choice, safe, betas)
    return scene.lsf.head


CLASSES = (LSFCreateHead,)
