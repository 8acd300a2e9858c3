# SPDX-License-Identifier: Apache-2.0
"""Engines by name, imported only when asked for; a broken one is listed with its reason."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable

from lsf_backend.engine.base import Engine, EngineInfo
from lsf_backend.errors import LsfError

log = logging.getLogger(__name__)

_factories: dict[str, str | Callable[[], Engine]] = {
    "compact": "lsf_backend.engine.compact:CompactEngine",
    "lsf": "lsf_backend.engine.lsf:LSFEngine",
}


def register_engine(name: str, factory: str | Callable[[], Engine]) -> None:
    """Add or replace an engine: a callable, or ``"module:name"`` to be imported when needed."""
    _factories[name] = factory


def engine_names() -> tuple[str, ...]:
    """Names of all engines, available or not, in the order they are preferred."""
    return tuple(_factories)


def create_engine(name: str) -> Engine:
    """Make an engine or raise ``engine_unavailable``; weights load only on first use."""
    if name not in _factories:
        raise LsfError(
            "engine_unavailable",
            f"There is no engine named {name!r}.",
            f"Choose one of: {', '.join(engine_names())}.",
        )
    try:
        engine = _make(name)
    except _MissingError as error:
        raise _cannot_run(name, str(error)) from error
    info = engine.info()
    if not info.available:
        raise _cannot_run(name, info.reason)
    return engine


def engine_info(name: str) -> EngineInfo:
    """Describe an engine; never raises, so that a listing always comes out whole."""
    try:
        return _make(name).info()
    except (_MissingError, LsfError) as error:
        return _unavailable(name, str(error))
    except Exception as error:  # a listing must survive whatever an engine does
        log.exception("engine %s does not describe itself", name)
        return _unavailable(name, f"it failed to start ({type(error).__name__}: {error}).")


class _MissingError(Exception):
    """Why an engine's code cannot be imported: a sentence without its subject."""


def _make(name: str) -> Engine:
    factory = _factories[name]
    if callable(factory):
        return factory()
    module_name, _, attribute = factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        missing = error.name or str(error)
        if missing == module_name:
            raise _MissingError("it is not part of this installation.") from error
        raise _MissingError(f"the Python package {missing!r} is missing or broken.") from error
    return factory()


def _cannot_run(name: str, reason: str) -> LsfError:
    return LsfError("engine_unavailable", f"The engine {name!r} cannot run: {reason}")


def _unavailable(name: str, reason: str) -> EngineInfo:
    return EngineInfo(name, False, reason, "", (), "", "")
