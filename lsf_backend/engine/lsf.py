# SPDX-License-Identifier: Apache-2.0
"""The ``lsf`` engine: the paper's model with HuBERT and emotion2vec, in PyTorch, on GPU or CPU.

The work runs in one thread of its own, so that a cancel is answered within a moment while layers
finish, and a loaded model stays warm for the next job. torch is imported in that thread only.
"""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import importlib.util
import logging
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lsf_backend.engine.base import AnimateJob, EngineInfo, MotionChunk
from lsf_backend.engine.warm import WarmStore
from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint_info import CheckpointInfo, read_info
from lsf_backend.model.config import N_BETAS
from lsf_backend.model.devices import choose_device, likely_devices, likely_reason
from lsf_backend.model.weight_folders import (
    EMOTION2VEC_FILES,
    HUBERT_FILES,
    WeightFolders,
    weight_folders,
    weights_file,
)
from lsf_backend.timing import MOTION_FPS

if TYPE_CHECKING:
    from lsf_backend.model.pipeline import Pipeline

log = logging.getLogger(__name__)

IDLE_UNLOAD_S = 300.0
_POLL_S = 0.05
_PACKAGES = ("torch", "transformers", "funasr", "safetensors")
_INSTALL = 'pip install "lsf-animation[gpu]"'
_END = object()


class Cancelled(Exception):
    """Raised between layers once nobody wants the result."""


def _forget_gpu_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@functools.cache
def warm_models() -> WarmStore:
    """The store that all engine objects of this process share."""
    idle_s = float(os.environ.get("LSF_IDLE_S", IDLE_UNLOAD_S))
    return WarmStore(idle_s, _forget_gpu_memory)


@functools.cache
def _worker() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lsf-engine")


class LSFEngine:
    """Animates with a checkpoint of the full model; folders as in ``weight_folders``."""

    def __init__(self, folders: WeightFolders | None = None) -> None:
        self.folders = folders or weight_folders()

    def info(self) -> EngineInfo:
        """Describe the engine from files alone, without torch."""
        devices = likely_devices()
        try:
            self._check_parts()
            checkpoint = read_info(self.folders.checkpoint)
        except LsfError as error:
            return EngineInfo("lsf", False, str(error), "", devices, "", "")
        reason = f"the {checkpoint.model.name} model {likely_reason()}"
        return EngineInfo(
            "lsf",
            True,
            reason,
            checkpoint.face_space,
            devices,
            checkpoint.digest,
            checkpoint.licence,
            checkpoint.flame_version or "",
        )

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        """Yield chunks in order; returns soon after ``job.cancelled()`` turns true."""
        stop = threading.Event()
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        notes: collections.deque[tuple[str, float]] = collections.deque(maxlen=1)
        future = _worker().submit(self._work, job, results.put, notes.append, stop)
        try:
            while True:
                if job.cancelled():
                    return
                while notes:
                    job.progress(*notes.popleft())
                try:
                    item = results.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if item is _END:
                    break
                yield MotionChunk(item.first_frame, item.motion)
            future.result()
        finally:
            # However the generator ends, the worker stops at its next layer.
            stop.set()

    def _work(
        self,
        job: AnimateJob,
        put: Callable[[Any], None],
        note: Callable[[tuple[str, float]], None],
        stop: threading.Event,
    ) -> None:
        """Run one job in the worker thread; results, then the end mark, go through ``put``."""

        def check() -> None:
            if stop.is_set():
                raise Cancelled

        try:
            check()
            note(("loading", 0.0))
            with warm_models().use(self._key(job.device), lambda: self._load(job.device)) as pipe:
                check()
                self._run(pipe, job, put, note, check)
        except Cancelled:
            log.info("cancelled")
        finally:
            put(_END)

    def _run(
        self,
        pipe: Pipeline,
        job: AnimateJob,
        put: Callable[[Any], None],
        note: Callable[[tuple[str, float]], None],
        check: Callable[[], None],
    ) -> None:
        from lsf_backend.model.pipeline import Request

        betas = np.zeros(N_BETAS, np.float32) if job.betas is None else job.betas
        request = Request(
            betas=betas,
            seed=job.seed,
            temperature=job.temperature,
            progress=lambda stage, fraction: note((stage, fraction)),
            warn=job.warn,
            check=check,
        )
        for piece in pipe.run(job.audio.read, job.audio.n_samples, request, _core_frames()):
            check()
            put(piece)

    def _load(self, device: str) -> Pipeline:
        from lsf_backend.model.checkpoint import load_checkpoint
        from lsf_backend.model.encoders import SpeechEncoders
        from lsf_backend.model.pipeline import Pipeline, is_out_of_memory

        choice = choose_device(device)
        log.info("%s", choice.reason)
        checkpoint = load_checkpoint(self.folders.checkpoint)
        try:
            encoders = SpeechEncoders.load(
                self.folders, choice.name, _precision(choice.name), checkpoint.hubert
            )
            return Pipeline(checkpoint.model, encoders)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise LsfError(
                "engine_unavailable",
                f"The device {choice.name!r} has too little memory to load the model.",
                "Close other programs that use it, or choose the device 'cpu'.",
            ) from error

    def _key(self, device: str) -> tuple[Any, ...]:
        """What a warm model must agree in: files as they are now, device, precision."""
        checkpoint = read_info(self.folders.checkpoint)
        return (self.folders, checkpoint.digest, device, os.environ.get("LSF_PRECISION"))

    def _check_parts(self) -> CheckpointInfo:
        """Raise for the first thing that is missing, saying what to put where."""
        missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
        if missing:
            raise LsfError(
                "engine_unavailable",
                f"The Python packages {', '.join(missing)} are missing.",
                f"Install them with: {_INSTALL}",
            )
        checkpoint = read_info(self.folders.checkpoint)
        if not checkpoint.has_hubert:
            weights_file(self.folders.hubert, HUBERT_FILES, "HuBERT")
        weights_file(self.folders.emotion2vec, EMOTION2VEC_FILES, "emotion2vec")
        return checkpoint


def _core_frames() -> int:
    """``LSF_WINDOW_S`` as motion frames: how much sound is worked on at once, besides context."""
    text = os.environ.get("LSF_WINDOW_S", "10")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 2.0 <= seconds <= 600.0:
        raise LsfError("request_invalid", f"LSF_WINDOW_S is {text!r}; it goes from 2 to 600.")
    return round(seconds * MOTION_FPS)


def _precision(device: str) -> Any:
    """``LSF_PRECISION`` (float32, int8, half), or half on CUDA and float32 elsewhere."""
    wanted = os.environ.get("LSF_PRECISION") or ("half" if device == "cuda" else "float32")
    allowed = {"cuda": ("float32", "half"), "mps": ("float32",), "cpu": ("float32", "int8")}
    if wanted not in allowed[device]:
        raise LsfError(
            "request_invalid",
            f"LSF_PRECISION is {wanted!r}; on {device} it is {' or '.join(allowed[device])}.",
        )
    return wanted
