# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos and stills of a head; the scene's own render settings are as before afterwards."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..rig import sound
from . import stage
from .files import OutputError, written_whole

SIZE = 480
EXPOSURE = 0.7  # the studio light alone leaves skin in the dark
SHADING = {
    "light": "STUDIO",
    "color_type": "MATERIAL",
    "show_cavity": True,
    "cavity_type": "WORLD",
    "show_shadows": False,
    "show_specular_highlight": True,
}


class _Settings:
    """Sets attributes and gives the old values back, newest first."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, **values: Any) -> None:
        """Set what this version of Blender knows of ``values``."""
        for name, value in values.items():
            if hasattr(owner, name):
                old = getattr(owner, name)
                old = tuple(old) if hasattr(old, "__len__") and not isinstance(old, str) else old
                self._before.append((owner, name, old))
                setattr(owner, name, value)

    def restore(self) -> None:
        """Give everything back."""
        for owner, name, value in reversed(self._before):
            with contextlib.suppress(TypeError, AttributeError):
                setattr(owner, name, value)


@contextlib.contextmanager
def _prepared(
    scene: bpy.types.Scene, head: bpy.types.Object, engine: str, size: int
) -> Iterator[_Settings]:
    """A camera, an engine and a size for the time of a render."""
    settings = _Settings()
    added: list[bpy.types.ID] = []
    render = scene.render
    here, between = scene.frame_current, scene.frame_subframe
    try:
        if not stage.sees(scene, head):
            settings.set(scene, camera=scene.camera)
            for name in ("resolution_x", "resolution_y", "resolution_percentage"):
                settings.set(render, **{name: getattr(render, name)})
            added = stage.set_up(scene, head, size)
        if engine == "workbench":
            settings.set(render, engine="BLENDER_WORKBENCH")
            settings.set(scene.display, render_aa="5")
            settings.set(scene.display.shading, **SHADING)
            settings.set(scene.view_settings, view_transform="Standard", exposure=EXPOSURE)
        elif engine == "cycles":
            settings.set(render, engine="CYCLES")
        settings.set(render, use_file_extension=False, use_overwrite=True, use_placeholder=False)
        yield settings
    finally:
        settings.restore()
        if added:
            stage.take_down(added)  # last: the camera before it is the scene's again
        scene.frame_set(here, subframe=between)


@contextlib.contextmanager
def _told(scene: bpy.types.Scene, tell: Callable[[float], None] | None) -> Iterator[None]:
    """Call ``tell`` with the done fraction after every rendered frame."""
    count = scene.frame_end - scene.frame_start + 1

    def on_frame(rendered: bpy.types.Scene, *_: object) -> None:
        if tell is not None:
            tell((rendered.frame_current - rendered.frame_start + 1) / count)

    bpy.app.handlers.render_post.append(on_frame)
    try:
        yield
    finally:
        bpy.app.handlers.render_post.remove(on_frame)


def render_video(
    scene: bpy.types.Scene,
    head: bpy.types.Object,
    path: Path,
    engine: str = "workbench",
    size: int = SIZE,
    tell: Callable[[float], None] | None = None,
) -> None:
    """Render the scene's range to an .mp4 (H.264, AAC); ``engine``: workbench, cycles or scene."""
    if path.suffix.lower() != ".mp4":
        raise OutputError(f"{path.name}: videos are written as .mp4.")
    with _prepared(scene, head, engine, size) as settings, written_whole(path) as temporary:
        render = scene.render
        even_x, even_y = (value // 2 * 2 for value in (render.resolution_x, render.resolution_y))
        settings.set(render, resolution_x=even_x, resolution_y=even_y, filepath=str(temporary))
        settings.set(render.image_settings, media_type="VIDEO")
        settings.set(render.image_settings, file_format="FFMPEG", color_mode="RGB")
        settings.set(
            render.ffmpeg,
            format="MPEG4",
            codec="H264",
            constant_rate_factor="HIGH",
            ffmpeg_preset="GOOD",
            gopsize=12,
            use_autosplit=False,
            audio_codec="AAC" if sound.available() else "NONE",
            audio_bitrate=160,
        )
        with _told(scene, tell):
            _render(scene, animation=True)


def render_still(
    scene: bpy.types.Scene,
    head: bpy.types.Object,
    frame: float,
    path: Path,
    note: str,
    size: int = SIZE,
) -> None:
    """Render one frame to a .png with ``note`` written into it."""
    with _prepared(scene, head, "workbench", size) as settings:
        render = scene.render
        height = max(size * render.resolution_y // render.resolution_x, 16)
        settings.set(render, resolution_x=size, resolution_y=height, resolution_percentage=100)
        settings.set(render.image_settings, media_type="IMAGE")
        settings.set(render.image_settings, file_format="PNG", color_mode="RGB")
        settings.set(render, filepath=str(path))
        stamps = [name for name in dir(render) if name.startswith("use_stamp_")]
        settings.set(render, **{name: name == "use_stamp_note" for name in stamps})
        settings.set(
            render, use_stamp=True, stamp_note_text=note, stamp_font_size=max(10, size // 24)
        )
        settings.set(render, stamp_background=(0.0, 0.0, 0.0, 0.6), stamp_foreground=(1, 1, 1, 1))
        scene.frame_set(int(frame // 1), subframe=frame % 1)
        _render(scene, write_still=True)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Keep Blender's line per picture out of a terminal's output (background only)."""
    if not bpy.app.background:
        yield
        return
    sys.stdout.flush()
    terminal = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(terminal, 1)
        os.close(terminal)
        os.close(nowhere)


def _render(scene: bpy.types.Scene, **how: bool) -> None:
    try:
        with _without_log():
            bpy.ops.render.render(scene=scene.name, **how)
    except RuntimeError as error:
        raise OutputError(f"Blender could not render: {str(error).strip()}") from error
