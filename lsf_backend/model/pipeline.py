# SPDX-License-Identifier: Apache-2.0
"""From sound to motion with the full model, window by window: what the ``lsf`` engine runs.

Memory is that of one window. When it does not suffice, windows are made smaller from the frame that
was reached, and a sentence says so. Random numbers belong to absolute frames, so a seed gives the
same draws wherever the windows are cut.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lsf_backend.errors import LsfError
from lsf_backend.model.encoders import Features, Precision, Read, SpeechEncoders
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.windows import (
    CONTEXT_FRAMES,
    CORE_FRAMES,
    ClipStats,
    Seam,
    Window,
    measure_clip,
    window_audio,
    windows,
)
from lsf_backend.sampling import frame_uniforms
from lsf_backend.timing import frames_from_samples

log = logging.getLogger(__name__)

SMALLEST_CORE_FRAMES = 50
_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate", "cannot allocate")


class Request(NamedTuple):
    """What is asked of the model. ``betas`` [300] float32; ``temperature`` 0 is deterministic.

    ``progress(stage, fraction)`` hears of the whole job; ``warn`` takes sentences; ``check`` is
    called before every layer and stops the job by raising.
    """

    betas: np.ndarray
    seed: int = 0
    temperature: float = 0.0
    progress: Callable[[str, float], None] = lambda stage, fraction: None
    warn: Callable[[str], None] = lambda sentence: None
    check: Callable[[], None] = lambda: None


class Piece(NamedTuple):
    """Final frames: ``motion`` [n, 53] float32 at 25 fps from ``first_frame`` on."""

    first_frame: int
    motion: np.ndarray


class Pipeline:
    """A loaded model with its speech encoders on one device."""

    def __init__(self, model: LSFModel, encoders: SpeechEncoders) -> None:
        self.device = encoders.device
        self.model = model.requires_grad_(False).eval().to(self.device)
        self.encoders = encoders

    @property
    def precision(self) -> Precision:
        """Precision of the speech encoders; the model itself is float32."""
        return self.encoders.precision

    def run(
        self,
        read: Read,
        n_samples: int,
        request: Request,
        core: int = CORE_FRAMES,
        seeds: list[int] | None = None,
    ) -> Iterator[Piece]:
        """Motion of a clip in order; ``read(start, count)`` gives its samples at 16 kHz.

        With ``seeds`` a piece holds one draw for each, side by side: [n, S * 53].
        """
        n_frames = frames_from_samples(n_samples)
        request.progress("listening", 0.0)

        def checked(start: int, count: int) -> np.ndarray:
            request.check()
            return read(start, count)

        clip = measure_clip(checked, n_samples)
        seam = Seam(n_frames)
        with self._stopping(request.check):
            while seam.next_frame < n_frames:
                failure = ""
                try:
                    grid = windows(n_frames, seam.next_frame, core, CONTEXT_FRAMES)
                    yield from self._windows(read, clip, request, seam, grid, seeds)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    failure = repr(error)
                # Outside the handler: what the failed layers hold is free by now.
                if failure:
                    core = self._smaller(core, failure, request)

    def features(self, audio: np.ndarray, clip: ClipStats) -> Features:
        """Features of one window's samples [640 T + 80]."""
        motion = self.encoders.motion_features(audio, clip)
        return Features(motion, self.encoders.emotion_features(audio, clip))

    @torch.inference_mode()
    def motion(self, features: Features, window: Window, request: Request) -> np.ndarray:
        """Features of a window -> motion [T, 53] float32."""
        betas = torch.from_numpy(np.asarray(request.betas, np.float32))[None].to(self.device)
        uniform = self.uniforms(window, request.seed) if request.temperature > 0 else None
        out = self.model(
            features.motion,
            features.emotion,
            betas,
            temperature=request.temperature,
            uniform=uniform,
        )
        return np.asarray(out.motion[0].float().cpu().numpy())

    def sample_clip(
        self, read: Read, n_samples: int, request: Request, seeds: list[int]
    ) -> np.ndarray:
        """Several draws of a whole clip that share the encoders' work: -> [S, T, 53] float32."""
        pieces = self.run(read, n_samples, request, seeds=seeds)
        motion = np.concatenate([piece.motion for piece in pieces])
        return motion.reshape(len(motion), len(seeds), -1).transpose(1, 0, 2)

    @torch.inference_mode()
    def samples(
        self, features: Features, window: Window, request: Request, seeds: list[int]
    ) -> np.ndarray:
        """Several draws that share the encoders' work: -> [S, T, 53]."""
        betas = torch.from_numpy(np.asarray(request.betas, np.float32))[None].to(self.device)
        latent = self.model.sie(features.motion, features.emotion, betas)
        uniform = torch.stack([self.uniforms(window, seed) for seed in seeds])
        return np.asarray(
            self.model.sample(latent, uniform, request.temperature)[:, 0].float().cpu().numpy()
        )

    def uniforms(self, window: Window, seed: int) -> Tensor:
        """The random numbers of a window's absolute frames: [1, T, draws]."""
        draws = self.model.config.vq.n_draws
        values = frame_uniforms(seed, window.start, window.n_frames, draws)
        return torch.from_numpy(values)[None].to(self.device)

    def _windows(
        self,
        read: Read,
        clip: ClipStats,
        request: Request,
        seam: Seam,
        grid: Iterator[Window],
        seeds: list[int] | None,
    ) -> Iterator[Piece]:
        n_frames = seam.n_frames
        for window in grid:
            share = (window.keep_stop - window.keep_start) / n_frames
            begin = window.keep_start / n_frames
            request.progress("speech", begin)
            audio = window_audio(read, window)
            spoken = self.encoders.motion_features(audio, clip)
            request.progress("emotion", begin + 0.45 * share)
            felt = self.encoders.emotion_features(audio, clip)
            request.progress("motion", begin + 0.9 * share)
            features = Features(spoken, felt)
            if seeds is None:
                motion = self.motion(features, window, request)
            else:
                many = self.samples(features, window, request, seeds)
                motion = many.transpose(1, 0, 2).reshape(window.n_frames, -1)
            piece = Piece(*seam.join(window, motion))
            request.progress("motion", window.keep_stop / n_frames)
            yield piece

    @contextlib.contextmanager
    def _stopping(self, check: Callable[[], None]) -> Iterator[None]:
        parts = [*self.model.sie.hifb.layers, *self.model.vqvae.decoder.blocks]
        handles = [part.register_forward_pre_hook(lambda *_: check()) for part in parts]
        try:
            with self.encoders.stopping(check):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _smaller(self, core: int, failure: str, request: Request) -> int:
        log.warning("window of %d frames: %s", core, failure)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        core //= 2
        if core < SMALLEST_CORE_FRAMES:
            raise LsfError(
                "engine_unavailable",
                f"The device {self.device.type!r} has too little memory for this model, "
                "even in windows of 2 s.",
                "Close other programs that use it, or choose the device 'cpu'.",
            )
        request.warn(
            f"The device {self.device.type!r} ran out of memory, so the sound is worked on in "
            f"windows of {core / 25:g} s; the result may differ slightly where they meet."
        )
        return core


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    # torch before 2.5 knows the error under its CUDA name only.
    of_torch = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    if isinstance(error, (MemoryError, of_torch)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_WORDS)
