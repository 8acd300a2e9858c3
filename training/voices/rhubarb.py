# SPDX-License-Identifier: Apache-2.0
"""Rhubarb Lip Sync on the same sounds, its nine shapes on the bundled head.

Rhubarb (npm ``rhubarb-lip-sync-wasm``, MIT) hears a clip and names a mouth shape A-H or X for every
stretch of it. The shapes below are ours: set by hand to what Rhubarb's manual draws, with lip gaps
in the range of the teacher's. Keys as its users set them: a shape is held and blended into the next
over 80 ms around the border, or over the whole of a shorter stretch.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import numpy as np

from lsf_backend import timing
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import motion_from_arkit
from lsf_backend.face.measure import lip_gap_mm

PACKAGE = "rhubarb-lip-sync-wasm@0.1.8"
BLEND_S = 0.080
_SIDES = ("Left", "Right")

# Lip gap in mm, then weights; a name without side stands for both.
SHAPES: dict[str, tuple[float, dict[str, float]]] = {
    # P, B, M: shut, slightly pressed.
    "A": (-0.5, {"mouthPress": 0.35, "mouthRollLower": 0.15, "mouthRollUpper": 0.15}),
    # K, S, T, EE: teeth together, corners out.
    "B": (4.0, {"mouthStretch": 0.25, "jawOpen": 0.06}),
    # EH, AE: open.
    "C": (8.5, {"mouthStretch": 0.15, "jawOpen": 0.25}),
    # AA: wide open.
    "D": (13.0, {"jawOpen": 0.42}),
    # AO, ER: somewhat rounded.
    "E": (7.5, {"mouthFunnel": 0.35, "mouthPucker": 0.25, "jawOpen": 0.22}),
    # UW, OW, W: puckered.
    "F": (3.2, {"mouthPucker": 0.85, "mouthFunnel": 0.2, "jawOpen": 0.08}),
    # F, V: lower lip under the upper teeth.
    "G": (2.0, {"mouthRollLower": 0.55, "mouthUpperUp": 0.3, "jawOpen": 0.05}),
    # long L: open, tongue up.
    "H": (7.0, {"jawOpen": 0.2}),
    # silence: at rest.
    "X": (0.0, {}),
}


@functools.cache
def shape_weights() -> dict[str, np.ndarray]:
    """ARKit weights [52] of each shape; the lips are parted or closed until the gap is met."""
    face, found = FaceModel.load(), {}
    for shape, (gap_mm, named) in SHAPES.items():
        weights = np.zeros(len(ARKIT_NAMES), np.float32)
        for name, value in named.items():
            for column in _columns(name):
                weights[column] = value
        for name, most in (("mouthClose", 1.0), ("mouthLowerDown", 0.5), ("jawOpen", 0.8)):
            columns = _columns(name)
            probe = np.stack([weights, weights])
            probe[1, columns] += 0.01
            now, then = lip_gap_mm(face, probe)
            step = (gap_mm - now) / (then - now) * 0.01
            weights[columns] = np.clip(weights[columns] + step, 0.0, most)
        found[shape] = weights
    return found


def _columns(name: str) -> list[int]:
    names = [name] if name in ARKIT_NAMES else [name + side for side in _SIDES]
    return [ARKIT_NAMES.index(n) for n in names]


def motion_of_cues(cues: list[dict[str, object]], n_frames: int) -> np.ndarray:
    """Rhubarb's cues ({start, end, value}) -> motion [T, 53] at 25 fps, shapes blended."""
    shapes = shape_weights()
    keys_s: list[float] = []
    rows: list[np.ndarray] = []
    starts = [float(str(cue["start"])) for cue in cues]
    ends = [*starts[1:], n_frames / timing.MOTION_FPS]
    for cue, start, end in zip(cues, starts, ends, strict=True):
        # Rhubarb's cues overlap here and there: each lasts until the next begins.
        inset = min(0.5 * BLEND_S, 0.5 * (end - start))
        keys_s += [start + inset, end - inset]
        rows += [shapes[str(cue["value"])]] * 2
    times = np.arange(n_frames) / timing.MOTION_FPS
    table = np.stack(rows)
    weights = np.stack([np.interp(times, keys_s, column) for column in table.T], axis=1)
    return motion_from_arkit(weights.astype(np.float32))


class Rhubarb:
    """Runs Rhubarb in ``folder``, where npm installs it on first use; keeps what it answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "node_modules").is_dir():
            command = ["npm", "install", "--silent", "--prefix", str(folder), PACKAGE]
            subprocess.run(command, check=True, capture_output=True)

    def cues(self, name: str, audio: np.ndarray, text: str = "") -> list[dict[str, object]]:
        """Mouth cues for audio [N] 16 kHz, helped by the dialogue ``text`` or without it."""
        kind = "text" if text else "sound"
        kept = self.folder / f"{name.replace('/', '_')}.{kind}.json"
        if not kept.exists():
            pcm = self.folder / "now.pcm"
            pcm.write_bytes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
            request = json.dumps({"pcm": str(pcm.resolve()), "text": text})
            script = Path(__file__).with_name("rhubarb.mjs")
            done = subprocess.run(["node", str(script)], input=request.encode(), check=True,
                                  capture_output=True, cwd=self.folder)  # fmt: skip
            kept.write_bytes(done.stdout.strip().splitlines()[-1])
        found: list[dict[str, object]] = json.loads(kept.read_text())
        return found

    def animate(self, name: str, audio: np.ndarray, text: str = "") -> np.ndarray:
        """Audio [N] 16 kHz -> motion [T, 53]."""
        n_frames = timing.frames_from_samples(audio.size)
        return motion_of_cues(self.cues(name, audio, text), n_frames)
