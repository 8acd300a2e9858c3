# SPDX-License-Identifier: Apache-2.0
"""ARKit weights as JSON: ours, NVIDIA Audio2Face's weight export, and lists of named weights.

We write the keys that Audio2Face writes (``exportFps``, ``facsNames``, ``weightMat``), so that its
importers read our files, and add ``format``, rotations and metadata.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..export.files import replace_when_written
from ..export.live_link import ROTATIONS
from ..face.arkit import ARKIT_NAMES
from .performance import N_ROTATIONS, N_WEIGHTS, Performance, invalid, read_text

FORMAT = "lsf-arkit-1"
_PLACES = {name.lower(): index for index, name in enumerate(ARKIT_NAMES)}


def write_arkit_json(
    path: str | Path, performance: Performance, metadata: dict[str, Any] | None = None
) -> None:
    """Write a performance; the file appears whole or not at all."""
    content = {
        "format": FORMAT,
        "exportFps": performance.fps,
        "numPoses": N_WEIGHTS,
        "numFrames": performance.n_frames,
        "facsNames": list(ARKIT_NAMES),
        "weightMat": _rounded(performance.weights),
        "rotationNames": list(ROTATIONS),
        "rotationsRad": _rounded(performance.rotations),
        "metadata": metadata or {},
    }
    with replace_when_written(Path(path)) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def read_arkit_json(path: str | Path, fps: float | None = None) -> Performance:
    """Read ARKit JSON; ``fps`` states the rate where the file does not. Weights are not clipped."""
    path = Path(path)
    try:
        content = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise invalid(path, "is not a JSON file") from error
    if isinstance(content, dict) and "weightMat" in content:
        names, rows = content.get("facsNames"), content["weightMat"]
    else:
        names, rows = _named_rows(path, content)
    rate = fps or (content.get("exportFps", content.get("fps")) if isinstance(content, dict) else 0)
    if not isinstance(rate, int | float) or not math.isfinite(rate) or not 1 <= rate <= 240:
        raise invalid(path, "does not say its frames per second (1 to 240)", "State the rate.")
    weights, warnings = _ordered(path, names, rows)
    rotations = np.zeros((len(weights), N_ROTATIONS), dtype=np.float32)
    if isinstance(content, dict) and "rotationsRad" in content:
        rotations = _matrix(path, content["rotationsRad"], N_ROTATIONS, "rotationsRad")
        if len(rotations) != len(weights):
            raise invalid(path, "has another number of rotations than of frames")
    return Performance(float(rate), weights, rotations, tuple(warnings))


def _rounded(values: np.ndarray) -> list[list[float]]:
    # Nine digits hold every float32.
    return [[float(f"{value:.9g}") for value in row] for row in values.tolist()]


def _named_rows(path: Path, content: Any) -> tuple[list[str], list[list[float]]]:
    """Rows of ``[{"blendShapes": {name: weight}}, ...]``, bare or under ``frames``."""
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise invalid(path, "holds neither a weightMat nor a list of frames")
    tables = [
        next(
            (frame[key] for key in ("blendShapes", "blendshapes", "weights") if key in frame), frame
        )
        for frame in frames
    ]
    if not all(isinstance(table, dict) for table in tables):
        raise invalid(path, "has a frame without named weights")
    names = list(dict.fromkeys(name for table in tables for name in table))
    names = [name for name in names if str(name).lower() in _PLACES]
    return names, [[table.get(name, 0.0) for name in names] for table in tables]


def _ordered(path: Path, names: Any, rows: Any) -> tuple[np.ndarray, list[str]]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise invalid(path, "does not name its weights (facsNames)")
    found = _matrix(path, rows, len(names), "weightMat")
    places = [_PLACES.get(name.lower()) for name in names]
    known = [place for place in places if place is not None]
    if not known:
        raise invalid(path, "has none of ARKit's 52 shapes")
    if len(set(known)) != len(known):
        raise invalid(path, "names a shape twice")
    weights = np.zeros((len(found), N_WEIGHTS), dtype=np.float32)
    weights[:, known] = found[
        :, [column for column, place in enumerate(places) if place is not None]
    ]
    missing = [name for index, name in enumerate(ARKIT_NAMES) if index not in known]
    warnings = []
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        warnings.append(f"{path.name} lacks {', '.join(missing[:5])}{more}; taken as 0.")
    return weights, warnings


def _matrix(path: Path, rows: Any, width: int, key: str) -> np.ndarray:
    if not isinstance(rows, list) or not rows:
        raise invalid(path, f"has no frames in {key}")
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise invalid(path, f"has a row in {key} that does not hold {width} numbers")
    plain = all(type(value) in (int, float) for row in rows for value in row)
    values = np.array(rows, dtype=np.float64) if plain else np.array([[np.nan]])
    if not np.isfinite(values).all() or (np.abs(values) > 1e6).any():
        raise invalid(path, f"holds a value in {key} that is no usable number")
    return values.astype(np.float32)
