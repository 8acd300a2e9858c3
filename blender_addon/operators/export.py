# SPDX-License-Identifier: GPL-3.0-or-later
"""Export: the animated head as FBX, glTF, Alembic or USD, its sound beside it."""

from pathlib import Path

import bpy

from ..output.export import SUFFIXES, export, sound_beside
from ..output.files import OutputError
from ..rig import actions, targets
from .animate import selected_meshes
from .takes import present_take, proposed_path


class LSFExport(bpy.types.Operator):
    """Write the animated head as an exchange file, with the take's sound beside it"""

    bl_idname = "lsf.export"
    bl_label = "Export Head"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        default=True, options={"HIDDEN"}
    )
    format: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Format",
        items=(
            (".fbx", "FBX", "Shape keys, for Unreal, Unity, Maya"),
            (".glb", "glTF", "Morph targets, for the web and game engines"),
            (".abc", "Alembic", "Vertex cache, exact"),
            (".usd", "USD", "Blend shapes"),
        ),
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        self.filepath = proposed_path(context.scene, self.format)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file."""
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower() not in SUFFIXES:
            path = path.with_name(path.name + self.format)
        scene = context.scene
        plan = targets.plan(scene, selected_meshes(context))
        try:
            export(scene, plan.objects(), path)
            written = [path.name]
            action = present_take(scene)
            audio = actions.metadata(action).get("audio", "") if action else ""
            if audio and Path(audio).is_file():
                settings = actions.metadata(action).get("settings", {})
                whole = not settings.get("start_s") and not settings.get("end_s")
                beside = sound_beside(scene, audio, whole, path)
                written += [beside.name] if beside else []
        except OutputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Written: {', '.join(written)}")
        return {"FINISHED"}


CLASSES = (LSFExport,)
