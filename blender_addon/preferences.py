# SPDX-License-Identifier: GPL-3.0-or-later
"""Preferences: the optional Python of an own backend. Everything works with none."""

import bpy


class LSFPreferences(bpy.types.AddonPreferences):
    """Shown in Blender's preferences below the add-on."""

    bl_idname = __package__

    backend_python: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="Backend Python",
        description=(
            "Only for the 'lsf' engine: the python of an environment made with "
            'pip install "lsf-animation[gpu]". Leave empty to use the bundled engine'
        ),
        subtype="FILE_PATH",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the one field and what it is for."""
        self.layout.prop(self, "backend_python")
        self.layout.label(text="Empty: the bundled engine, under Blender's own Python, offline.")
        self.layout.label(text="Bundled weights: CC BY 4.0. Bundled head: CC0.", icon="INFO")


def backend_python() -> str:
    """Path of the user's own backend Python; '' for the bundled one."""
    addon = bpy.context.preferences.addons.get(__package__)
    settings = addon.preferences if addon is not None else None
    return bpy.path.abspath(settings.backend_python) if settings is not None else ""
