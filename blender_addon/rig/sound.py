# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound strip of a take, and the one place that knows how versions differ about strips."""

from __future__ import annotations

import os
from typing import Any

import bpy

from .rollback import Rollback

TAKE, HEAD = "lsf_take", "lsf_head"


def available() -> bool:
    """False in builds of Blender without sound (some Linux packages, the 4.2 wheel)."""
    return bool(getattr(bpy.app.build_options, "audaspace", True))


def strips(scene: bpy.types.Scene) -> list[Any]:
    """All strips of the scene's sequencer."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def add(
    scene: bpy.types.Scene,
    path: str,
    take: str,
    head: str,
    span: tuple[float, float, float],
    rollback: Rollback,
) -> str:
    """Put the sound under the take; gives a sentence where that is not possible, else ''.

    ``span`` is (scene frame of the take, seconds skipped in the file, seconds used). A strip of the
    same file at the same place is used again; strips of the head's other takes fall silent.
    """
    if not available():
        return "This build of Blender has no sound: the keys are there, the sound strip is not."
    frame, skipped_s, used_s = span
    fps = scene.render.fps / scene.render.fps_base
    content = frame - skipped_s * fps
    for strip in strips(scene):
        if strip.type == "SOUND" and strip.get(HEAD) == head:
            rollback.attribute(lambda s=strip: s, "mute")
            strip.mute = True
    same = [s for s in strips(scene) if s.type == "SOUND" and _is(s, path, content, used_s * fps)]
    if same:
        same[0].mute = False
        strip = same[0]
    else:
        try:
            strip = _new(scene, path, take, content, rollback)
        except RuntimeError as error:
            return f"The sound strip could not be made: {str(error).strip()}"
        _trim(strip, frame, used_s * fps)
    strip[TAKE], strip[HEAD] = take, head
    return ""


def _new(scene: bpy.types.Scene, path: str, name: str, content: float, rollback: Rollback) -> Any:
    scene_name = scene.name
    if scene.sequence_editor is None:
        rollback.add(lambda: bpy.data.scenes[scene_name].sequence_editor_clear())
    editor = scene.sequence_editor or scene.sequence_editor_create()
    collection = editor.strips if hasattr(editor, "strips") else editor.sequences
    channel = max((strip.channel for strip in strips(scene)), default=0) + 1
    known = set(bpy.data.sounds.keys())
    strip = collection.new_sound(name, path, min(channel, 128), round(content))
    strip_name = strip.name
    sound = strip.sound.name if strip.sound and strip.sound.name not in known else ""

    def remove() -> None:
        editor = bpy.data.scenes[scene_name].sequence_editor
        collection = editor.strips if hasattr(editor, "strips") else editor.sequences
        collection.remove(collection[strip_name])
        if sound:
            bpy.data.sounds.remove(bpy.data.sounds[sound])

    rollback.add(remove)
    _set(strip, "frame_start", content)
    return strip


# 5.2 renamed these and warns about the old names.
_RENAMED = {
    "frame_start": "content_start",
    "frame_final_start": "left_handle",
    "frame_final_end": "right_handle",
}


def _get(strip: Any, name: str) -> float:
    new = _RENAMED[name]
    return float(getattr(strip, new if hasattr(strip, new) else name))


def _set(strip: Any, name: str, value: float) -> None:
    new = _RENAMED[name]
    setattr(strip, new if hasattr(strip, new) else name, value)


def _trim(strip: Any, frame: float, length: float) -> None:
    left, right = round(frame), round(frame + length)
    if left > _get(strip, "frame_final_start"):
        _set(strip, "frame_final_start", left)
    if right < _get(strip, "frame_final_end"):
        _set(strip, "frame_final_end", max(right, left + 1))


def _is(strip: Any, path: str, content: float, length: float) -> bool:
    if strip.sound is None or abs(_get(strip, "frame_start") - content) > 0.01:
        return False
    own = bpy.path.abspath(strip.sound.filepath)
    same_file = os.path.normcase(os.path.realpath(own)) == os.path.normcase(os.path.realpath(path))
    shown = _get(strip, "frame_final_end") - _get(strip, "frame_final_start")
    return same_file and abs(shown - length) <= 2


def remove(scene: bpy.types.Scene, take: str) -> None:
    """Remove the strips of a take."""
    for strip in strips(scene):
        if strip.get(TAKE) == take:
            editor = scene.sequence_editor
            (editor.strips if hasattr(editor, "strips") else editor.sequences).remove(strip)
