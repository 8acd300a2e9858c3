# SPDX-License-Identifier: Apache-2.0
"""Crops of the speakers whom training left out, and how far a face is from the teacher's there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from lsf_backend.face.head_space import arkit_from_motion
from training.data.cache import Cache, streams
from training.data.clips import ClipName
from training.losses import LipLoss
from training.voices.emotion import balanced_accuracy, confusion, face_numbers
from training.voices.measures import CLOSED_MM
from training.voices.upper_face import UPPER

LENGTH = 125
PARTED_MM = 2.0


@dataclasses.dataclass(frozen=True)
class Heard:
    """One crop: the cache's features [2T, D], betas [300], the teacher [T, 53], whose it is."""

    features: np.ndarray
    betas: np.ndarray
    motion: np.ndarray
    name: ClipName

    def inputs(self, features: np.ndarray, betas: np.ndarray) -> list[np.ndarray]:
        """What the network takes: motion and emotion features, betas."""
        return [*streams(features), betas]


Move = Callable[[Heard], np.ndarray]


def crops(cache: Cache, part: str, most: int) -> list[Heard]:
    """Crops of ``LENGTH`` frames from clips of a split, spread over all of its speakers."""
    numbers = [i for i in cache.split(part) if cache.entries[i].count >= LENGTH]
    found = []
    for number in numbers[:: max(1, len(numbers) // most)][:most]:
        first = cache.entries[number].first
        features = np.asarray(cache.features[2 * first : 2 * (first + LENGTH)], np.float32)
        motion = np.array(cache.motion[first : first + LENGTH])
        name = ClipName.parse(cache.entries[number].stem)
        assert name is not None
        found.append(Heard(features, cache.betas[number], motion, name))
    return found


def measure(heard: list[Heard], move: Move) -> dict[str, float]:
    """Means over all crops of what ``move`` (crop -> motion [T, 53]) makes of them."""
    lips, rows = LipLoss(), []
    shut, wanted_shut, faces = [], [], []
    for crop in heard:
        motion = move(crop)
        gap = lips.lips_mm(torch.from_numpy(motion))[:, 0].numpy()
        aim = lips.lips_mm(torch.from_numpy(crop.motion))[:, 0].numpy()
        face = arkit_from_motion(motion) - arkit_from_motion(crop.motion)
        held = motion.mean(0) - crop.motion.mean(0)
        rows.append((np.abs(gap - aim).mean(), np.abs(face[:, UPPER]).mean(),
                     np.abs(held).mean(), np.abs(np.diff(gap, n=2)).mean()))  # fmt: skip
        shut.append(gap < CLOSED_MM)
        wanted_shut.append(aim)
        faces.append(face_numbers(motion))
    closed, aim = np.concatenate(shut), np.concatenate(wanted_shut)
    gap_mm, upper, held, shake_mm = np.mean(rows, axis=0)
    table = confusion(np.stack(faces), [crop.name for crop in heard])
    return {
        "lip gap off, mm": round(float(gap_mm), 3),
        "closed where it should be": round(float(closed[aim < CLOSED_MM].mean()), 4),
        "closed where lips are parted": round(float(closed[aim > PARTED_MM].mean()), 4),
        "upper face off": round(float(upper), 4),
        "clip's mean off": round(float(held), 4),
        "change of lip speed, mm": round(float(shake_mm), 3),
        "emotion found": round(balanced_accuracy(table), 3),
    }
