# SPDX-License-Identifier: GPL-3.0-or-later
"""Render Video: the head as an .mp4 with sound."""

from pathlib import Path

import bpy

from ..output.files import OutputError
from ..output.video import render_video
from ..rig import targets
from .animate import selected_meshes
from .takes import proposed_path


class LSFRenderVideo(bpy.types.Operator):
    """Render the scene's frames to an .mp4 with sound; a camera is lent where none sees the head"""

    bl_idname = "lsf.render_video"
    bl_label = "Render Video"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        default=True, options={"HIDDEN"}
    )
    engine: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Engine",
        items=(
            ("workbench", "Workbench", "Fast, on any machine"),
            ("scene", "Scene's Own", "The render engine chosen in the scene"),
            ("cycles", "Cycles", "Slow without a GPU"),
        ),
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        self.filepath = proposed_path(context.scene, ".mp4")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Render; Blender waits meanwhile."""
        path = Path(bpy.path.abspath(self.filepath))
        path = path if path.suffix.lower() == ".mp4" else path.with_name(f"{path.name}.mp4")
        plan = targets.plan(context.scene, selected_meshes(context))
        if not plan.objects():
            self.report({"ERROR"}, "There is no head to render. Animate one first.")
            return {"CANCELLED"}
        manager, head = context.window_manager, plan.objects()[0]
        manager.progress_begin(0.0, 1.0)
        try:
            tell = manager.progress_update
            render_video(context.scene, head, path, self.engine, tell=tell)
        except OutputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        self.report({"INFO"}, f"Written: {path.name}")
        return {"FINISHED"}


CLASSES = (LSFRenderVideo,)
