# SPDX-License-Identifier: Apache-2.0
"""Clocks and scales: best time of several, peak bytes of live tensors, growth exponents."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def best_seconds(run: Callable[[], Any], at_least_s: float = 0.3, tries: int = 3) -> float:
    """Shortest time of ``run`` (s): ``tries`` runs, more while they sum to too little.

    The shortest, because whatever else the machine does can only add to it. On one CPU thread it is
    the processor's time that counts, which other programs disturb least; elsewhere wall time.
    """
    clock = time.perf_counter
    if torch.get_num_threads() == 1 and not torch.cuda.is_available():
        clock = time.process_time
    best, total, count = float("inf"), 0.0, 0
    while count < tries or (total < at_least_s and count < 200):
        _wait()
        start = clock()
        run()
        _wait()
        seconds = clock() - start
        best, total, count = min(best, seconds), total + seconds, count + 1
    return best


class PeakBytes(TorchDispatchMode):
    """Counts the bytes of tensors that operations made and that are still alive; ``peak``."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {_key(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and _key(leaf) not in given:
                self._add(leaf.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def peak_bytes(run: Callable[[], Any]) -> int:
    """Most bytes of tensors that ``run`` had alive at once, beyond its inputs."""
    with PeakBytes() as meter:
        run()
    return meter.peak


def growth_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of log(cost) over log(size): 1 is linear, 2 quadratic."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
