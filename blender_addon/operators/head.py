# SPDX-License-Identifier: GPL-3.0-or-later
"""Create Head: the bundled head, with the chosen identity."""

from __future__ import annotations

import bpy

from ..rig.head import create_head
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
    """Add the bundled head (52 ARKit shape keys), shaped by the identity file if one is chosen"""

    bl_idname = "lsf.create_head"
    bl_label = "Create Head"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the head, select it, and choose it for the next take."""
        settings = context.scene.lsf
        try:
            path = bpy.path.abspath(settings.identity) if settings.identity.strip() else ""
            head = create_head(context.scene, load_betas(path) if path else None)
        except HeadError as error:
            settings.report, settings.report_ok = str(error), False
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        settings.head = head
        show_head(context, head)
        return {"FINISHED"}


CLASSES = (LSFCreateHead,)
