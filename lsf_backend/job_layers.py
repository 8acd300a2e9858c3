# SPDX-License-Identifier: Apache-2.0
"""What a request's layers are on the face that moves, and the way of its frames through them.

A face with ARKit weights has all layers. A FLAME face has those that need none: smoothing, the
guards of the lips (on its own mesh, with its identity), gaze, head and breathing beside the face.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from lsf_backend.audio import open_audio
from lsf_backend.engine.base import MotionChunk
from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion, motion_from_arkit
from lsf_backend.face_motion import FaceMotion
from lsf_backend.finishing.finisher import Finished, Finisher
from lsf_backend.finishing.flame_lips import FlameLips
from lsf_backend.finishing.guards import FinishingReport, Guarded, Guards
from lsf_backend.finishing.layers import layers
from lsf_backend.finishing.lips import gap_per_weight_mm
from lsf_backend.finishing.settings import FinishingSettings
from lsf_backend.finishing.speech import SpeechTrack
from lsf_backend.protocol import HEAD_FILE, AnimateRequest

# Off unless they are asked for: the head's own motion needs more than a face to show on.
_STILL_HEAD = {"head": 0.0, "breathing": 0.0}
_GUARDS = ("closure", "silence")


class JobLayers:
    """The layers of one request; ``over`` takes the engine's chunks to frames as they go out.

    ``betas`` [300] is the identity of the face that moves, of whatever space that is. None of the
    layers is there where the request's ``finishing`` is None.
    """

    def __init__(self, request: AnimateRequest, face: FaceMotion, betas: np.ndarray | None) -> None:
        self.settings: FinishingSettings | None = None
        self._request, self._face = request, face
        self._notes: list[str] = []
        self._finisher: Finisher | None = None
        self._guards: Guards | None = None
        if request.finishing is None:
            return
        self.settings = FinishingSettings.from_dict({**_STILL_HEAD, **request.finishing})
        # A reader of its own: the layers look further ahead than the engine.
        sound = open_audio(request.audio, request.start_s, request.end_s)
        self._speech = SpeechTrack.from_audio(sound)
        lips = self._flame_lips(betas) if face.final == "flame" else None
        if face.made == "head":
            own = request.lip_gap_mm
            gaps = gap_per_weight_mm(FaceModel.load(HEAD_FILE)) if own is None else np.array(own)
            # Lips are guarded once, on the mesh that moves.
            weights = self._without(_GUARDS) if lips is not None else self.settings
            self._finisher = Finisher(weights, request.seed, self._speech, gaps)
        else:
            self._leave_out(("blinks",), "FLAME has no coefficients of the lids alone")
            if request.jaw_keys:
                self._leave_out(("gaze",), "a face with jaw keys has no eye bones")
        if face.final == "flame":
            flame = self.settings if face.made == "flame" else self._without(("smoothing",))
            if lips is not None or flame.smoothing > 0.0:
                self._guards = Guards(flame, self._speech, lips)

    def over(self, chunks: Iterator[MotionChunk]) -> Iterator[MotionChunk]:
        """Chunks in the space that the engine's became -> finished, in the space that goes out.

        What was made before a cancel is finished as well.
        """
        if self._finisher is not None:
            chunks = _finished(self._finisher, chunks)
        chunks = (
            dataclasses.replace(chunk, motion=self._face.going_out(chunk.motion))
            for chunk in chunks
        )
        if self._guards is not None:
            chunks = _guarded(self._guards, chunks)
        for chunk in chunks:
            yield self._with_extras(chunk)

    def notes(self) -> list[str]:
        """What was left out, and what the guards did."""
        return [*self._notes, *(text for part in self._reports() for text in part.sentences())]

    def _reports(self) -> list[FinishingReport]:
        return [part.report for part in (self._finisher, self._guards) if part is not None]

    def _with_extras(self, chunk: MotionChunk) -> MotionChunk:
        extra, seed = tuple(self._request.extra), self._request.seed
        if not extra or self.settings is None:
            return chunk
        made = layers(self.settings, seed, chunk.first_frame, len(chunk.motion), self._speech)
        return dataclasses.replace(chunk, extra=made.columns(extra))

    def _flame_lips(self, betas: np.ndarray | None) -> FlameLips | None:
        """The lips of the face that moves, None where no guard is asked for or it has none."""
        assert self.settings is not None
        if not any(getattr(self.settings, name) > 0.0 for name in _GUARDS):
            return None
        reason = "no FLAME file was given, on whose lips they would be measured"
        if self._face.flame is not None:
            try:
                return FlameLips(self._face.flame, betas, self._request.jaw_keys)
            except LsfError as error:
                reason = error.message.rstrip(".")
        if self._face.made == "flame":
            self._leave_out(_GUARDS, reason)
        else:
            self._notes.append(f"The lips were guarded on the bundled head, because {reason}.")
        return None

    def _leave_out(self, names: tuple[str, ...], why: str) -> None:
        """Turn layers off, and say so where they were asked for."""
        asked: dict[str, Any] = self._request.finishing or {}
        told = [name for name in names if asked.get(name, 0.0) > 0.0]
        if told:
            self._notes.append(f"{', '.join(told)}: left out, because {why}.")
        self.settings = self._without(names)

    def _without(self, names: tuple[str, ...]) -> FinishingSettings:
        assert self.settings is not None
        return dataclasses.replace(self.settings, **dict.fromkeys(names, 0.0))


def _finished(finisher: Finisher, chunks: Iterator[MotionChunk]) -> Iterator[MotionChunk]:
    """Chunks of the head's motion through all layers of ARKit weights."""

    def chunk_of(part: Finished | None) -> list[MotionChunk]:
        return [MotionChunk(part.first_frame, motion_from_arkit(part.weights))] if part else []

    for chunk in chunks:
        yield from chunk_of(finisher.push(arkit_from_motion(chunk.motion)))
    yield from chunk_of(finisher.flush())


def _guarded(guards: Guards, chunks: Iterator[MotionChunk]) -> Iterator[MotionChunk]:
    """Chunks of FLAME's motion through the guards of its lips."""

    def chunk_of(part: Guarded | None) -> list[MotionChunk]:
        return [MotionChunk(part.first_frame, part.motion.astype(np.float32))] if part else []

    for chunk in chunks:
        yield from chunk_of(guards.push(chunk.motion))
    yield from chunk_of(guards.flush())
