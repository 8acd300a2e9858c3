# SPDX-License-Identifier: GPL-3.0-or-later
"""The character's map: propose it, edit it, keep it in a file, apply it to a take that is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from .. import character_files, kept_frames, runtime
from ..retarget.channels import all_channels
from ..retarget.model import MapError
from ..rig import stored_map
from .animate import begin, end, selected_meshes
from .takes import present_take, proposed_path


def chosen(context: bpy.types.Context) -> bpy.types.Object | None:
    """Return the mesh whose map is meant: the chosen head, else the active mesh."""
    head = context.scene.lsf.head or context.object
    return head if head is not None and head.type == "MESH" else None


def _put(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    make: Callable[[bpy.types.Object], list[str]],
) -> set[str]:
    """Put a map on the chosen mesh and say what it reaches, or why there is none."""
    obj = chosen(context)
    try:
        sentences = make(obj)
    except MapError as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    context.scene.lsf.head = obj
    for sentence in reversed(sentences):
        operator.report({"INFO"}, sentence)
    return {"FINISHED"}


class OfCharacter:
    """Needs a mesh, and no take in the making."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.current is not None:
            cls.poll_message_set("A take is being made")  # type: ignore[attr-defined]
            return False
        if chosen(context) is None:
            cls.poll_message_set("Choose a head, or select a mesh")  # type: ignore[attr-defined]
            return False
        mesh = chosen(context)
        if mesh.library is not None or mesh.override_library is not None:
            text = "The mesh is linked from another file; make it local to give it a map"
            cls.poll_message_set(text)  # type: ignore[attr-defined]
            return False
        return True


class LSFMapBuild(OfCharacter, bpy.types.Operator):
    """Propose a map from the names of the character's shape keys and bones, for review"""

    bl_idname = "lsf.map_build"
    bl_label = "Build Map"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Look at the mesh, what hangs together with it, and the selected meshes."""
        others = tuple(selected_meshes(context))
        return _put(self, context, lambda obj: character_files.proposal(obj, others))


class LSFMapClear(OfCharacter, bpy.types.Operator):
    """Forget the map: names decide again at every take"""

    bl_idname = "lsf.map_clear"
    bl_label = "Clear Map"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove all rows."""
        stored_map.clear(chosen(context))
        return {"FINISHED"}


class LSFMapAdd(OfCharacter, bpy.types.Operator):
    """Add a row to fill in by hand"""

    bl_idname = "lsf.map_add"
    bl_label = "Add Row"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add it below the others and make it the active one."""
        character = chosen(context).lsf_character
        row = character.rows.add()
        row.owner = chosen(context)
        row.sources = "jawOpen"
        character.active = len(character.rows) - 1
        return {"FINISHED"}


class LSFMapRemove(OfCharacter, bpy.types.Operator):
    """Remove the active row"""

    bl_idname = "lsf.map_remove"
    bl_label = "Remove Row"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove it; the one before becomes active."""
        character = chosen(context).lsf_character
        if not 0 <= character.active < len(character.rows):
            return {"CANCELLED"}
        character.rows.remove(character.active)
        character.active = max(character.active - 1, 0)
        return {"FINISHED"}


class LSFMapSource(OfCharacter, bpy.types.Operator):
    """Choose what drives the active row"""

    bl_idname = "lsf.map_source"
    bl_label = "Choose Source"
    bl_property = "source"

    source: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Source", items=[(name, name, "") for name in all_channels()]
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Let the artist type a part of the name."""
        context.window_manager.invoke_search_popup(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Put it into the row."""
        character = chosen(context).lsf_character
        if not 0 <= character.active < len(character.rows):
            return {"CANCELLED"}
        character.rows[character.active].sources = self.source
        return {"FINISHED"}


class LSFMapSave(OfCharacter, bpy.types.Operator):
    """Write the map to a .json file, to share it or use it for another character"""

    bl_idname = "lsf.map_save"
    bl_label = "Save Map"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        default=True, options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        folder = Path(proposed_path(context.scene, ".json")).parent
        self.filepath = str(folder / f"{chosen(context).name} map.json")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Write the map that is kept, or the proposed one."""
        path = Path(bpy.path.abspath(self.filepath)).with_suffix(".json")
        try:
            character_files.save(chosen(context), path)
        except (MapError, character_files.OutputError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Written: {path.name}")
        return {"FINISHED"}


class LSFMapLoad(OfCharacter, bpy.types.Operator):
    """Read a map from a .json file and put it on the character"""

    bl_idname = "lsf.map_load"
    bl_label = "Load Map"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(  # type: ignore[valid-type]
        default="*.json", options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read it, or say what is wrong with it and leave the present map."""
        path = Path(bpy.path.abspath(self.filepath))
        return _put(self, context, lambda obj: character_files.load(obj, path))


class LSFMapApply(OfCharacter, bpy.types.Operator):
    """Make a new take from the frames of the one that is shown, through the present map"""

    bl_idname = "lsf.map_apply"
    bl_label = "Apply to Take"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        action = present_take(context.scene)
        if action is None or kept_frames.of_take(action) is None:
            cls.poll_message_set("The head shows no take that keeps its frames")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Key it again; the old take stays as it is."""
        action = present_take(context.scene)
        replay, settings = kept_frames.again(action)
        if not begin(self, context, replay, settings):
            return {"CANCELLED"}
        runtime.current.run()
        return end(self, context)


CLASSES = (
    LSFMapBuild,
    LSFMapClear,
    LSFMapAdd,
    LSFMapRemove,
    LSFMapSource,
    LSFMapSave,
    LSFMapLoad,
    LSFMapApply,
)
