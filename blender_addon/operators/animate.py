# SPDX-License-Identifier: GPL-3.0-or-later
"""Animate from Audio, and Cancel."""

from __future__ import annotations

import bpy

from .. import kept_frames, runtime
from ..bridge.backend import Backend
from ..properties import take_settings
from ..take import Take, TakeError
from ..take_settings import TakeSettings
from .head import show_head

TICK_S = 0.05


def redraw(context: bpy.types.Context) -> None:
    """Let the sidebars show the progress."""
    for window in context.window_manager.windows if context.window_manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def selected_meshes(context: bpy.types.Context) -> list[bpy.types.Object]:
    """Meshes that the artist has selected (none where the context has no selection)."""
    return [obj for obj in getattr(context, "selected_objects", None) or () if obj.type == "MESH"]


def begin(
    operator: bpy.types.Operator,
    context: bpy.types.Context,
    backend: Backend | kept_frames.Replay,
    settings: TakeSettings,
) -> bool:
    """Begin a take as ``runtime.current``; False, with the reason reported, where it cannot be."""
    scene = context.scene
    try:
        runtime.current = Take(backend, scene, settings, selected_meshes(context))
    except TakeError as error:
        scene.lsf.report, scene.lsf.report_ok = str(error), False
        operator.report({"ERROR"}, str(error))
        return False
    scene.lsf.report = ""
    return True


def end(operator: bpy.types.Operator, context: bpy.types.Context) -> set[str]:
    """Report what came of the take that has finished; gives the operator's answer."""
    take, runtime.current = runtime.current, None
    if take is None:
        return {"CANCELLED"}
    settings = take.scene.lsf
    settings.report, settings.report_ok = "\n".join(take.report), take.ok
    redraw(context)
    for line in reversed(take.report):  # the status bar shows the last one
        operator.report({"INFO"} if take.ok else {"WARNING"}, line)
    if not take.action_name:
        return {"CANCELLED"}
    settings.take_name = ""
    show_new_head(context, take)
    return {"FINISHED"}  # a cancelled take that has keys is one undo step as well


def show_new_head(context: bpy.types.Context, take: Take) -> bool:
    """Let the views look at the head that a take has made, if it has."""
    head = bpy.data.objects.get(take.new_head)
    return head is not None and show_head(context, head)


class LSFAnimate(bpy.types.Operator):
    """Make a take: keys on the face, the sound in the sequencer, the scene's range"""

    bl_idname = "lsf.animate"
    bl_label = "Animate from Audio"
    bl_options = {"REGISTER", "UNDO"}

    _timer = None
    _shown = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if runtime.current is not None:
            cls.poll_message_set("A take is being made")
            return False
        return context.scene is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Block until the take is made (scripts, background mode)."""
        if not begin(self, context, runtime.backend(), take_settings(context.scene.lsf)):
            return {"CANCELLED"}
        runtime.current.run()
        return end(self, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Start the take; a timer brings the frames in while the artist goes on working."""
        if bpy.app.background or context.window is None:
            return self.execute(context)
        if not begin(self, context, runtime.backend(), take_settings(context.scene.lsf)):
            return {"CANCELLED"}
        manager = context.window_manager
        self._timer = manager.event_timer_add(TICK_S, window=context.window)
        manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Take one step at each tick of the timer; Esc cancels."""
        take = runtime.current
        if take is None:
            self._stop_timer(context)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS":
            take.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        take.step()
        if take.new_head != self._shown and show_new_head(context, take):
            self._shown = take.new_head
        redraw(context)
        if not take.finished:
            return {"PASS_THROUGH"}
        self._stop_timer(context)
        return end(self, context)

    def _stop_timer(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None


class LSFCancel(bpy.types.Operator):
    """Stop the take; the keys that are there already stay and can be used"""

    bl_idname = "lsf.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return runtime.current is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ask the backend to stop; the running operator does the rest."""
        if runtime.current is not None:
            runtime.current.cancel()
        return {"FINISHED"}


CLASSES = (LSFAnimate, LSFCancel)
