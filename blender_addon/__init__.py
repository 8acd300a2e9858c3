# SPDX-License-Identifier: GPL-3.0-or-later
"""LSF Animation: speech in, a keyed face out. This file only registers and unregisters."""


def register() -> None:
    """Add every class, property, menu entry and command of the add-on to Blender."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Take everything away again, in the opposite order, and end the backend."""
    from . import registration

    registration.unregister()
