# SPDX-License-Identifier: Apache-2.0
"""Output files that appear whole or not at all, and are known to be writable before work starts."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lsf_backend.errors import LsfError


def check_output(path: Path, overwrite: bool, source: Path | None = None) -> None:
    """Raise ``output_unwritable`` now rather than after the work; nothing is left behind."""
    folder = path.parent
    if path.is_dir():
        raise LsfError("output_unwritable", f"{path} is a folder.", "Name a file in it.")
    if not folder.is_dir():
        raise LsfError(
            "output_unwritable", f"There is no folder {folder}.", "Make it, or choose another one."
        )
    if path.exists():
        if source is not None and source.exists() and path.samefile(source):
            raise LsfError(
                "output_unwritable", f"{path} is the sound itself.", "Choose another name."
            )
        if not overwrite:
            raise LsfError(
                "output_unwritable",
                f"{path} exists already.",
                "Choose another name, or allow it to be replaced with --overwrite.",
            )
    try:
        _remove(_temporary_beside(path))
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def replace_when_written(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place at the end if all went well."""
    try:
        part = _temporary_beside(path)
        try:
            yield part
            # mkstemp makes files that only their owner may read; these are ordinary documents.
            part.chmod(0o666 & ~_umask())
            os.replace(part, path)
        finally:
            _remove(part)
    except OSError as error:
        raise _unwritable(path, error) from error


def _temporary_beside(path: Path) -> Path:
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    return Path(name)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _unwritable(path: Path, error: OSError) -> LsfError:
    reason = error.strerror or str(error)
    return LsfError(
        "output_unwritable",
        f"{path.name} cannot be written into {path.parent}: {reason}.",
        "Choose a folder that you may write to and that has space.",
    )
