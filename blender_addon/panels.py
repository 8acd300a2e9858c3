# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar tab "LSF" of the 3D view: what goes in, one button, what came out."""

from __future__ import annotations

import os
import textwrap

import bpy

from . import runtime
from .operators.animate import LSFAnimate, LSFCancel, selected_meshes
from .operators.export import LSFExport
from .operators.head import LSFCreateHead
from .operators.identity import LSFAddLandmarks, LSFIdentityFromMesh
from .operators.performance import LSFExportPerformance, LSFImportPerformance
from .operators.render import LSFRenderVideo
from .operators.takes import LSFRemoveTake, LSFShowTake, present_take
from .operators.vertex_cache import LSFVertexCache
from .output.export import PRESETS
from .properties import LAYERS, THRESHOLDS, face_choice, take_settings
from .rig import actions, sound, targets

CHARACTER_WIDTH_PX = 6.6


def sentences(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE"
) -> None:
    """Draw text in lines that fit the sidebar; Blender's labels do not wrap."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    room_px = (context.region.width if context.region else 300) - 60 * scale
    width = max(int(room_px / (CHARACTER_WIDTH_PX * scale)), 20)
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, line in enumerate(textwrap.wrap(text, width) or [""]):
        column.label(text=line, icon=icon if index == 0 else "BLANK1")


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "LSF"


class LSF_PT_animate(_Panel, bpy.types.Panel):
    """Sound, head, the button, progress, and what came of it"""

    bl_label = "Speech to Face"
    bl_idname = "LSF_PT_animate"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.lsf
        column = layout.column()
        column.label(text="Sound", icon="SOUND")
        column.prop(settings, "audio", text="")
        column.label(text="Head", icon="MESH_MONKEY")
        row = column.row(align=True)
        row.prop(settings, "head", text="")
        row.operator(LSFCreateHead.bl_idname, text="", icon="ADD")
        ready = self._preflight(layout, context)
        take = runtime.current
        if take is not None:
            layout.progress(factor=take.fraction, text=take.stage.capitalize())
            layout.operator(LSFCancel.bl_idname, icon="CANCEL")
        else:
            row = layout.row()
            row.scale_y = 1.6
            row.enabled = ready
            row.operator(LSFAnimate.bl_idname, icon="PLAY")
            layout.operator(LSFImportPerformance.bl_idname, icon="IMPORT")
        if settings.report:
            box = layout.box()
            lines = settings.report.split("\n")
            icon = "CHECKMARK" if settings.report_ok else "ERROR"
            for index, line in enumerate(lines):
                sentences(box, context, line, icon if index == 0 else "INFO")
            if settings.report_ok and take is None:
                playing = bool(context.screen and context.screen.is_animation_playing)
                text, sign = ("Stop", "PAUSE") if playing else ("Play", "PLAY_SOUND")
                box.operator("screen.animation_play", text=text, icon=sign)

    def _preflight(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> bool:
        settings = context.scene.lsf
        extra = take_settings(settings).extra()
        plan = targets.plan(context.scene, selected_meshes(context), extra)
        box = layout.column()
        for problem in plan.problems:
            sentences(box, context, problem, "ERROR")
        if not plan.problems:
            adds = face_choice(settings).sentence() if plan.creates_head else plan.sentence()
            sentences(box, context, adds, "CHECKMARK")
        for warning in filter(None, (*plan.warnings, plan.still_head)):
            sentences(box, context, warning, "INFO")
        if not settings.audio.strip():
            sentences(box, context, "Choose a sound file.", "INFO")
        elif not os.path.isfile(bpy.path.abspath(settings.audio)):
            sentences(box, context, "The sound file does not exist.", "ERROR")
        elif not plan.problems:
            if not sound.available():
                text = "This Blender has no sound: keys will be made, no sound strip."
                sentences(box, context, text, "INFO")
            return True
        return False


class LSF_PT_face(_Panel, bpy.types.Panel):
    """Which face is added, whose, and made of what"""

    bl_label = "Face"
    bl_idname = "LSF_PT_face"
    bl_parent_id = "LSF_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.lsf
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "face_model")
        layout.prop(settings, "flame_file")
        layout.prop(settings, "rig")
        if settings.face_model == "flame":
            layout.prop(settings, "expressions")
        layout.prop(settings, "identity")
        column = layout.column(align=True)
        column.operator(LSFIdentityFromMesh.bl_idname, icon="USER")
        column.operator(LSFAddLandmarks.bl_idname, icon="EMPTY_AXIS")


class LSF_PT_options(_Panel, bpy.types.Panel):
    """Variation, part of the sound, name, engine"""

    bl_label = "Options"
    bl_idname = "LSF_PT_options"
    bl_parent_id = "LSF_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.lsf
        layout.use_property_split, layout.use_property_decorate = True, False
        column = layout.column(align=True)
        column.prop(settings, "temperature", slider=True)
        row = column.row()
        row.enabled = settings.temperature > 0
        row.prop(settings, "seed")
        layout.prop(settings, "take_name")
        column = layout.column(align=True)
        column.prop(settings, "start_frame")
        column.prop(settings, "start_s")
        column.prop(settings, "end_s")
        layout.prop(settings, "set_range")
        layout.prop(settings, "engine")
        self._engine(layout, context)

    def _engine(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        name = context.scene.lsf.engine
        found = [engine for engine in runtime.known_engines() if engine.get("name") == name]
        if not found:
            sentences(layout, context, "The engine starts with the first take.", "INFO")
            return
        engine = found[0]
        if not engine.get("available"):
            sentences(layout, context, str(engine.get("reason")), "ERROR")
            return
        label = runtime.backend().launch.label
        sentences(layout, context, f"Engine: {name}, {label}.", "CHECKMARK")
        if engine.get("reason"):  # what it runs on and why, or whose weights it takes
            sentences(layout, context, f"{name}: {engine['reason']}.", "NONE")
        sentences(layout, context, f"Licence of its weights: {engine.get('license', '?')}.", "NONE")


class LSF_PT_layers(_Panel, bpy.types.Panel):
    """What is done after the engine, by rule: strength 0 leaves a layer out"""

    bl_label = "Layers"
    bl_idname = "LSF_PT_layers"
    bl_parent_id = "LSF_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for name in LAYERS:
            column.prop(context.scene.lsf, name, slider=True)
        column = self.layout.column(align=True)
        column.label(text="Lip gaps in mm, on the mesh")
        for name in THRESHOLDS:
            column.prop(context.scene.lsf, name)


class LSF_PT_takes(_Panel, bpy.types.Panel):
    """The takes of the chosen head"""

    bl_label = "Takes"
    bl_idname = "LSF_PT_takes"
    bl_parent_id = "LSF_PT_animate"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(targets.owners_of(context.scene.lsf.head))

    def draw(self, context: bpy.types.Context) -> None:
        present = present_take(context.scene)
        names = actions.takes_of(*targets.owners_of(context.scene.lsf.head))
        column = self.layout.column(align=True)
        for name in names:
            shown = present is not None and present.name == name
            icon = "RADIOBUT_ON" if shown else "RADIOBUT_OFF"
            row = column.row(align=True)
            row.operator(LSFShowTake.bl_idname, text=name, icon=icon, depress=shown).take = name
            if shown:
                row.operator(LSFRemoveTake.bl_idname, text="", icon="TRASH")
        if not names:
            column.label(text="No take yet.")


class LSF_PT_output(_Panel, bpy.types.Panel):
    """Export and render"""

    bl_label = "Output"
    bl_idname = "LSF_PT_output"
    bl_parent_id = "LSF_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for suffix, name in (
            (".fbx", "FBX"),
            (".glb", "glTF"),
            (".abc", "Alembic"),
            (".usd", "USD"),
        ):
            operator = column.operator(LSFExport.bl_idname, text=f"Export {name}", icon="EXPORT")
            operator.format, operator.preset = suffix, "none"
        row = self.layout.row(align=True)
        for preset in PRESETS:
            operator = row.operator(LSFExport.bl_idname, text=preset.capitalize())
            operator.preset = preset
        row = self.layout.row(align=True)
        for suffix, name in ((".csv", "Live Link"), (".json", "ARKit JSON"), (".npz", "npz")):
            row.operator(LSFExportPerformance.bl_idname, text=name).format = suffix
        self.layout.operator(LSFVertexCache.bl_idname, icon="FILE_CACHE")
        self.layout.operator(LSFRenderVideo.bl_idname, icon="RENDER_ANIMATION")


CLASSES = (LSF_PT_animate, LSF_PT_takes, LSF_PT_face, LSF_PT_options, LSF_PT_layers, LSF_PT_output)
