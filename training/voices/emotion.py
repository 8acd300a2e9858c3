# SPDX-License-Identifier: Apache-2.0
"""Can emotion be read from the face? On held-out speakers of the synthetic emotional speech.

Arousal of a face is a fixed sum (how active the upper face is, how far and how fast the lips move),
compared with arousal of the voice (pitch, its range, loudness, tilt), both against the speaker's
neutral clips. Emotions are told apart by linear discriminants on means and spreads of the motion,
trained on other speakers than they are tried on; the same on the teacher's motion and on the voice
alone say what could be reached. Synthetic prosody: nothing here shows emotion of real voices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from lsf_backend.engine.features import raw_prosody
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from training.data.clips import ClipName
from training.voices.upper_face import UPPER

FOLDS = 4
SHRINKAGE = 0.2


@dataclasses.dataclass(frozen=True)
class Felt:
    """One clip: who says it in which emotion; its face, the teacher's, its voice."""

    name: ClipName
    motion: np.ndarray
    taught: np.ndarray
    audio: np.ndarray


def face_numbers(motion: np.ndarray) -> np.ndarray:
    """Means and spreads of a clip's motion [T, 53] -> [106]."""
    return np.concatenate([motion.mean(0), motion.std(0)])


def voice_numbers(audio: np.ndarray) -> np.ndarray:
    """Means and spreads of pitch, level and tilt of the voiced frames: audio [N] -> [8]."""
    raw = raw_prosody(audio)
    level = raw[:, 2]
    voiced = (raw[:, 1] > 0.6) & (level > np.percentile(level, 95) - 25.0)
    chosen = raw[voiced] if voiced.sum() > 4 else raw
    return np.concatenate([chosen.mean(0), chosen.std(0)])


def face_arousal(face: FaceModel, motion: np.ndarray) -> np.ndarray:
    """Upper-face activity, mean lip gap (mm) and its speed (mm a frame): motion [T, 53] -> [3]."""
    arkit = arkit_from_motion(motion)
    gap = np.maximum(lip_gap_mm(face, arkit), 0.0)
    activity = np.sqrt((arkit[:, UPPER] ** 2).mean(1)).mean()
    return np.array([activity, gap.mean(), np.abs(np.diff(gap)).mean()])


def voice_arousal(audio: np.ndarray) -> np.ndarray:
    """Pitch, pitch range, level and flatness of the spectrum: audio [N] -> [4]."""
    numbers = voice_numbers(audio)
    return np.array([numbers[0], numbers[4], numbers[2], -numbers[3]])


def against_neutral(values: np.ndarray, clips: list[ClipName]) -> np.ndarray:
    """Sum of z-scores about each speaker's neutral clips: values [N, D] -> [N]."""
    moved = np.zeros_like(values)
    for subject in {clip.subject for clip in clips}:
        mine = np.array([clip.subject == subject for clip in clips])
        calm = np.array([clip.subject == subject and clip.emotion == 0 for clip in clips])
        moved[mine] = values[mine] - values[calm if calm.any() else mine].mean(0)
    return np.asarray((moved / (moved.std(0) + 1e-9)).sum(1))


def discriminants(x: np.ndarray, y: np.ndarray, n_classes: int) -> Callable[[np.ndarray], Any]:
    """Linear discriminants with a shrunk covariance: x [N, D], y [N] -> a rule [M, D] -> [M]."""
    spread = x.std(0) + 1e-6
    centre = x.mean(0)
    z = (x - centre) / spread
    means = np.stack([z[y == k].mean(0) if (y == k).any() else z.mean(0) for k in range(n_classes)])
    within = np.cov((z - means[y]).T)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.eye(len(within))
    weights = np.linalg.solve(within, means.T)
    offset = -0.5 * (means * weights.T).sum(1)
    return lambda new: ((new - centre) / spread @ weights + offset).argmax(1)


def confusion(numbers: np.ndarray, clips: list[ClipName], n_classes: int = 8) -> np.ndarray:
    """Cross-validated by speaker: true emotion (rows) against the one found: [8, 8] counts."""
    subjects = sorted({clip.subject for clip in clips})
    labels = np.array([clip.emotion for clip in clips])
    table = np.zeros((n_classes, n_classes), int)
    for fold in range(FOLDS):
        tried = np.array([subjects.index(clip.subject) % FOLDS == fold for clip in clips])
        if not tried.any() or tried.all():
            continue
        found = discriminants(numbers[~tried], labels[~tried], n_classes)(numbers[tried])
        np.add.at(table, (labels[tried], found), 1)
    return table


def balanced_accuracy(table: np.ndarray) -> float:
    """Mean share of right answers over the emotions; chance is one in their number."""
    rows = table.sum(1)
    return float((np.diag(table)[rows > 0] / rows[rows > 0]).mean())


def measure_emotion(clips: list[Felt]) -> dict[str, Any]:
    """All figures of this module over the clips of held-out speakers."""
    face = FaceModel.load()
    names = [clip.name for clip in clips]
    voice = against_neutral(np.stack([voice_arousal(c.audio) for c in clips]), names)
    sources = {
        "face": np.stack([face_numbers(c.motion) for c in clips]),
        "teacher's face": np.stack([face_numbers(c.taught) for c in clips]),
        "voice": np.stack([voice_numbers(c.audio) for c in clips]),
    }
    found: dict[str, Any] = {"clips": len(clips), "subjects": len({n.subject for n in names})}
    for name, motions in (("face", [c.motion for c in clips]),
                          ("teacher's face", [c.taught for c in clips])):  # fmt: skip
        mine = against_neutral(np.stack([face_arousal(face, m) for m in motions]), names)
        found[f"arousal of {name} with the voice's, r"] = round(
            float(np.corrcoef(mine, voice)[0, 1]), 3
        )
    for name, numbers in sources.items():
        table = confusion(numbers, names)
        found[f"emotion from {name}"] = {
            "balanced_accuracy": round(balanced_accuracy(table), 3), "chance": 0.125,
            "confusion": table.tolist(),
        }  # fmt: skip
    return found
