# SPDX-License-Identifier: GPL-3.0-or-later
"""Solve by Geometry: weights of a mesh's own shapes, in the head's topology or in FLAME's."""

from __future__ import annotations

import bpy

from .. import runtime
from ..bridge.backend import Failed
from ..properties import take_settings
from ..rig import solved, targets
from ..rig.head_file import HeadError
from .character import OfCharacter, chosen


class LSFMapSolve(OfCharacter, bpy.types.Operator):
    """Find weights for the mesh's own shapes by geometry instead of names, or go back to names"""

    bl_idname = "lsf.map_solve"
    bl_label = "Solve by Geometry"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Switch it on, with the fit per shape in mm, or off."""
        obj = chosen(context)
        character = obj.lsf_character
        if character.solve:
            character.solve, character.solve_report, character.solve_file = False, "", ""
            return {"FINISHED"}
        try:
            path, keys = _usable(obj, take_settings(context.scene.lsf).flame)
        except HeadError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        character.solve, character.solve_keys = True, "\n".join(keys)
        character.solve_file = path
        character.solve_report = solved.report(obj, keys)
        context.scene.lsf.head = obj
        self.report({"INFO"}, character.solve_report)
        return {"FINISHED"}


def _usable(obj: bpy.types.Object, flame: str) -> tuple[str, list[str]]:
    """File of the shapes ('' for the bundled head's) and the keys that can be mixed."""
    broken = targets.broken_points(obj)
    if broken:
        raise HeadError(broken)
    path = ""
    if solved.known_of(obj) is None:
        if not flame:
            raise HeadError(
                f"'{obj.name}' is not in the bundled head's topology; its names decide. For a "
                "mesh in FLAME's, choose your FLAME file in the panel first."
            )
        answer = runtime.backend().ask("face_shapes", {"face": flame})
        if isinstance(answer, Failed):
            raise HeadError(answer.sentence())
        path = str(answer.header.get("path"))
        if solved.known_of(obj, path) is None:
            raise HeadError(
                f"'{obj.name}' is neither in the bundled head's topology nor in that of your FLAME "
                "file; its names decide."
            )
    keys = solved.usable_keys(obj)
    if not keys:
        raise HeadError(f"'{obj.name}' has no shape key that moves it.")
    return path, keys


CLASSES = (LSFMapSolve,)
