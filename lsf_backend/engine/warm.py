# SPDX-License-Identifier: Apache-2.0
"""Keeps one loaded model warm between jobs and lets go of it when idle. Knows nothing of torch."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any


class WarmStore:
    """One value at a time, loaded on demand, dropped ``idle_s`` seconds after its last use."""

    def __init__(self, idle_s: float, on_drop: Callable[[], None] = lambda: None) -> None:
        self.idle_s = idle_s
        self._on_drop = on_drop
        self._lock = threading.RLock()
        self._key: Hashable = None
        self._value: Any = None
        self._timer: threading.Timer | None = None
        self._uses = 0

    @property
    def key(self) -> Hashable:
        """Key of the value that is warm; None when there is none."""
        return self._key

    @contextlib.contextmanager
    def use(self, key: Hashable, load: Callable[[], Any]) -> Iterator[Any]:
        """The value for ``key``, loaded if another or none is warm; one user at a time."""
        with self._lock:
            self._stop_timer()
            self._uses += 1
            if self._key != key:
                self.drop()
                self._value = load()
                self._key = key
            try:
                yield self._value
            finally:
                self._start_timer()

    def drop(self) -> None:
        """Let go of the value now."""
        with self._lock:
            self._stop_timer()
            if self._key is None:
                return
            self._key = self._value = None
            gc.collect()
            self._on_drop()

    def _drop_unused(self, uses: int) -> None:
        with self._lock:
            # A use that began while this timer was waiting for the lock keeps the value.
            if uses == self._uses:
                self.drop()

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self.idle_s, self._drop_unused, (self._uses,))
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
