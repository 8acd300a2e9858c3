# SPDX-License-Identifier: Apache-2.0
"""Scoring a test set of the paper's size: peak memory and time, in a fresh process.

A face of FLAME's sizes (5,023 vertices, 428 of the lips, 1,501 of the upper face) and clips of
random numbers, drawn as they are scored: what scoring costs does not depend on their values.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_file import FLAME_TRIANGLES, FLAME_VERTICES
from training.metrics.clip import Truth
from training.metrics.faces import vertices_of
from training.metrics.regions import Regions
from training.metrics.scores import score_all

N_LIPS, N_UPPER_FACE = 428, 1501


def measure_metrics(n_clips: int, n_samples: int, n_frames: int) -> dict[str, Any]:
    """Peak MB of the whole process, seconds of wall and of the processor, frames a second."""
    sizes = [str(n) for n in (n_clips, n_samples, n_frames)]
    command = [sys.executable, "-m", "training.bench.metrics", *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def flame_sized_face(generator: np.random.Generator) -> FaceModel:
    """A face of FLAME's sizes whose directions are random and small."""
    v = FLAME_VERTICES
    # All identities are the mean face here, so the directions of shape need not exist.
    shapes = np.zeros((v, 3, 400), np.float32)
    shapes[:, :, 300:] = generator.normal(0, 1e-3, (v, 3, 100))
    weights = np.zeros((v, 5), np.float32)
    weights[:, 0] = 1.0
    weights[: v // 3, :3] = (0.0, 0.3, 0.7)
    return FaceModel(
        v_template=generator.normal(0, 0.05, (v, 3)).astype(np.float32),
        shapedirs=shapes,
        posedirs=generator.normal(0, 1e-3, (v, 3, 36)).astype(np.float32),
        j_regressor=np.full((5, v), 1 / v, np.float32),
        weights=weights,
        parents=np.array([-1, 0, 1, 1, 1]),
        faces=np.zeros((FLAME_TRIANGLES, 3), np.int64),
    )


def _clips(
    generator: np.random.Generator, n_clips: int, n_samples: int, n_frames: int
) -> Iterator[tuple[Truth, np.ndarray]]:
    for number in range(n_clips):
        drawn = generator.normal(0, 0.1, (n_samples + 1, n_frames, 53)).astype(np.float32)
        yield Truth(f"clip {number}", "M003", "happy", drawn[0], ((4, 7),)), drawn[1:]  # type: ignore[arg-type]


def _run(n_clips: int, n_samples: int, n_frames: int) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    face = flame_sized_face(generator)
    order = generator.permutation(FLAME_VERTICES)
    lips, upper = order[:N_LIPS], order[N_LIPS : N_LIPS + N_UPPER_FACE]
    regions = Regions(lips, upper, lips[:5], lips[5:10], {"lips": lips, "upper face": upper})
    vertices = vertices_of(face)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    scores = score_all(_clips(generator, n_clips, n_samples, n_frames), vertices, regions)
    for name in scores.metrics():
        scores.estimate(name)
    seconds = time.perf_counter() - wall
    return {
        "clips": n_clips,
        "samples": n_samples,
        "frames": n_frames,
        "vertices": FLAME_VERTICES,
        "loaded_mb": round(loaded / 1024),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "seconds": round(seconds, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "sample_frames_per_s": round(n_clips * n_samples * n_frames / seconds),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", type=int, nargs=3)
    print(json.dumps(_run(*parser.parse_args().sizes)))
