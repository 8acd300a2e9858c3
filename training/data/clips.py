# SPDX-License-Identifier: Apache-2.0
"""What every reader of captured motion speaks of: clips, their names, faces and faults.

Names and emotion numbers are 3DMEAD's; a clip of one's own may have no emotion.
"""

from __future__ import annotations

import dataclasses
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lsf_backend.face.flame_file import FLAME_VERSIONS

EMOTIONS = ("neutral", "happy", "sad", "surprised", "fear", "disgusted", "angry", "contempt")
N_INTENSITIES = 3
N_BETAS, N_EXPRESSION, N_MOTION = 300, 50, 53
MEAD_FLAME_VERSION = "2020"
STATED_VERSIONS = tuple(version for version in FLAME_VERSIONS if version != "unknown")
SOUNDS = (".wav", ".flac", ".m4a", ".mp4", ".mov", ".mp3", ".aac", ".ogg", ".opus")
# What numpy, zipfile and h5py raise on files that are cut, damaged or of another kind.
DAMAGE = (
    *(OSError, EOFError, MemoryError, SyntaxError, tokenize.TokenError),
    *(ValueError, TypeError, LookupError, ArithmeticError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
_STEM = re.compile(r"([A-Za-z][A-Za-z0-9-]*)_(\d{3,})_(\d)_(\d)")


class BadClip(Exception):
    """One clip cannot be used: a stable ``code`` and a sentence that names the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SourceError(ValueError):
    """The source as a whole cannot be prepared, whatever is to be done with bad clips."""


class Face(NamedTuple):
    """What motion coefficients mean: ``space`` head or flame, and for flame its version."""

    space: str
    flame_version: str | None = None

    def __str__(self) -> str:
        return f"FLAME {self.flame_version}" if self.space == "flame" else "the bundled head"

    def checked(self) -> Face:
        """Return itself, or raise SourceError where a FLAME version is missing or invented."""
        if self.space not in ("head", "flame"):
            raise SourceError(f"a face space is head or flame, not {self.space!r}")
        if self.space == "head" and self.flame_version is not None:
            raise SourceError("motion of the bundled head has no FLAME version")
        if self.space == "flame" and self.flame_version not in STATED_VERSIONS:
            raise SourceError(
                f"the FLAME version of this motion must be stated ({', '.join(STATED_VERSIONS)}): "
                f"{self.flame_version!r} is none; expression codes of two versions do not mix"
            )
        return self


@dataclasses.dataclass(frozen=True)
class ClipName:
    """Who says what and how; ``emotion`` counts in EMOTIONS, ``intensity`` 0..2; -1: unknown."""

    subject: str
    sentence: str
    emotion: int = -1
    intensity: int = -1

    @property
    def stem(self) -> str:
        """Name in a cache: ``M003_001_0_0``."""
        return f"{self.subject}_{self.sentence}_{self.emotion}_{self.intensity}"

    @classmethod
    def parse(cls, stem: str) -> ClipName | None:
        """Name from ``<subject>_<sentence>_<emotion>_<intensity>``, or None."""
        match = _STEM.fullmatch(stem)
        if not match or int(match[3]) >= len(EMOTIONS) or int(match[4]) >= N_INTENSITIES:
            return None
        return cls(match[1], match[2], int(match[3]), int(match[4]))


@dataclasses.dataclass(frozen=True)
class Found:
    """A clip that a listing found, unread; ``stem`` is unique in its source."""

    stem: str
    name: ClipName
    motion: Path | None
    audio: Path | None
    # Why a clip that is there cannot even be read, such as two motion files of one name.
    fault: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Track:
    """Motion that was read: ``motion`` [T, 53] float32 (50 expression, 3 jaw rad), fps 25.

    ``betas`` [T or 1, 300] float32, or None where the person's identity is not known.
    """

    motion: np.ndarray
    betas: np.ndarray | None
    face: Face
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Listing:
    """A source: its clips in order of their stems, how to read them, and what was not looked at."""

    layout: str
    face: Face
    clips: tuple[Found, ...]
    read: Callable[[Found], Track]
    left_out: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """How a source is read. ``fps`` is of motion files that do not say it themselves.

    ``betas`` is ``first`` (frame 0 of the clip, as the paper's released code reads it) or ``mean``.
    """

    layout: str = "auto"
    on_bad: str = "skip"
    betas: str = "first"
    face_space: str | None = None
    flame_version: str | None = None
    audio: Path | None = None
    subject: str | None = None
    fps: float = 25.0
    tolerance_s: float = 0.2

    def __post_init__(self) -> None:
        choices = {
            "layout": ("auto", "release", "cache", "captures"),
            "on_bad": ("skip", "refuse"),
            "betas": ("first", "mean"),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                raise SourceError(f"{field} is one of {', '.join(allowed)}")
        if not 0.0 <= self.tolerance_s <= 2.0:
            raise SourceError(f"tolerance_s is from 0 to 2 seconds, not {self.tolerance_s:g}")
        if not 1.0 <= self.fps <= 240.0:
            raise SourceError(f"fps is from 1 to 240, not {self.fps:g}")


def sounds_of(folder: Path, stem: str) -> Path | None:
    """Sound of a stem in a folder; of several the least compressed."""
    endings = (written for ending in SOUNDS for written in (ending, ending.upper()))
    return next((p for e in endings if (p := folder / f"{stem}{e}").is_file()), None)


def stated_face(config: PrepareConfig, found: Face) -> Face:
    """Face of a source; raises where the user states another one than the source shows."""
    space = config.face_space or found.space
    version = config.flame_version or (found.flame_version if space == found.space else None)
    stated = Face(space, version)
    if found.space != space or (found.flame_version or version) != version:
        raise SourceError(f"the source is motion of {found}, but {stated} was stated")
    return stated.checked()
