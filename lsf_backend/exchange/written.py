# SPDX-License-Identifier: Apache-2.0
"""Frames as a take was keyed from, written as a performance: the way back from ``loaded``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LsfError
from ..export import write_take
from ..export.live_link import CSV_FPS, check_csv_fps
from ..export.take import Take
from ..face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from ..face.head_space import arkit_from_motion
from ..timing import MOTION_FPS
from . import FORMATS, Performance, write_arkit_json, write_live_link
from .performance import HEAD_COLUMNS, N_ROTATIONS

_JAW = tuple(f"jaw_{axis}_rad" for axis in "xyz")


def write(header: dict[str, Any], values: np.ndarray | None) -> dict[str, Any]:
    """Answer ``write_performance`` (fields: ``protocol``): values [T, C] -> the file; its fields.

    Raises LsfError where these frames cannot be such a file; then there is none.
    """
    path, channels, fps = _checked(header, values)
    assert values is not None
    columns = {name: values[:, index] for index, name in enumerate(channels)}
    told = header.get("metadata")
    metadata: dict[str, Any] = told if isinstance(told, dict) else {}
    turns = {name: columns[name] for name in HEAD_COLUMNS if name in columns}
    if "jawOpen" in columns:
        weights = np.stack([columns[name] for name in ARKIT_NAMES], axis=1)
    else:
        motion = np.stack([columns[name] for name in _motion_names(header, channels)], axis=1)
        space = str(header.get("face_space", "head"))
        if path.suffix.lower() == ".npz" and fps == MOTION_FPS:
            write_take(path, Take(motion, space, metadata, turns))
            return {"path": str(path), "frames": len(motion)}
        if space != "head":
            raise LsfError(
                "request_invalid",
                f"Motion of a {space!r} face has no ARKit weights.",
                "Write .npz, or animate a face with ARKit shapes.",
            )
        weights = arkit_from_motion(motion)
    rotations = np.zeros((len(weights), N_ROTATIONS), dtype=np.float32)
    for name, column in turns.items():
        rotations[:, HEAD_COLUMNS[name]] = column
    performance = Performance(fps, weights.astype(np.float32), rotations)
    wanted = header.get("out_fps") or (CSV_FPS if path.suffix.lower() == ".csv" else fps)
    if path.suffix.lower() == ".npz":
        take = performance.to_take(metadata)
        write_take(path, take)
        return {"path": str(path), "frames": len(take.motion)}
    if path.suffix.lower() == ".json":
        performance = performance.resampled(wanted)
        write_arkit_json(path, performance, metadata)
        return {"path": str(path), "frames": performance.n_frames}
    write_live_link(path, performance, wanted)
    return {"path": str(path), "frames": performance.resampled(wanted).n_frames}


def _checked(
    header: dict[str, Any], values: np.ndarray | None
) -> tuple[Path, tuple[str, ...], float]:
    path, channels = header.get("path"), header.get("channels")
    if not isinstance(path, str) or Path(path).suffix.lower() not in FORMATS:
        raise LsfError(
            "request_invalid", f"A performance is written as {', '.join(FORMATS)}, not as {path!r}."
        )
    for name in ("fps", "out_fps"):
        rate = header.get(name, MOTION_FPS) or MOTION_FPS
        if not isinstance(rate, int | float) or not math.isfinite(rate):
            raise LsfError("request_invalid", f"The field {name} is a number.")
        check_csv_fps(float(rate))
    named = isinstance(channels, list) and all(isinstance(name, str) for name in channels)
    shaped = values is not None and values.ndim == 2 and len(values) > 0
    if not named or not shaped or values.shape[1] != len(channels):  # type: ignore[union-attr,arg-type]
        raise LsfError("request_invalid", "write_performance needs frames [T, C] of C channels.")
    if not np.isfinite(values).all():  # type: ignore[arg-type]
        raise LsfError("request_invalid", "The frames hold numbers that are not finite.")
    missing = [name for name in ARKIT_NAMES if name not in channels]  # type: ignore[operator]
    if "jawOpen" in channels and missing:  # type: ignore[operator]
        raise LsfError("request_invalid", f"The frames have no channel {missing[0]!r}.")
    return Path(path), tuple(channels), float(header.get("fps") or MOTION_FPS)  # type: ignore[arg-type]


def _motion_names(header: dict[str, Any], channels: tuple[str, ...]) -> list[str]:
    flame = header.get("face_space", "head") != "head"
    own = [f"expression_{index}" for index in range(50)] if flame else list(EXPRESSION_NAMES)
    missing = [name for name in (*own, *_JAW) if name not in channels]
    if missing:
        raise LsfError("request_invalid", f"The frames have no channel {missing[0]!r}.")
    return [*own, *_JAW]
