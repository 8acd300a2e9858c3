# SPDX-License-Identifier: Apache-2.0
"""Progress on stderr for what takes over a second: a bar on a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

_SHOW_AFTER_S = 1.0
_LINE_EVERY_S = 5.0


class FrameProgress:
    """Counts frames; ``stage`` is what engines report before their first frames come."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm | None = None
        self._began = time.monotonic()
        self._next_line = self._began + _SHOW_AFTER_S
        self._total = 0
        self._done = 0
        self._stage = "starting"

    def __enter__(self) -> FrameProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def start(self, n_frames: int) -> None:
        """Say how many frames there will be."""
        self._total = n_frames
        if self._terminal:
            self._bar = tqdm(
                total=n_frames,
                unit=" frames",
                desc=self._stage,
                delay=_SHOW_AFTER_S,
                leave=False,
                file=sys.stderr,
            )

    def stage(self, name: str, fraction: float) -> None:
        """Take an engine's own report."""
        if name != self._stage:
            self._stage = name
            if self._bar is not None:
                self._bar.set_description(name, refresh=False)
        self._line()

    def add(self, n_frames: int) -> None:
        """Count finished frames."""
        self._done += n_frames
        if self._bar is not None:
            self._bar.update(n_frames)
        self._line()

    def _line(self) -> None:
        now = time.monotonic()
        if self._terminal or now < self._next_line or not self._total:
            return
        self._next_line = now + _LINE_EVERY_S
        percent = 100 * self._done // self._total
        print(f"lsf: {self._stage}: {percent} % of {self._total} frames", file=sys.stderr)
