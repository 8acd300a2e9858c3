# SPDX-License-Identifier: GPL-3.0-or-later
"""Output files: checked before work begins, written whole or not at all. No bpy."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class OutputError(RuntimeError):
    """A file cannot be written; the text is for the user."""


def check(path: Path, overwrite: bool) -> None:
    """Raise :class:`OutputError` where ``path`` could not be written later; makes its folder."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; a file name is needed.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; say --overwrite to replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".lsf-"):
            pass
    except OSError as error:
        raise OutputError(f"The folder {path.parent} cannot be written: {error}.") from error


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what was written there becomes ``path`` at the end."""
    temporary = path.with_name(f".lsf-{os.getpid()}-{path.name}")
    try:
        yield temporary
        if not temporary.is_file() or temporary.stat().st_size == 0:
            raise OutputError(f"Blender did not write {path}.")
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"{path} could not be written: {error}.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
