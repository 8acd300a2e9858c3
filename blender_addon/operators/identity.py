# SPDX-License-Identifier: GPL-3.0-or-later
"""Identity from Selected Mesh, and the landmarks that a mesh of another topology needs."""

from __future__ import annotations

import bpy

from .. import runtime
from ..bridge.backend import Failed
from ..properties import face_choice
from ..rig.head_file import HeadError
from ..rig.neutral import FLAME_PLACES, PLACES, add_landmarks, landmarks, left_out, neutral_points
from .head import new_face, show_head


class _OnMesh:
    """What both operators need: one mesh, and no take in the making."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        obj = context.active_object
        if obj is None or obj.type != "MESH":
            cls.poll_message_set("Select the neutral mesh of a face")
            return False
        if runtime.current is not None:
            cls.poll_message_set("A take is being made")
            return False
        return True


class LSFIdentityFromMesh(_OnMesh, bpy.types.Operator):
    """Find the identity of the selected neutral mesh, and add the face below with that identity"""

    bl_idname = "lsf.identity_from_mesh"
    bl_label = "Identity from Selected Mesh"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Ask the backend; nothing is changed where the fit is poor."""
        scene, obj = context.scene, context.active_object
        try:
            rows, count = neutral_points(scene, obj)
            face = face_choice(scene.lsf).flame
            fields = {"face": face, "vertices": count, "landmarks": landmarks(scene, obj) or None}
            answer = runtime.backend().ask("identity", fields, rows)
            if isinstance(answer, Failed):
                raise HeadError(answer.sentence() + left_out(obj))
            head = new_face(scene, answer.array().reshape(-1).copy())
        except HeadError as error:
            scene.lsf.report, scene.lsf.report_ok = str(error), False
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        sentence = str(answer.header.get("sentence", "")) + left_out(obj)
        scene.lsf.report, scene.lsf.report_ok = sentence, True
        self.report({"INFO"}, sentence)
        show_head(context, head)
        return {"FINISHED"}


class LSFAddLandmarks(_OnMesh, bpy.types.Operator):
    """Add named empties to the selected mesh (of another topology); drag each to its place"""

    bl_idname = "lsf.add_landmarks"
    bl_label = "Add Landmarks"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add what is missing."""
        names = FLAME_PLACES if face_choice(context.scene.lsf).flame else tuple(PLACES)
        added = add_landmarks(context.scene, context.active_object, names)
        self.report(
            {"INFO"},
            f"{len(added)} landmarks added: drag each to where its name says."
            if added
            else "All landmarks are there already.",
        )
        return {"FINISHED"}


CLASSES = (LSFIdentityFromMesh, LSFAddLandmarks)
