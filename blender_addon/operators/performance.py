# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Performance: a recorded face (Live Link Face, ARKit JSON, .npz) as a take, no engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy

from .. import runtime
from ..properties import take_settings
from .animate import begin, end


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


CLASSES = (LSFImportPerformance,)
