# SPDX-License-Identifier: Apache-2.0
"""Made-up talk: levels with phrases and pauses, and a mouth that opens with them."""

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES


def talk_levels(frames: int, seed: int = 0) -> np.ndarray:
    """Levels [T] dBFS: phrases of 1 to 3.5 s at about -25 dB with syllables, pauses at -70 dB."""
    random = np.random.default_rng(seed)
    levels = np.full(frames, -70.0)
    frame = 12
    while frame < frames:
        length = int(random.uniform(1.0, 3.5) * 25)
        phrase = levels[frame : frame + length]
        phrase[:] = -25.0 + 6.0 * np.sin(np.arange(len(phrase)) * 1.3)
        phrase += random.normal(0.0, 2.0, len(phrase))
        frame += length + int(random.uniform(0.4, 1.2) * 25)
    return levels


def talk_weights(levels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights [T, 52] that open with the level and nearly close at the returned frames."""
    random = np.random.default_rng(seed + 1)
    frames = len(levels)
    loud = np.clip((levels + 60.0) / 40.0, 0.0, 1.0)
    kernel = np.hanning(9)[1:-1]
    loud = np.convolve(np.pad(loud, 3, mode="edge"), kernel / kernel.sum(), mode="valid")
    weights = np.zeros((frames, len(ARKIT_NAMES)))
    weights[:, ARKIT_NAMES.index("jawOpen")] = 0.05 + 0.3 * loud
    for name in ("mouthLowerDownLeft", "mouthLowerDownRight"):
        weights[:, ARKIT_NAMES.index(name)] = 0.3 * loud
    weights[:, ARKIT_NAMES.index("mouthSmileLeft")] = 0.2
    weights[:, ARKIT_NAMES.index("eyeWideLeft")] = 0.1
    dips = []
    for frame in range(20, frames - 20, 24):
        if loud[frame - 5 : frame + 6].min() > 0.6:
            # p, b or m as models give them: lower, but not closed.
            for offset, left in {-2: 0.75, -1: 0.35, 0: 0.12, 1: 0.35, 2: 0.75}.items():
                weights[frame + offset, 14:48] *= left
            dips.append(frame)
    weights += random.normal(0.0, 0.004, weights.shape)
    return np.clip(weights, 0.0, 1.0), np.array(dips)


def talk_sound(levels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise [640 T] at 16 kHz with these levels [T] dBFS."""
    noise = np.random.default_rng(seed).standard_normal((len(levels), 640))
    noise /= np.sqrt((noise**2).mean(axis=1, keepdims=True))
    return (noise * 10.0 ** (levels[:, None] / 20.0)).ravel()
