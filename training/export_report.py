# SPDX-License-Identifier: Apache-2.0
"""The exported model in float32 and int8: how far the face moves apart, size and speed.

``python -m training.export_report RUN WHISPER OUT``: animates recorded English prompts with every
variant and compares each with float32 throughout, in millimetres over the vertices of the head.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np

from lsf_backend.engine.compact import load_model
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.model.checkpoint import load_checkpoint
from training.export import export_compact, export_whisper
from training.voices.engine import animate
from training.voices.recordings import prompts

log = logging.getLogger(__name__)
# Name -> (encoder in int8, trained networks in int8); the first is what others are held against.
VARIANTS = {
    "float32": (False, False),
    "int8 encoder (shipped)": (True, False),
    "int8 throughout": (True, True),
}


def report(run: Path, whisper_folder: Path, out: Path, most: int) -> dict[str, dict[str, float]]:
    """Export, animate and compare all variants."""
    model, face = load_checkpoint(run / "stage2" / "model").model, FaceModel.load()
    sounds = [recording.audio() for recording in prompts("en")[1 : most + 1]]
    seconds = sum(audio.size for audio in sounds) / 16_000
    encoders = {int8: export_whisper(whisper_folder, int8) for int8 in (True, False)}
    first: list[np.ndarray] = []
    found = {}
    for number, (name, (encoder_int8, int8)) in enumerate(VARIANTS.items()):
        folder = out / f"variant_{number}"
        size = export_compact(model, encoders[encoder_int8], folder, None, int8)
        load_model(folder)
        begun = time.monotonic()
        motions = [arkit_from_motion(animate(audio, folder)) for audio in sounds]
        busy_s = time.monotonic() - begun
        first = first or motions
        apart, lips = [], []
        for mine, aim in zip(motions, first, strict=True):
            vertices = face.arkit_vertices(mine[::5]) - face.arkit_vertices(aim[::5])
            apart.append(1e6 * np.square(vertices).sum(-1).mean())
            lips.append(np.abs(lip_gap_mm(face, mine) - lip_gap_mm(face, aim)).mean())
        found[name] = {
            "megabytes": round(size / 1e6, 2),
            "seconds a second": round(busy_s / seconds, 4),
            "vertices apart, rms mm": round(float(np.mean(apart)) ** 0.5, 4),
            "lip gap apart, mm": round(float(np.mean(lips)), 4),
        }
        log.info("%s: %s", name, json.dumps(found[name]))
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.export_report", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder with a finished stage2")
    parser.add_argument("whisper", type=Path, help="working folder of: training.export whisper")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report(options.run, options.whisper, options.out, options.clips)


if __name__ == "__main__":
    main()
