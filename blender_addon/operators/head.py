# SPDX-License-Identifier: GPL-3.0-or-later
"""Create Head: the bundled head, with the chosen identity."""

from __future__ import annotations

import bpy

from ..rig.head import create_head
from ..rig.head_file import HeadError, load_betas


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
        for obj in getattr(context, "selected_objects", None) or ():
            obj.select_set(False)
        if context.view_layer.objects.get(head.name) is not None:
            head.select_set(True)
            context.view_layer.objects.active = head
        settings.head = head
        return {"FINISHED"}


CLASSES = (LSFCreateHead,)
