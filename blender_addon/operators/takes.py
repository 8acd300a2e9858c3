# SPDX-License-Identifier: GPL-3.0-or-later
"""Switch between takes, and remove one."""

from collections.abc import Collection
from pathlib import Path

import bpy

from .. import runtime
from ..rig import actions, head_turn, sound, targets
from ..rig.target import Owner, Target, reset


def show_take(scene: bpy.types.Scene, action: bpy.types.Action) -> int:
    """Assign a take to everything it was made for, with its sound; gives how many."""
    take = actions.metadata(action).get("take", action.name)
    parts = [other for other in bpy.data.actions if actions.metadata(other).get("take") == take]
    drawn = {
        owner: part
        for owner in actions.owners_of(action)
        for part in parts
        if owner.datablock() and actions.drives(part, owner)
    }
    kept = {owner: actions.driven_paths(part, owner) for owner, part in drawn.items()}
    turns = head_turn.left_over(_faces(scene, kept), kept)
    for owner, part in drawn.items():
        actions.assign(part, owner)
    head_turn.put_away(turns, kept)
    strips = [strip for strip in sound.strips(scene) if strip.get(sound.TAKE)]
    heads = {strip.get(sound.HEAD) for strip in strips if strip.get(sound.TAKE) == take}
    for strip in strips:
        if strip.get(sound.HEAD) in heads:
            strip.mute = strip.get(sound.TAKE) != take
    return len(drawn)


def _faces(scene: bpy.types.Scene, owners: Collection[Owner]) -> list[Target]:
    """What takes of these datablocks move, where it is a face of the scene."""
    keys = {owner.name for owner in owners if owner.id_type == "KEY"}
    meshes = [obj for obj in scene.objects if obj.type == "MESH" and obj.data.shape_keys]
    found = [targets.target_of(obj) for obj in meshes if obj.data.shape_keys.name in keys]
    return [target for target in found if target is not None]


def present_take(scene: bpy.types.Scene) -> bpy.types.Action | None:
    """The take that is shown on the chosen head, None where it shows something else."""
    shown = [actions.active(owner) for owner in targets.owners_of(scene.lsf.head)]
    return next((action for action in shown if action and actions.metadata(action)), None)


def proposed_path(scene: bpy.types.Scene, suffix: str) -> str:
    """Path for a file of the present take: beside the .blend, or at home."""
    action = present_take(scene)
    folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
    return str(folder / f"{action.name if action else 'head'}{suffix}")


def _idle(operator: type[bpy.types.Operator]) -> bool:
    """Leave the takes alone while one of them is being written."""
    if runtime.current is not None:
        operator.poll_message_set("A take is being made")
    return runtime.current is None


class LSFShowTake(bpy.types.Operator):
    """Show this take on the head; the others stay in the file"""

    bl_idname = "lsf.show_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}

    take: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _idle(cls)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Assign the take's Actions."""
        action = bpy.data.actions.get(self.take)
        if action is None or not show_take(context.scene, action):
            self.report({"ERROR"}, f"The take '{self.take}' does not fit any head in this file.")
            return {"CANCELLED"}
        return {"FINISHED"}


class LSFRemoveTake(bpy.types.Operator):
    """Delete the take that the head shows; the one before it is shown again"""

    bl_idname = "lsf.remove_take"
    bl_label = "Remove Take"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not _idle(cls):
            return False
        if context.scene is None or present_take(context.scene) is None:
            cls.poll_message_set("The head shows no take")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove the Actions of the take and its sound strip."""
        scene = context.scene
        action = present_take(scene)
        take = actions.metadata(action).get("take", action.name)
        parts = [other for other in bpy.data.actions if actions.metadata(other).get("take") == take]
        driven = [
            (owner, actions.driven_paths(part, owner))
            for part in parts
            for owner in actions.owners_of(part)
            if owner.datablock() and actions.drives(part, owner)
        ]
        for part in parts:
            bpy.data.actions.remove(part)
        sound.remove(scene, take)
        for owner, paths in driven:
            reset(owner, paths)
        left = actions.takes_of(*targets.owners_of(scene.lsf.head))
        if left:
            show_take(scene, bpy.data.actions[left[-1]])
        return {"FINISHED"}


CLASSES = (LSFShowTake, LSFRemoveTake)
