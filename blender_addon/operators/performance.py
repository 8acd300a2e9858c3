# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded face (Live Link Face, ARKit JSON, .npz) as a take, and a take as such a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy

from .. import kept_frames, runtime
from ..bridge.backend import Failed
from ..properties import take_settings
from ..rig import actions
from .animate import begin, end
from .takes import present_take, proposed_path


class LSFImportPerformance(bpy.types.Operator):
    """Key a recorded performance on the chosen head: Live Link Face .csv, ARKit .json, .npz"""

    bl_idname = "lsf.import_performance"
    bl_label = "Import Performance"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(  # type: ignore[valid-type]
        default="*.csv;*.json;*.npz", options={"HIDDEN"}
    )
    fps: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Rate",
        description="Frames per second of the file; 0: as its timecodes or itself says",
        default=0.0,
        min=0.0,
        max=240.0,
    )
    with_sound: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="With the Panel's Sound",
        description="Put the sound file of the panel under the take",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.current is not None:
            cls.poll_message_set("A take is being made")
        return runtime.current is None and context.scene is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Read it through the backend, which takes a moment, and key it."""
        plain = take_settings(context.scene.lsf)
        sound = plain.audio if self.with_sound and Path(plain.audio).is_file() else ""
        settings = dataclasses.replace(
            plain,
            audio=sound,
            performance=bpy.path.abspath(self.filepath),
            performance_fps=self.fps or None,
            finishing={"head": 1.0},  # the recorded turns of the head
        )
        if not begin(self, context, runtime.backend(), settings):
            return {"CANCELLED"}
        runtime.current.run()
        return end(self, context)


class LSFExportPerformance(bpy.types.Operator):
    """Write the frames of the shown take: Live Link Face .csv, ARKit .json or .npz"""

    bl_idname = "lsf.export_performance"
    bl_label = "Export Performance"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(  # type: ignore[valid-type]
        default=True, options={"HIDDEN"}
    )
    format: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Format",
        items=(
            (".csv", "Live Link Face", "For Unreal's and Blender's Live Link tools"),
            (".json", "ARKit JSON", "Weights and head turns by name"),
            (".npz", "NumPy", "The model's motion, always at 25 frames per second"),
        ),
    )
    fps: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Rate",
        description="Frames per second of the file; 0: 60 for Live Link Face, else the take's own",
        default=0.0,
        min=0.0,
        max=240.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.current is not None:
            cls.poll_message_set("A take is being made")
            return False
        action = present_take(context.scene)
        if action is None or kept_frames.of_take(action) is None:
            cls.poll_message_set("The head shows no take that keeps its frames")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the file's name."""
        self.filepath = proposed_path(context.scene, self.format)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Let the backend write it; the scene stays as it is."""
        path = Path(bpy.path.abspath(self.filepath)).with_suffix(self.format)
        action = present_take(context.scene)
        kept = kept_frames.of_take(action)
        fields = {
            "path": str(path),
            "channels": list(kept.channels),
            "fps": kept.fps,
            "out_fps": self.fps or None,
            "face_space": kept.face_space,
            "metadata": actions.metadata(action),
        }
        answer = runtime.backend().ask("write_performance", fields, kept.values)
        if isinstance(answer, Failed):
            self.report({"ERROR"}, answer.sentence())
            return {"CANCELLED"}
        self.report({"INFO"}, f"Written: {path.name}, {answer.header.get('frames')} frames")
        return {"FINISHED"}


CLASSES = (LSFImportPerformance, LSFExportPerformance)
