# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake Vertex Cache: the animated face as exact vertices from an Alembic file."""

from pathlib import Path

import bpy

from ..output.files import OutputError
from ..output.vertex_cache import bake
from ..rig import targets
from .animate import selected_meshes
from .takes import proposed_path


class LSFVertexCache(bpy.types.Operator):
    """Write the face's vertices to an Alembic file and add a copy of the face that plays them"""

    bl_idname = "lsf.vertex_cache"
    bl_label = "Bake Vertex Cache"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        default=True, options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        self.filepath = proposed_path(context.scene, ".abc")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the file and add the copy; the face itself stays as it is."""
        scene, path = context.scene, Path(bpy.path.abspath(self.filepath))
        path = path if path.suffix.lower() == ".abc" else path.with_name(f"{path.name}.abc")
        try:
            made = bake(scene, targets.plan(scene, selected_meshes(context)).objects(), path)
        except OutputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        names = ", ".join(obj.name for obj in made)
        self.report({"INFO"}, f"Written: {path.name}; it is played by {names}.")
        return {"FINISHED"}


CLASSES = (LSFVertexCache,)
