# SPDX-License-Identifier: Apache-2.0
"""The bundled compact engine on a sound file, from file to frames, where it is installed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from lsf_backend.errors import LsfError
from lsf_backend.job import Job
from lsf_backend.protocol import AnimateRequest
from training.bench.stages import make_sound


def measure_compact_engine(seconds: float) -> dict[str, Any]:
    """Seconds of the compact engine for a sound: the first run and the best of three more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        wavfile.write(path, 16_000, (make_sound(seconds) * 32767).astype(np.int16))
        times = []
        try:
            for _ in range(4):
                start = time.perf_counter()
                job = Job(AnimateRequest(str(path), engine="compact", output="motion"))
                frames = sum(len(chunk.motion) for chunk in job.chunks())
                times.append(time.perf_counter() - start)
        except LsfError as error:
            return {"available": False, "reason": str(error)}
    return {
        "available": True,
        "seconds_of_sound": seconds,
        "frames": frames,
        "first_run_s": round(times[0], 3),
        "best_s": round(min(times[1:]), 3),
    }
