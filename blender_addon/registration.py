# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is registered, in order; unregistering goes backwards."""

from __future__ import annotations

import bpy

from . import (
    character_properties,
    command_line,
    panels,
    panels_character,
    preferences,
    properties,
    runtime,
)
from .operators import (
    animate,
    character,
    export,
    head,
    identity,
    performance,
    render,
    solve,
    takes,
    vertex_cache,
)

CLASSES = (
    preferences.LSFPreferences,
    properties.LSFSettings,
    *character_properties.CLASSES,
    *head.CLASSES,
    *identity.CLASSES,
    *animate.CLASSES,
    *takes.CLASSES,
    *character.CLASSES,
    *solve.CLASSES,
    *performance.CLASSES,
    *export.CLASSES,
    *render.CLASSES,
    *vertex_cache.CLASSES,
    *panels.CLASSES,
    *panels_character.CLASSES,
)
_commands: list[object] = []


def register() -> None:
    """Register classes, the scene's settings, the handler and the command."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.lsf = bpy.props.PointerProperty(type=properties.LSFSettings)
    bpy.types.Object.lsf_character = bpy.props.PointerProperty(
        type=character_properties.LSFCharacter
    )
    runtime.register()
    _commands.append(bpy.utils.register_cli_command("lsf", command_line.main))


def unregister() -> None:
    """Take it all away again."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    runtime.unregister()
    del bpy.types.Object.lsf_character
    del bpy.types.Scene.lsf
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
