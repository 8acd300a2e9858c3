# SPDX-License-Identifier: Apache-2.0
"""A facial performance on a steady clock: ARKit weights and the app's nine rotations."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LsfError
from ..export.live_link import ROTATIONS, check_csv_fps
from ..export.take import Take
from ..face.arkit import ARKIT_NAMES
from ..face.head_space import motion_from_arkit
from ..protocol import EXTRA_CHANNELS
from ..timing import MOTION_FPS

N_WEIGHTS = len(ARKIT_NAMES)
N_ROTATIONS = len(ROTATIONS)
MAX_FILE_BYTES = 256 << 20
# ARKit's head turns about the same axes as ours: pitch about x (down), yaw about y, roll about z.
HEAD_COLUMNS = {
    channel: ROTATIONS.index(name)
    for channel, name in zip(
        EXTRA_CHANNELS["head"], ("HeadPitch", "HeadYaw", "HeadRoll"), strict=True
    )
}


@dataclasses.dataclass(frozen=True)
class Performance:
    """``weights`` [T, 52] float32 in ARKit's order, as recorded (also slightly outside 0..1).

    ``rotations`` [T, 9] float32 rad: head, left eye, right eye, each yaw, pitch, roll. Frame i is
    at ``i / fps`` seconds. ``warnings`` are sentences about what was mended or left out.
    """

    fps: float
    weights: np.ndarray
    rotations: np.ndarray
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.weights.shape[1] != N_WEIGHTS:
            raise ValueError(f"weights must be [T, {N_WEIGHTS}], got {list(self.weights.shape)}")
        if self.rotations.shape != (len(self.weights), N_ROTATIONS):
            raise ValueError(f"rotations must be [T, {N_ROTATIONS}]: {list(self.rotations.shape)}")
        check_csv_fps(self.fps)

    @classmethod
    def from_take(cls, take: Take) -> Performance:
        """Take of the bundled head as a performance at 25 fps, its head's turns as rotations.

        Turns of the eyes stay in the eyeLook weights, so that they do not come twice.
        """
        weights = take.arkit()
        rotations = np.zeros((len(weights), N_ROTATIONS), np.float32)
        for channel, column in HEAD_COLUMNS.items():
            if channel in take.extra:
                rotations[:, column] = take.extra[channel]
        return cls(float(MOTION_FPS), weights, rotations)

    @property
    def n_frames(self) -> int:
        """Number of frames T."""
        return len(self.weights)

    @property
    def duration_s(self) -> float:
        """Length in seconds: every frame lasts 1 / fps."""
        return self.n_frames / self.fps

    def resampled(self, fps: float) -> Performance:
        """Return the performance at another rate, held through the last frame.

        Frames that fall on frames of the source keep their values exactly; between them a cubic
        (Catmull-Rom) that stays within its four frames, so that nothing dips below a closed lid.
        """
        check_csv_fps(fps)
        if fps == self.fps or not self.n_frames:
            return dataclasses.replace(self, fps=fps)
        count = max(1, math.floor(self.n_frames * fps / self.fps + 1e-6))
        at = np.arange(count) * (self.fps / fps)
        nearest = np.rint(at)
        at = np.minimum(np.where(np.abs(at - nearest) < 1e-6, nearest, at), self.n_frames - 1)
        below = at.astype(int)
        share = (at - below).astype(np.float32)[:, None]
        places = [np.clip(below + offset, 0, self.n_frames - 1) for offset in (-1, 0, 1, 2)]

        def between(values: np.ndarray) -> np.ndarray:
            a, b, c, d = (values[place] for place in places)
            curve = b + 0.5 * share * (
                c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a))
            )
            low, high = np.minimum.reduce([a, b, c, d]), np.maximum.reduce([a, b, c, d])
            return np.clip(np.where(share > 0, curve, b), low, high).astype(np.float32)

        return dataclasses.replace(
            self, fps=fps, weights=between(self.weights), rotations=between(self.rotations)
        )

    def to_take(self, metadata: dict[str, Any] | None = None) -> Take:
        """Return motion of the bundled head at 25 fps; weights are clipped to 0..1 for it."""
        steady = self.resampled(float(MOTION_FPS))
        motion = motion_from_arkit(np.clip(steady.weights, 0.0, 1.0))
        return Take(motion, "head", dict(metadata or {}), steady.head_turns())

    def head_turns(self) -> dict[str, np.ndarray]:
        """The head's rotations by our channels' names, [T] rad each; empty where all are zero."""
        found = {name: self.rotations[:, column] for name, column in HEAD_COLUMNS.items()}
        return found if any(values.any() for values in found.values()) else {}


def read_text(path: Path) -> str:
    """Read a text file (UTF-8, with or without a byte-order mark), or raise with one sentence."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise invalid(path, f"has more than {MAX_FILE_BYTES >> 20} MB")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LsfError("request_invalid", f"{path} could not be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise invalid(path, "is not a text file") from error


def invalid(path: Path, what: str, hint: str = "") -> LsfError:
    """Return an error that says what is wrong with a file: ``take.csv has ...``."""
    return LsfError("request_invalid", f"{path.name} {what}.", hint)
