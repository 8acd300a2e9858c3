# SPDX-License-Identifier: Apache-2.0
"""One request from its check to its last frame: what the command line and the server both run.

Engines are trusted to animate, not to keep the rules: chunks come in order, without gaps, finite.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lsf_backend.audio import open_audio
from lsf_backend.engine.base import AnimateJob, Engine, EngineInfo, MotionChunk
from lsf_backend.engine.registry import create_engine
from lsf_backend.errors import LsfError
from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face_motion import SPACES, FaceMotion
from lsf_backend.finishing.layers import channels_of
from lsf_backend.job_layers import JobLayers
from lsf_backend.protocol import EXTRA_CHANNELS, AnimateRequest
from lsf_backend.versions import dependency_versions, own_version

log = logging.getLogger(__name__)

N_BETAS = 300
N_MOTION = 53
LARGEST_BETA = 10.0
HIGHEST_TEMPERATURE = 10.0
_JAW_CHANNELS = ("jaw_x_rad", "jaw_y_rad", "jaw_z_rad")
LARGEST_GAP_MM = 1000.0


class Job:
    """A checked request with its sound open: iterate ``chunks()``, then ask for ``summary()``."""

    def __init__(
        self,
        request: AnimateRequest,
        betas: np.ndarray | None = None,
        progress: Callable[[str, float], None] = lambda stage, fraction: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.request = check_request(request)
        self._betas = None if betas is None else check_betas(betas)
        self._audio = open_audio(request.audio, request.start_s, request.end_s)
        self._engine: Engine = create_engine(request.engine)
        self.info: EngineInfo = self._engine.info()
        if request.device not in ("auto", *self.info.devices):
            raise LsfError(
                "request_invalid",
                f"The engine {request.engine!r} has no device {request.device!r} here.",
                f"Choose one of: {', '.join(('auto', *self.info.devices))}.",
            )
        self._face = FaceMotion(request, self.info, progress)
        self.n_frames = self._audio.n_frames
        self._progress = progress
        self._cancelled = cancelled
        self._frames_made = self._frames_done = 0
        self._warnings: list[str] = []
        self._notes: list[str] = []
        moved = None if request.identity_space not in ("", self._face.final) else self._betas
        self._layers = JobLayers(request, self._face, moved)
        self._leave_foreign_identity()

    @property
    def face_space(self) -> str:
        """Face space of the frames that ``values`` gives."""
        return self._face.final

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the columns of ``values``: those of the output, then those of the extras."""
        extra = channels_of(tuple(self.request.extra))
        if self.request.output == "arkit":
            return (*ARKIT_NAMES, *extra)
        if self.face_space == "head":
            return (*EXPRESSION_NAMES, *_JAW_CHANNELS, *extra)
        return (*(f"expression_{index}" for index in range(50)), *_JAW_CHANNELS, *extra)

    def values(self, chunk: MotionChunk) -> np.ndarray:
        """Columns of the request's output, float32: [n, 53] motion or [n, 52] weights, + extras."""
        face = arkit_from_motion(chunk.motion) if self.request.output == "arkit" else chunk.motion
        return face if chunk.extra is None else np.concatenate([face, chunk.extra], axis=1)

    def chunks(self) -> Iterator[MotionChunk]:
        """Chunks of motion in order and without gaps; stops early, and quietly, when cancelled."""
        for chunk in self._layers.over(self._engine_chunks()):
            self._frames_done += len(chunk.motion)
            yield chunk

    def _leave_foreign_identity(self) -> None:
        """Betas of one space mean nothing in the other."""
        space = self.request.identity_space
        if self._betas is not None and space and space != self.info.face_space:
            self._betas = None
            self._notes.append(
                f"The face's identity was left out: it is of the {space!r} space, and the engine "
                f"speaks {self.info.face_space!r}."
            )

    def _engine_chunks(self) -> Iterator[MotionChunk]:
        job = AnimateJob(
            self._audio,
            self._betas,
            self.request.seed,
            self.request.temperature,
            self.request.device,
            self._progress,
            self._cancelled,
            self._warnings.append,
        )
        try:
            for chunk in self._engine.animate(job):
                if self._cancelled():
                    return
                chunk = self._checked(chunk)
                yield dataclasses.replace(chunk, motion=self._face.after_engine(chunk.motion))
        except LsfError:
            raise
        except Exception as error:  # whatever an engine does, people get a sentence
            log.exception("engine %s failed", self.request.engine)
            raise LsfError(
                "internal",
                f"The engine {self.request.engine!r} failed at frame {self._frames_made} of "
                f"{self.n_frames} ({type(error).__name__}: {error}).",
                "The log has the details; please report it.",
            ) from error
        if not self._cancelled():
            self._audio.finish()
            if self._frames_made != self.n_frames:
                raise self._broken(f"stopped after {self._frames_made} of {self.n_frames} frames")

    def summary(self) -> dict[str, Any]:
        """Fields of the ``done`` event: frames, cancelled, warnings and notes, metadata."""
        return {
            "frames": self._frames_done,
            "cancelled": self._frames_done < self.n_frames,
            "warnings": [*self._audio.warnings(), *self._face.warnings, *self._warnings],
            "notes": [
                *self._notes,
                *self._face.notes(),
                *self._layers.notes(),
            ],
            "metadata": self.metadata(),
        }

    def metadata(self) -> dict[str, Any]:
        """What is needed to make the same frames again."""
        settings = self._layers.settings
        return {
            "seed": self.request.seed,
            "temperature": self.request.temperature,
            "engine": self.request.engine,
            "model_digest": self.info.digest,
            "model_license": self.info.license,
            "flame_version": self.info.flame_version,
            "versions": {"lsf-animation": own_version(), **dependency_versions()},
            "audio": self._audio.path.name,
            "start_s": self.request.start_s,
            "duration_s": self._audio.duration_s,
            "face_space": self.face_space,
            "identity": self._betas is not None,
            "finishing": settings.to_dict() if settings else None,
        }

    def _checked(self, chunk: MotionChunk) -> MotionChunk:
        motion = np.ascontiguousarray(chunk.motion, dtype=np.float32)
        if motion.ndim != 2 or motion.shape[1] != N_MOTION:
            raise self._broken(f"gave frames of shape {motion.shape} instead of [n, {N_MOTION}]")
        if chunk.first_frame != self._frames_made:
            raise self._broken(f"gave frame {chunk.first_frame} after {self._frames_made} frames")
        if self._frames_made + len(motion) > self.n_frames:
            raise self._broken(f"gave more than the {self.n_frames} frames of the sound")
        if not np.isfinite(motion).all():
            raise self._broken(f"gave numbers that are not finite after frame {self._frames_made}")
        self._frames_made += len(motion)
        return dataclasses.replace(chunk, motion=motion)

    def _broken(self, what: str) -> LsfError:
        return LsfError(
            "internal", f"The engine {self.request.engine!r} {what}.", "Please report it."
        )


def check_request(request: AnimateRequest) -> AnimateRequest:
    """Return the request if its fields have the right types and ranges; times are checked later."""
    for name in ("face_space", "identity_space"):
        if getattr(request, name) not in ("", *SPACES):
            raise _wrong(name, getattr(request, name), f"empty, {' or '.join(SPACES)}")
    if type(request.jaw_keys) is not bool:
        raise _wrong("jaw_keys", request.jaw_keys, "true or false")
    if not isinstance(request.face, str):
        raise _wrong("face", request.face, "the path of a FLAME file, or empty")
    for name in ("audio", "engine", "device", "output"):
        if not isinstance(getattr(request, name), str) or not getattr(request, name):
            raise _wrong(name, getattr(request, name), "a text that is not empty")
    if request.output not in ("motion", "arkit"):
        raise _wrong("output", request.output, "motion or arkit")
    if type(request.seed) is not int or not 0 <= request.seed < 2**64:
        raise _wrong("seed", request.seed, "a whole number from 0 to 2**64 - 1")
    for name in ("start_s", "end_s", "temperature"):
        value = getattr(request, name)
        if not (name == "end_s" and value is None) and type(value) not in (int, float):
            raise _wrong(name, value, "a number")
    if not isinstance(request.finishing, dict | None):
        raise _wrong("finishing", request.finishing, "null, or strengths of layers by name")
    if not 0 <= request.temperature <= HIGHEST_TEMPERATURE:  # false for NaN, too
        raise _wrong("temperature", request.temperature, f"from 0 to {HIGHEST_TEMPERATURE:g}")
    _check_extras(request)
    return request


def _check_extras(request: AnimateRequest) -> None:
    extra, gaps = request.extra, request.lip_gap_mm
    known = isinstance(extra, list) and all(name in EXTRA_CHANNELS for name in map(str, extra))
    if not known or len(set(extra)) != len(extra):
        raise _wrong("extra", extra, f"a list of {', '.join(EXTRA_CHANNELS)}, each once")
    if extra and request.finishing is None:
        raise _wrong("extra", extra, "empty where finishing is null: layers make the extras")
    if gaps is None:
        return
    plain = isinstance(gaps, list) and all(type(value) in (int, float) for value in gaps)
    if not plain or len(gaps) != len(ARKIT_NAMES) or not np.abs(gaps).max() < LARGEST_GAP_MM:
        raise _wrong(
            "lip_gap_mm", gaps, f"{len(ARKIT_NAMES)} numbers below {LARGEST_GAP_MM:g} in size"
        )


def check_betas(betas: np.ndarray) -> np.ndarray:
    """Identity coefficients [<= 300] as [300] float32, the missing ones zero (the mean face)."""
    hint = f"Give up to {N_BETAS} finite numbers, z-scores of the identity space."
    try:
        values = np.asarray(betas, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError) as error:
        raise LsfError(
            "identity_invalid", "The identity is not a list of numbers.", hint
        ) from error
    if not 1 <= values.size <= N_BETAS:
        raise LsfError("identity_invalid", f"The identity has {values.size} coefficients.", hint)
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST_BETA:
        worst = (
            values[~np.isfinite(values)][0]
            if not np.isfinite(values).all()
            else math.copysign(np.abs(values).max(), values[np.abs(values).argmax()])
        )
        raise LsfError(
            "identity_invalid",
            f"The identity has a coefficient of {worst:g}, outside -{LARGEST_BETA:g} to "
            f"{LARGEST_BETA:g}.",
            hint,
        )
    return np.pad(values, (0, N_BETAS - values.size))


def _wrong(name: str, value: object, accepted: str) -> LsfError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return LsfError("request_invalid", f"The field {name} is {shown}; it has to be {accepted}.")
