# SPDX-License-Identifier: Apache-2.0
"""One memory-mapped store of many clips: ``store.json`` and three flat files, little-endian.

``motion.f32`` [sum T, 53] at 25 fps, ``audio.s16`` [sum N] at 16 kHz, ``betas.f32`` [clips, 300].
A folder without ``store.json``, or whose files have other sizes than it says, is no store.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.timing import MOTION_FPS, SAMPLE_RATE_HZ, frames_from_samples
from training.data.clips import N_BETAS, N_MOTION, ClipName, Face, SourceError

FORMAT = "lsf-animation clip store 1"
FACTS = "store.json"
MOTION, AUDIO, BETAS = "motion.f32", "audio.s16", "betas.f32"
FILES = (MOTION, AUDIO, BETAS)


@dataclasses.dataclass(frozen=True)
class StoredClip:
    """Where a clip lies: frames [first, first + count), samples [first_sample, + n_samples)."""

    stem: str
    subject: str
    sentence: str
    emotion: int
    intensity: int
    first: int
    count: int
    first_sample: int
    n_samples: int
    crc32: int
    motion_frames: int
    audio_frames: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> ClipName:
        """Who says what and how."""
        return ClipName(self.subject, self.sentence, self.emotion, self.intensity)

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> StoredClip:
        """Read what ``dataclasses.asdict`` wrote."""
        return cls(**{**described, "notes": tuple(described["notes"])})


def crc_of(motion: np.ndarray, betas: np.ndarray, audio: np.ndarray) -> int:
    """Checksum of a clip's bytes as they are stored."""
    crc = zlib.crc32(motion.astype("<f4", copy=False).tobytes())
    crc = zlib.crc32(betas.astype("<f4", copy=False).tobytes(), crc)
    return zlib.crc32(audio.astype("<i2", copy=False).tobytes(), crc)


def expected_bytes(clips: Sequence[StoredClip]) -> dict[str, int]:
    """Sizes of the three files that hold these clips."""
    frames = sum(clip.count for clip in clips)
    samples = sum(clip.n_samples for clip in clips)
    return {MOTION: 4 * N_MOTION * frames, AUDIO: 2 * samples, BETAS: 4 * N_BETAS * len(clips)}


class Store:
    """A finished store, mapped read-only: opening it reads no clip."""

    def __init__(
        self, folder: Path, face: Face, clips: tuple[StoredClip, ...], facts: dict[str, Any]
    ) -> None:
        self.folder = folder
        self.face = face
        self.clips = clips
        self.facts = facts
        self._motion = np.memmap(folder / MOTION, "<f4", "r").reshape(-1, N_MOTION)
        self._audio = np.memmap(folder / AUDIO, "<i2", "r")
        self._betas = np.memmap(folder / BETAS, "<f4", "r").reshape(-1, N_BETAS)

    @classmethod
    def open(cls, folder: str | Path, face: Face | None = None) -> Store:
        """Map a store; raises SourceError where it is not whole or of another face than wanted."""
        folder = Path(folder)
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            if facts["format"] != FORMAT:
                raise ValueError(f"its format is {facts['format']!r}, not {FORMAT!r}")
            found = Face(facts["face_space"], facts["flame_version"]).checked()
            clips = tuple(StoredClip.from_json(clip) for clip in facts["clips"])
            if not clips:
                raise ValueError("it holds no clips")
            for name, size in expected_bytes(clips).items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} has not the {size} bytes that it should")
            _check_places(clips)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{folder} is not a finished store: {error}") from error
        if face is not None and face != found:
            raise SourceError(f"{folder.name} is motion of {found}; {face} is needed")
        return cls(folder, found, clips, facts)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def n_frames(self) -> int:
        """Frames of all clips."""
        return len(self._motion)

    @property
    def digest(self) -> str:
        """Checksum that tells this store's clips from all others."""
        told = [str(self.face), *(f"{clip.stem} {clip.crc32}" for clip in self.clips)]
        return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()

    def motion(self, number: int) -> np.ndarray:
        """Motion [T, 53] float32 of a clip, mapped: 50 expression, 3 jaw rad, at 25 fps."""
        clip = self.clips[number]
        return self._motion[clip.first : clip.first + clip.count]

    def audio(self, number: int) -> np.ndarray:
        """Sound [N] float32 in -1..1 of a clip, 16 kHz mono, floor(N / 640) = T."""
        return self._pcm(number).astype(np.float32) / np.float32(32768.0)

    def betas(self, number: int) -> np.ndarray:
        """Identity [300] float32 of a clip, z-scores."""
        return self._betas[number]

    def verify(self) -> list[str]:
        """Stems of clips whose bytes are not those that were written; reads everything."""
        return [
            clip.stem
            for i, clip in enumerate(self.clips)
            if crc_of(self.motion(i), self.betas(i), self._pcm(i)) != clip.crc32
        ]

    def _pcm(self, number: int) -> np.ndarray:
        clip = self.clips[number]
        return self._audio[clip.first_sample : clip.first_sample + clip.n_samples]


def open_stores(folders: Sequence[str | Path]) -> tuple[Store, ...]:
    """Open several stores to be used together: all must be of one face and one FLAME version."""
    stores = [Store.open(folder) for folder in folders]
    for store in stores[1:]:
        if store.face != stores[0].face:
            raise SourceError(
                f"{stores[0].folder.name} is motion of {stores[0].face} and {store.folder.name} of "
                f"{store.face}: they do not mix"
            )
    return tuple(stores)


def facts_of(face: Face, clips: Sequence[StoredClip], source: dict[str, Any]) -> dict[str, Any]:
    """Content of ``store.json``; ``source`` says how the store was made."""
    return {
        "format": FORMAT,
        "face_space": face.space,
        "flame_version": face.flame_version,
        "fps": MOTION_FPS,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "source": source,
        "clips": [dataclasses.asdict(clip) for clip in clips],
    }


def _check_places(clips: Sequence[StoredClip]) -> None:
    first = first_sample = 0
    for clip in clips:
        if (clip.first, clip.first_sample) != (first, first_sample):
            raise ValueError(f"{clip.stem} does not follow the clip before it")
        if clip.count < 1 or frames_from_samples(clip.n_samples) != clip.count:
            raise ValueError(f"{clip.stem} has {clip.count} frames, {clip.n_samples} samples")
        first += clip.count
        first_sample += clip.n_samples
