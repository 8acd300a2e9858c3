# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel section "Character": what is reached, the map's rows for review, files, re-use."""

from __future__ import annotations

import bpy

from .operators import character, solve
from .panels import _Panel, sentences
from .rig import mapped, solved, stored_map

ROWS_SHOWN = 8


class LSF_UL_map(bpy.types.UIList):
    """Rows of the map: on or off, what is moved, by what"""

    def draw_item(
        self, context, layout, data, item, icon, active_data, active_property, index=0
    ) -> None:
        """Draw one row."""
        row = layout.row(align=True)
        row.prop(item, "enabled", text="")
        split = row.split(factor=0.5)
        kind = "NONE" if item.component == "value" else "BONE_DATA"
        part = "" if item.component == "value" else f" {item.component.replace('_', ' ')}"
        what = item.target + part
        cell = split.row(align=True)
        cell.active = item.enabled
        cell.label(text=what or "?", icon=kind)
        cell = split.row(align=True)
        cell.active = item.enabled
        cell.prop(item, "sources", text="", emboss=False)


class LSF_PT_character(_Panel, bpy.types.Panel):
    """Your own character: which of its keys and bones are driven by what"""

    bl_label = "Character"
    bl_idname = "LSF_PT_character"
    bl_parent_id = "LSF_PT_animate"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return character.chosen(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, obj = self.layout, character.chosen(context)
        kept = stored_map.stored(obj)
        if obj.lsf_character.solve:
            sentences(layout, context, obj.lsf_character.solve_report, "CHECKMARK")
        on = obj.lsf_character.solve
        flame = len(obj.data.vertices) == solved.FLAME_VERTICES
        if on or flame or solved.known_of(obj) is not None:
            icon = "CHECKBOX_HLT" if on else "CHECKBOX_DEHLT"
            layout.operator(solve.LSFMapSolve.bl_idname, icon=icon, depress=on)
        if kept is None:
            target = mapped.recognise(obj)
            how = "Names decide at every take." if target is None else f"{target.summary()}."
            sentences(layout, context, how, "INFO")
            layout.operator(character.LSFMapBuild.bl_idname, icon="FILE_REFRESH")
            layout.operator(character.LSFMapLoad.bl_idname, icon="FILE_FOLDER")
            return
        for problem in stored_map.problems(obj)[:3]:
            sentences(layout, context, problem, "ERROR")
        fit = mapped.Mapped(obj.name, kept, automatic=False).fit()
        sentences(layout, context, fit.headline(), "CHECKMARK")
        for sentence in fit.sentences():
            sentences(layout, context, sentence, "INFO")
        self._rows(layout, obj)
        row = layout.row(align=True)
        row.operator(character.LSFMapBuild.bl_idname, text="Propose Anew", icon="FILE_REFRESH")
        row.operator(character.LSFMapClear.bl_idname, text="Clear", icon="X")
        row = layout.row(align=True)
        row.operator(character.LSFMapLoad.bl_idname, text="Load", icon="FILE_FOLDER")
        row.operator(character.LSFMapSave.bl_idname, text="Save", icon="FILE_TICK")
        layout.operator(character.LSFMapApply.bl_idname, icon="ACTION")

    def _rows(self, layout: bpy.types.UILayout, obj: bpy.types.Object) -> None:
        kept = obj.lsf_character
        row = layout.row()
        row.template_list("LSF_UL_map", "", kept, "rows", kept, "active", rows=ROWS_SHOWN)
        column = row.column(align=True)
        column.operator(character.LSFMapAdd.bl_idname, text="", icon="ADD")
        column.operator(character.LSFMapRemove.bl_idname, text="", icon="REMOVE")
        if not 0 <= kept.active < len(kept.rows):
            return
        entry = kept.rows[kept.active]
        box = layout.box()
        box.use_property_split, box.use_property_decorate = True, False
        column = box.column(align=True)
        column.prop(entry, "owner")
        column.prop(entry, "component")
        owner = entry.owner
        if owner is not None and owner.type == "ARMATURE":
            column.prop_search(entry, "target", owner.data, "bones", text="Bone")
        elif owner is not None and owner.type == "MESH" and owner.data.shape_keys is not None:
            column.prop_search(entry, "target", owner.data.shape_keys, "key_blocks", text="Key")
        else:
            column.prop(entry, "target")
        line = column.row(align=True)
        line.prop(entry, "sources")
        line.operator(character.LSFMapSource.bl_idname, text="", icon="VIEWZOOM")
        for name in ("gain", "offset", "low", "high"):
            column.prop(entry, name)


CLASSES = (LSF_UL_map, LSF_PT_character)
