# SPDX-License-Identifier: GPL-3.0-or-later
"""One backend process: pipes, a reader thread that fills a queue, a log ring for its stderr.

Nothing here blocks Blender: messages are taken from the queue; the process ends when its stdin
closes, and is killed where it does not.
"""

from __future__ import annotations

import atexit
import collections
import queue
import subprocess
import sys
import threading
import weakref
from typing import Any, BinaryIO

import numpy as np

from lsf_backend.protocol import Message, ProtocolError, read_message, write_message

from .launch import Launch

LOG_LINES = 400
NO_WINDOW = 0x08000000  # CREATE_NO_WINDOW: no console flashes up on Windows


class BackendGone(RuntimeError):
    """The process ended, could not be started, or spoke something else than the protocol."""


class BackendProcess:
    """A running backend. ``receive`` gives its messages, then raises :class:`BackendGone`."""

    def __init__(self, launch: Launch) -> None:
        self.log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self._messages: queue.Queue[Message | BackendGone] = queue.Queue()
        try:
            self._popen = subprocess.Popen(
                launch.command,
                env=launch.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=NO_WINDOW if sys.platform == "win32" else 0,
            )
        except (OSError, ValueError) as error:
            raise BackendGone(f"could not start {launch.command[0]}: {error}") from error
        for target, pipe in ((self._read, self._popen.stdout), (self._listen, self._popen.stderr)):
            threading.Thread(target=target, args=(pipe,), daemon=True).start()
        _LIVING.add(self)

    @property
    def pid(self) -> int:
        """Process id of the backend."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._popen.poll() is None

    def _read(self, pipe: BinaryIO) -> None:
        reason = "the backend process ended"
        try:
            while (message := read_message(pipe)) is not None:
                self._messages.put(message)
        except (ProtocolError, OSError, ValueError) as error:
            reason = str(error)
        self._messages.put(BackendGone(reason))

    def _listen(self, pipe: BinaryIO) -> None:
        try:
            for line in iter(pipe.readline, b""):
                self.log.append(line.decode("utf-8", "replace").rstrip())
        except (OSError, ValueError):
            pass

    def send(self, header: dict[str, Any], array: np.ndarray | None = None) -> None:
        """Send one request."""
        try:
            write_message(self._popen.stdin, header, array)  # type: ignore[arg-type]
        except (OSError, ValueError) as error:
            raise BackendGone(f"the backend does not listen: {error}") from error

    def receive(self, wait_s: float = 0.0) -> Message | None:
        """Return the next message; None where none came within ``wait_s`` seconds."""
        try:
            item = self._messages.get(timeout=wait_s) if wait_s > 0 else self._messages.get_nowait()
        except queue.Empty:
            return None
        if isinstance(item, BackendGone):
            self._messages.put(item)  # whoever asks again hears it again
            raise item
        return item

    def end(self, patience_s: float = 1.0) -> None:
        """Close stdin (the backend's sign to leave), then kill what has not left."""
        _LIVING.discard(self)
        try:
            self._popen.stdin.close()  # type: ignore[union-attr]
        except OSError:
            pass
        try:
            self._popen.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(timeout=5)

    def kill(self) -> None:
        """End the process at once."""
        self.end(patience_s=0.0)


_LIVING: weakref.WeakSet[BackendProcess] = weakref.WeakSet()


@atexit.register
def end_all() -> None:
    """Leave no process behind, however Python ends."""
    for process in list(_LIVING):
        process.kill()
