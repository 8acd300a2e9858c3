# SPDX-License-Identifier: Apache-2.0
"""A performance file as the frames that a take is keyed from, whatever format it has."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LsfError
from ..face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from ..face.head_space import motion_from_arkit
from ..timing import MOTION_FPS
from . import read_performance
from .npz_in import read_take

_CHUNK_FRAMES = 2000
_JAW = tuple(f"jaw_{axis}_rad" for axis in "xyz")


@dataclasses.dataclass(frozen=True)
class Loaded:
    """``values`` [T, C] float32 of the named ``channels`` at ``fps``, in a face space."""

    values: np.ndarray
    channels: tuple[str, ...]
    fps: float
    face_space: str
    warnings: tuple[str, ...]
    metadata: dict[str, Any]

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """First frame and frames, in order."""
        for first in range(0, len(self.values), _CHUNK_FRAMES):
            yield first, self.values[first : first + _CHUNK_FRAMES]


def load(path: Any, fps: Any = None, output: Any = "arkit") -> Loaded:
    """Read any performance file (fields of ``ImportRequest``), or raise with one sentence."""
    if not isinstance(path, str) or not path:
        raise LsfError("request_invalid", "The request names no performance file.")
    number = isinstance(fps, int | float) and not isinstance(fps, bool)
    if fps is not None and not (number and math.isfinite(fps) and 1.0 <= fps <= 240.0):
        raise LsfError("request_invalid", f"{fps!r} frames per second: 1 to 240 are accepted.")
    if output not in ("arkit", "motion"):
        raise LsfError("request_invalid", f"The output {output!r} is neither arkit nor motion.")
    file = Path(path)
    metadata = {"performance": file.name, "engine": "imported"}
    if file.suffix.lower() == ".npz":
        take = read_take(file)
        if take.face_space != "head":
            own = (*(f"expression_{index}" for index in range(50)), *_JAW)
            values, names = _with_extra(take.motion, own, take.extra)
            kept = {**take.metadata, **metadata}
            return Loaded(values, names, float(MOTION_FPS), take.face_space, (), kept)
        values, names = _face(take.arkit(), output, take.extra)
        return Loaded(values, names, float(MOTION_FPS), "head", (), {**take.metadata, **metadata})
    performance = read_performance(file, fps)
    values, names = _face(performance.weights, output, performance.head_turns())
    return Loaded(values, names, performance.fps, "head", performance.warnings, metadata)


def _face(
    weights: np.ndarray, output: str, extra: dict[str, np.ndarray]
) -> tuple[np.ndarray, tuple[str, ...]]:
    if output == "arkit":
        return _with_extra(weights, ARKIT_NAMES, extra)
    return _with_extra(motion_from_arkit(weights), (*EXPRESSION_NAMES, *_JAW), extra)


def _with_extra(
    values: np.ndarray, names: tuple[str, ...], extra: dict[str, np.ndarray]
) -> tuple[np.ndarray, tuple[str, ...]]:
    columns = [values, *(column[:, None] for column in extra.values())]
    return np.concatenate(columns, axis=1).astype(np.float32), (*names, *extra)
