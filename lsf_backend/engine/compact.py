# SPDX-License-Identifier: Apache-2.0
"""The bundled engine: the compact model on ONNX Runtime, in windows of a fixed grid.

Window k holds the frames from 75 k - 25 to 75 k + 100 and depends on nothing but the sound and the
voice heard before it; neighbours are faded into each other. So memory stays flat, the first frames
need 4 s of sound, and no frame depends on how a caller takes the chunks. Look-ahead: 1 s.
"""

from __future__ import annotations

import functools
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend import timing
from lsf_backend.engine.base import AnimateJob, EngineInfo, MotionChunk
from lsf_backend.engine.compact_files import FOLDER, Codebook, CompactFiles, compact_folder
from lsf_backend.engine.features import (
    PROSODY_NAMES,
    SpeechReference,
    log_mel,
    prosody,
    raw_prosody,
)
from lsf_backend.engine.quantise import quantise
from lsf_backend.errors import LsfError
from lsf_backend.face.head_space import JAW_OPEN_RAD, JAW_SIDE_RAD, N_EXPRESSION

HOP_FRAMES = 75
CONTEXT_FRAMES = 25
FADE_FRAMES = 10
N_BETAS = 300


class CompactModel:
    """The loaded networks: audio of a window -> latent -> motion."""

    def __init__(self, files: CompactFiles) -> None:
        self._encoder = _session(files.checked("encoder.onnx"))
        self._sie = _session(files.checked("sie.onnx"))
        self._decoder = _session(files.checked("decoder.onnx"))
        with np.load(io.BytesIO(files.checked("codebook.npz")), allow_pickle=False) as arrays:
            self.codebook = Codebook(arrays["codebooks"], arrays["tau"])
        self._d_motion, self._d_emotion = files.d_motion_features, files.d_emotion_features
        self._prosody = [PROSODY_NAMES.index(name) for name in files.prosody]

    def encode(self, audio: np.ndarray, reference: SpeechReference, raw: np.ndarray) -> np.ndarray:
        """Audio [N] 16 kHz with its raw prosody -> features [T50, D]."""
        mel = log_mel(audio * np.float32(reference.gain))
        upper, lower = self._encoder.run(None, {"mel": mel[None]})
        told = prosody(raw, reference)[:, self._prosody]
        return np.concatenate([upper[0], lower[0], told], axis=1)

    def latent(self, features: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Features [2T, D] at 50 Hz, betas [300] -> latent [T, d] at 25 fps.

        The streams may overlap: motion takes the first columns, emotion the last.
        """
        fed = {
            "motion_features": features[None, :, : self._d_motion],
            "emotion_features": features[None, :, -self._d_emotion :],
            "betas": betas[None],
        }
        return np.asarray(self._sie.run(None, fed)[0][0])

    def decode(self, zq: np.ndarray) -> np.ndarray:
        """Codes' latent zq [T, d] -> motion [T, 53], kept in the range of the face space."""
        motion = np.asarray(self._decoder.run(None, {"zq": zq[None]})[0][0])
        motion[:, :N_EXPRESSION] = np.clip(motion[:, :N_EXPRESSION], 0.0, 1.0)
        motion[:, 50] = np.clip(motion[:, 50], 0.0, JAW_OPEN_RAD)
        motion[:, 51] = np.clip(motion[:, 51], -JAW_SIDE_RAD, JAW_SIDE_RAD)
        return motion


class CompactEngine:
    """Engine ``compact``: runs on the CPU anywhere, offline."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or compact_folder()

    def info(self) -> EngineInfo:
        """Describe the engine from ``config.json`` alone."""
        try:
            files = CompactFiles.read(self._folder)
        except LsfError as error:
            return EngineInfo("compact", False, str(error), "head", ("cpu",), "", "")
        reason = "" if self._folder == FOLDER else f"your own model in {self._folder}"
        return EngineInfo(
            "compact", True, reason, files.face_space, ("cpu",), files.digest, files.license
        )

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        """Yield the motion of the sound, a chunk for every window, in order."""
        if job.device not in ("auto", "cpu"):
            raise LsfError(
                "request_invalid",
                f"The engine 'compact' runs on the CPU, not on {job.device!r}.",
                "Choose the device 'auto'.",
            )
        betas = _checked_betas(job.betas)
        n_frames = timing.frames_from_samples(job.audio.n_samples)
        job.progress("load", 0.0)
        model = load_model(self._folder)
        windows = _windows(model, job, betas, n_frames)
        for chunk in faded(windows, n_frames):
            done = chunk.first_frame + len(chunk.motion)
            job.progress("animate", done / max(1, n_frames))
            yield chunk


def _windows(
    model: CompactModel, job: AnimateJob, betas: np.ndarray, n_frames: int
) -> Iterator[MotionChunk]:
    """Motion of each window of the grid, with its context; ends early when cancelled."""
    reference, heard = SpeechReference(), 0
    for core in range(0, n_frames, HOP_FRAMES):
        if job.cancelled():
            return
        first = max(0, core - CONTEXT_FRAMES)
        last = min(n_frames, core + HOP_FRAMES + CONTEXT_FRAMES)
        sample = timing.samples_from_frames(first)
        wanted = timing.samples_from_frames(last - first)
        audio = job.audio.read(sample, wanted)
        # A file may hold a little less than it promised.
        audio = np.pad(audio, (0, wanted - audio.size))
        raw = raw_prosody(audio)
        reference.hear(raw[2 * max(0, heard - first) :])
        heard = last
        features = model.encode(audio, reference, raw)
        latent = model.latent(features, betas)
        books, tau = model.codebook.books, model.codebook.tau
        zq = quantise(latent, books, tau, job.temperature, job.seed, first)
        yield MotionChunk(first, model.decode(zq))


def faded(windows: Iterator[MotionChunk], n_frames: int) -> Iterator[MotionChunk]:
    """Join overlapping windows of the grid: each frame once, in order, a fade at every border."""
    held: MotionChunk | None = None
    for index, window in enumerate(windows):
        core = index * HOP_FRAMES
        motion, start = window.motion, max(0, core - FADE_FRAMES // 2)
        if held is not None:
            rows = slice(start - window.first_frame, start - window.first_frame + FADE_FRAMES)
            count = len(motion[rows])
            share = ((np.arange(count) + 1.0) / (FADE_FRAMES + 1.0)).astype(np.float32)[:, None]
            mixed = (1.0 - share) * held.motion[:count] + share * motion[rows]
            motion = np.concatenate([motion[: rows.start], mixed, motion[rows.start + count :]])
        end = core + HOP_FRAMES - FADE_FRAMES // 2
        is_last = core + HOP_FRAMES >= n_frames
        stop = n_frames if is_last else end
        yield MotionChunk(start, motion[start - window.first_frame : stop - window.first_frame])
        held = MotionChunk(end, motion[end - window.first_frame :])


def _checked_betas(betas: np.ndarray | None) -> np.ndarray:
    if betas is None:
        return np.zeros(N_BETAS, dtype=np.float32)
    betas = np.asarray(betas, dtype=np.float32).reshape(-1)
    if betas.size != N_BETAS or not np.isfinite(betas).all():
        raise LsfError(
            "identity_invalid",
            f"An identity is {N_BETAS} finite numbers; this one has {betas.size}.",
        )
    return betas


_loading = threading.Lock()


def load_model(folder: Path = FOLDER) -> CompactModel:
    """The model of a folder, loaded once per state of its ``config.json``."""
    with _loading:
        return _load_model(folder, CompactFiles.read(folder).digest)


@functools.lru_cache(maxsize=1)
def _load_model(folder: Path, digest: str) -> CompactModel:
    return CompactModel(CompactFiles.read(folder))


def _session(data: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise LsfError(
            "engine_unavailable", f"ONNX Runtime does not load here: {error}.", user_fault=False
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, min(4, os.cpu_count() or 1))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
