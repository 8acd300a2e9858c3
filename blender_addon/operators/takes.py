# SPDX-License-Identifier: GPL-3.0-or-later
"""Switch between takes, and remove one."""

from pathlib import Path

import bpy

from .. import runtime
from ..rig import actions, sound


def show_take(scene: bpy.types.Scene, action: bpy.types.Action) -> int:
    """Assign a take to every mesh it was made for, with its sound; gives how many."""
    told = actions.metadata(action)
    take, count = told.get("take", action.name), 0
    parts = [other for other in bpy.data.actions if actions.metadata(other).get("take") == take]
    for name in told.get("keys", "").split("\n"):
        key = bpy.data.shape_keys.get(name)
        part = next((p for p in parts if key is not None and actions.drives(p, key)), None)
        if part is not None:
            actions.assign(part, key)
            count += 1
    strips = [strip for strip in sound.strips(scene) if strip.get(sound.TAKE)]
    heads = {strip.get(sound.HEAD) for strip in strips if strip.get(sound.TAKE) == take}
    for strip in strips:
        if strip.get(sound.HEAD) in heads:
            strip.mute = strip.get(sound.TAKE) != take
    return count


def present_take(scene: bpy.types.Scene) -> bpy.types.Action | None:
    """The take that is shown on the chosen head, None where it shows something else."""
    head = scene.lsf.head
    key = head.data.shape_keys if head is not None and head.type == "MESH" else None
    action = key.animation_data.action if key is not None and key.animation_data else None
    return action if action is not None and actions.metadata(action) else None


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
        key = scene.lsf.head.data.shape_keys
        for other in list(bpy.data.actions):
            if actions.metadata(other).get("take") == take:
                bpy.data.actions.remove(other)
        sound.remove(scene, take)
        left = actions.takes_of(key)
        if left:
            show_take(scene, bpy.data.actions[left[-1]])
        else:
            for block in key.key_blocks[1:]:
                block.value = 0.0
        return {"FINISHED"}


CLASSES = (LSFShowTake, LSFRemoveTake)
