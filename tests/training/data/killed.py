# SPDX-License-Identifier: Apache-2.0
"""``killed.py MOMENT SOURCE OUT``: prepare a store in this process and die at a moment."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from training.data import prepare as prepare_module
from training.data.clips import PrepareConfig
from training.data.journal import Journal
from training.data.store import AUDIO


def _kill_at(moment: str) -> None:
    """In a process of its own: die while the third clip is written, or at the very end."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    append, tell = Journal._append, Journal._tell

    def half_append(self: Journal, name: str, array: np.ndarray) -> None:
        if moment == "append" and name == AUDIO and len(self.lines) == 2:
            append(self, name, array[: array.size // 2])
            die()
        append(self, name, array)

    def half_tell(self: Journal, line: object) -> None:
        if moment == "tell" and len(self.lines) == 2:
            self._journal.write(line.text().encode()[:50])
            self._journal.flush()
            die()
        tell(self, line)

    Journal._append, Journal._tell = half_append, half_tell
    if moment == "facts":
        prepare_module._write_json = die
    if moment == "rename":
        os.rename = die


if __name__ == "__main__":
    _kill_at(sys.argv[1])
    prepare_module.prepare(Path(sys.argv[2]), Path(sys.argv[3]), PrepareConfig())
