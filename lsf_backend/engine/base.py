# SPDX-License-Identifier: Apache-2.0
"""What an engine is: something that turns a sound into chunks of motion, in order, without gaps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:  # describing an engine does not need the sound decoder
    from lsf_backend.audio import AudioReader


@dataclasses.dataclass(frozen=True)
class EngineInfo:
    """What an engine says about itself; ``reason`` tells why it is not available, and what to do.

    ``digest`` identifies the weights, ``license`` is a short sentence about them and their output.
    Where the engine is available, ``reason`` may say what it runs on. ``flame_version`` ("2020",
    "2023") goes with face space ``flame``: its codes mean nothing in another version.
    """

    name: str
    available: bool
    reason: str
    face_space: str
    devices: tuple[str, ...]
    digest: str
    license: str
    flame_version: str = ""


@dataclasses.dataclass(frozen=True)
class AnimateJob:
    """One sound to animate, as an engine sees it.

    ``betas`` [300] float32 identity coefficients (z-scores) or None for the mean face. Progress is
    reported as (stage, fraction in 0..1); an engine returns early once ``cancelled()`` is true.
    ``warn`` takes sentences that the person should read after the job.
    """

    audio: AudioReader
    betas: np.ndarray | None
    seed: int
    temperature: float
    device: str
    progress: Callable[[str, float], None]
    cancelled: Callable[[], bool]
    warn: Callable[[str], None] = lambda sentence: None


@dataclasses.dataclass(frozen=True)
class MotionChunk:
    """Motion from ``first_frame`` on: [n, 53] float32 at 25 fps (50 expression, 3 jaw radians).

    ``extra`` [n, E] float32 is what layers after the engine added beside the face, None from one.
    """

    first_frame: int
    motion: np.ndarray
    extra: np.ndarray | None = None


class Engine(Protocol):
    """An engine; its module is imported, and the class called without arguments, only when used."""

    def info(self) -> EngineInfo:
        """Describe the engine without loading weights and without importing torch."""
        ...

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        """Yield the T frames of the sound in order: the same seed gives the same frames."""
        ...
