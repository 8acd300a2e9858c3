# SPDX-License-Identifier: Apache-2.0
"""A take as .npz: plain arrays and one JSON text, readable with ``allow_pickle=False``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.export.take import Take
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.timing import MOTION_FPS


def write_npz(path: Path, take: Take) -> None:
    """Write expression [T, 50], jaw_pose [T, 3], fps, face_space, metadata (JSON text).

    A take of the bundled head also has arkit [T, 52] and arkit_names; extras (head_x_rad, breath
    ...) are [T] under their own names.
    """
    arrays: dict[str, Any] = {
        "expression": take.expression,
        "jaw_pose": take.jaw_pose,
        "fps": np.float64(MOTION_FPS),
        "face_space": np.array(take.face_space),
        **take.extra,
        "metadata": np.array(json.dumps(take.metadata, ensure_ascii=False, sort_keys=True)),
    }
    if take.has_arkit:
        arrays["arkit"] = take.arkit()
        arrays["arkit_names"] = np.array(ARKIT_NAMES)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
