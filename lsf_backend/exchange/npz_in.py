# SPDX-License-Identifier: Apache-2.0
"""Read a take back from the ``.npz`` of ``lsf_backend.export.npz``; nothing is unpickled."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import LsfError
from ..export.take import Take
from ..protocol import EXTRA_CHANNELS
from ..timing import MOTION_FPS
from .performance import MAX_FILE_BYTES, Performance, invalid

_KEYS = {"expression": ("f", 2), "jaw_pose": ("f", 2), "fps": ("f", 0)}
_TEXTS = ("face_space", "metadata")
_EXTRAS = tuple(channel for channels in EXTRA_CHANNELS.values() for channel in channels)


def read_take(path: str | Path) -> Take:
    """Read a take of either face space; raises LsfError with one sentence."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_FILE_BYTES:
                raise invalid(path, f"unpacks to more than {MAX_FILE_BYTES >> 20} MB")
        with np.load(path, allow_pickle=False) as stored:
            known = (*_KEYS, *_TEXTS, *_EXTRAS)
            arrays = {key: stored[key] for key in known if key in stored.files}
    except OSError as error:
        raise LsfError("request_invalid", f"{path} could not be read: {error.strerror}.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise invalid(path, "is not a take of ours") from error
    missing = [key for key in (*_KEYS, *_TEXTS) if key not in arrays]
    if missing:
        raise invalid(path, f"is not a take of ours: it has no {', '.join(missing)}")
    for key, (kind, ndim) in _KEYS.items():
        array = arrays[key]
        if array.dtype.kind != kind or array.ndim != ndim or not np.isfinite(array).all():
            raise invalid(path, f"does not hold finite numbers as {key}")
    expression, jaw = arrays["expression"], arrays["jaw_pose"]
    if expression.shape != (len(jaw), 50) or jaw.shape[1] != 3:
        raise invalid(
            path, f"holds {list(expression.shape)} expression and {list(jaw.shape)} jaw numbers"
        )
    if arrays["fps"] != MOTION_FPS:
        raise invalid(path, f"has {float(arrays['fps']):g} instead of {MOTION_FPS} fps")
    if str(arrays["face_space"]) not in ("head", "flame"):
        raise invalid(path, f"is of an unknown face space {str(arrays['face_space'])[:20]!r}")
    try:
        metadata = json.loads(str(arrays["metadata"]))
    except ValueError as error:
        raise invalid(path, "has metadata that is not JSON") from error
    motion = np.concatenate([expression, jaw], axis=1).astype(np.float32)
    extra = {name: arrays[name].astype(np.float32) for name in _EXTRAS if name in arrays}
    for name, values in extra.items():
        if values.shape != (len(jaw),) or not np.isfinite(values).all():
            raise invalid(path, f"does not hold a finite number per frame as {name}")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Take(motion, str(arrays["face_space"]), metadata, extra)


def read_npz_performance(path: str | Path) -> Performance:
    """Read a take of the bundled head as ARKit weights at 25 fps."""
    return Performance.from_take(read_take(path))
