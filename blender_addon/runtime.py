# SPDX-License-Identifier: GPL-3.0-or-later
"""What lives as long as the add-on is enabled: the backend process and the take in the making."""

from __future__ import annotations

import bpy

from . import preferences
from .bridge import launch
from .bridge.backend import Backend
from .take import Take

_backend: Backend | None = None
current: Take | None = None


def backend() -> Backend:
    """Return the backend for the present preferences (not started before it is needed)."""
    global _backend
    chosen = launch.choose(preferences.backend_python())
    if _backend is not None and _backend.launch.command != chosen.command and not _backend.busy:
        close()
    if _backend is None:
        _backend = Backend(chosen)
    return _backend


def known_engines() -> list[dict]:
    """Engines that the backend told of; empty before it was started."""
    hello = _backend.hello if _backend is not None else None
    return list((hello or {}).get("engines") or ())


def close() -> None:
    """End the take and the process."""
    global _backend, current
    if current is not None:
        current.abandon()
        current = None
    if _backend is not None:
        _backend.close()
        _backend = None


@bpy.app.handlers.persistent
def on_load_pre(*_: object) -> None:
    """Another file is about to be loaded: the take in the making belongs to the old one."""
    global current
    if current is not None:
        current.abandon()
        current = None


def register() -> None:
    """Watch for files being loaded."""
    bpy.app.handlers.load_pre.append(on_load_pre)


def unregister() -> None:
    """Stop watching and end the backend."""
    bpy.app.handlers.load_pre.remove(on_load_pre)
    close()
