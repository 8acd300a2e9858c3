# SPDX-License-Identifier: Apache-2.0
"""A client of the backend process for the tests: the real process, real pipes, the test engines."""

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.protocol import Message, ProtocolError, read_message, write_message

ROOT = Path(__file__).resolve().parents[2]


class Client:
    """Starts a server; ``wait`` gives its next message, and fails rather than hangs."""

    def __init__(self, *command: str) -> None:
        command = command or (str(ROOT / "tests/backend/engines.py"),)
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin = self.process.stdin
        self._messages: queue.Queue[Message | Exception | None] = queue.Queue()
        self._log: list[bytes] = []
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        self._logger = threading.Thread(target=self._listen, args=(self.process.stderr,))
        self._logger.daemon = True
        self._logger.start()

    def _read(self, stream: Any) -> None:
        try:
            while (message := read_message(stream)) is not None:
                self._messages.put(message)
            self._messages.put(None)
        except (ProtocolError, OSError, ValueError) as error:
            self._messages.put(error)

    def _listen(self, stream: Any) -> None:
        self._log.extend(iter(stream.readline, b""))

    def send(
        self, verb: str, request_id: Any, array: np.ndarray | None = None, **fields: Any
    ) -> None:
        write_message(self.stdin, {"verb": verb, "id": request_id, **fields}, array)

    def animate(self, request_id: Any, speech: Path, engine: str = "test", **fields: Any) -> None:
        self.send("animate", request_id, audio=str(speech), engine=engine, **fields)

    def wait(self, timeout_s: float = 60.0) -> Message | None:
        """The next message, None at the clean end of stdout."""
        item = self._messages.get(timeout=timeout_s)
        if isinstance(item, Exception):
            raise item
        return item

    def until(self, request_id: Any, *events: str) -> list[Message]:
        """Messages with this id, up to and with the first of these events."""
        found: list[Message] = []
        while not found or found[-1].header["event"] not in events:
            message = self.wait()
            assert message is not None, self.log()
            if message.header["id"] == request_id:
                found.append(message)
        return found

    def finish(self, request_id: Any) -> list[Message]:
        return self.until(request_id, "done", "error")

    def leave(self, timeout_s: float = 30.0) -> int:
        """Close stdin; the exit code."""
        self.stdin.close()
        return self.process.wait(timeout_s)

    def log(self) -> str:
        if self.process.poll() is not None:
            self._logger.join(5)
        return b"".join(self._log).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass
