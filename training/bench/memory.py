# SPDX-License-Identifier: Apache-2.0
"""Peak memory and time of the whole way over the length of the sound, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np

LENGTHS_S = (10.0, 60.0, 300.0, 600.0)
_BLOCK = 16_000


def measure_memory(
    preset: str, lengths_s: tuple[float, ...], precision: str, device: str, threads: int
) -> list[dict[str, Any]]:
    """Rows of seconds of sound, peak MB of the process (and of the GPU), and seconds of work."""
    rows = []
    for seconds in lengths_s:
        command = [sys.executable, "-m", "training.bench.memory", preset, str(seconds), precision]
        command += [device, str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


def noise(start: int, count: int, n_samples: int) -> np.ndarray:
    """A stretch of an endless noise [<= count] float32, the same for the same samples."""
    stop = min(start + count, n_samples)
    blocks = range(start // _BLOCK, -(-stop // _BLOCK))
    parts = [np.random.default_rng(i).normal(0, 0.1, _BLOCK).astype(np.float32) for i in blocks]
    if not parts:
        return np.zeros(0, np.float32)
    first = blocks[0] * _BLOCK
    return np.concatenate(parts)[start - first : stop - first]


def _run(preset: str, seconds: float, precision: Any, device: str, threads: int) -> dict[str, Any]:
    import resource

    import torch

    from lsf_backend.model.config import N_BETAS, PRESETS
    from lsf_backend.model.pipeline import Request
    from training.bench.stages import make_pipeline

    torch.set_num_threads(threads)
    pipeline = make_pipeline(PRESETS[preset](), device, precision)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_samples = int(seconds * 16_000)
    began, first, frames = time.perf_counter(), 0.0, 0
    request = Request(np.zeros(N_BETAS, np.float32), temperature=1.0)
    for piece in pipeline.run(lambda s, c: noise(s, c, n_samples), n_samples, request):
        first = first or time.perf_counter() - began
        frames += len(piece.motion)
    row = {
        "preset": preset,
        "precision": precision,
        "seconds_of_sound": seconds,
        "frames": frames,
        "loaded_mb": round(loaded / 1024, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "first_frames_s": round(first, 2),
        "seconds": round(time.perf_counter() - began, 2),
    }
    if device == "cuda":
        row["gpu_peak_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return row


if __name__ == "__main__":
    name, length, kind, place, count = sys.argv[1:]
    print(json.dumps(_run(name, float(length), kind, place, int(count))))
