# SPDX-License-Identifier: GPL-3.0-or-later
"""Export: the animated character as FBX, glTF, Alembic or USD, its sound beside it."""

from pathlib import Path

import bpy

from ..output.export import PRESETS, SUFFIXES, export, sound_beside
from ..output.files import OutputError
from ..rig import actions, targets
from .animate import selected_meshes
from .takes import present_take, proposed_path


class LSFExport(bpy.types.Operator):
    """Write the animated character as an exchange file, with the take's sound beside it"""

    bl_idname = "lsf.export"
    bl_label = "Export Character"

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

    preset: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="For",
        items=(
            ("none", "Any", "Settings that lose nothing"),
            ("unreal", "Unreal", "FBX for Unreal Engine"),
            ("unity", "Unity", "FBX for Unity"),
            ("godot", "Godot", "glTF for Godot"),
        ),
    )
    check: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Read Back and Measure",
        description="Import the file again and say how many mm it is from the scene",
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        if self.preset != "none":
            self.format = PRESETS[self.preset][0]
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
        preset = "" if self.preset == "none" else self.preset
        try:
            done = export(scene, plan.objects(), path, preset, self.check)
            written = [path.name]
            action = present_take(scene)
            told = actions.metadata(action) if action else {}
            if told.get("audio") and Path(told["audio"]).is_file():
                beside = sound_beside(scene, told["audio"], part_of(told), path)
                written += [beside.name] if beside else []
        except OutputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for sentence in done.sentences():
            self.report({"INFO"}, sentence)
        self.report({"INFO"}, f"Written: {', '.join(written)}")
        return {"FINISHED"}


def part_of(told: dict) -> tuple[float, float] | None:
    """From and to, in seconds of its sound, of a take by its metadata; None: the whole sound."""
    settings = told.get("settings") or {}
    start, end = settings.get("start_s") or 0.0, settings.get("end_s") or 0.0
    if not start and not end:
        return None
    return float(start), float(start) + float(told.get("duration_s", 0.0))


CLASSES = (LSFExport,)
