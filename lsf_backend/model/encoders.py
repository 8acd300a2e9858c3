# SPDX-License-Identifier: Apache-2.0
"""The two speech encoders side by side, on one device, window by window.

Windows see the whole clip's normalisation, so memory is that of one window however long the sound
is. Dynamic int8 (linear layers, CPU) and half precision (CUDA) are options; features stay float32.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lsf_backend.model.emotion2vec import Emotion2vecEncoder
from lsf_backend.model.hubert import HubertEncoder
from lsf_backend.model.state_files import Tensors
from lsf_backend.model.weight_folders import WeightFolders
from lsf_backend.model.windows import ClipStats, Window, measure_clip, window_audio, windows

Precision = Literal["float32", "int8", "half"]
Read = Callable[[int, int], np.ndarray]


class Features(NamedTuple):
    """50 Hz features of one window: ``motion`` [1, 2T, Dm] and ``emotion`` [1, 2T, De] float32."""

    motion: Tensor
    emotion: Tensor


class SpeechEncoders:
    """HuBERT and emotion2vec, ready to run."""

    def __init__(
        self,
        hubert: HubertEncoder,
        emotion2vec: Emotion2vecEncoder,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.hubert = hubert.fold_weight_norm()
        self.emotion2vec = emotion2vec
        for encoder in (hubert, emotion2vec):
            encoder.requires_grad_(False).eval().to(self.device)
            if precision == "half":
                encoder.network.half()
            elif precision == "int8":
                _quantise(encoder.network)

    @classmethod
    def load(
        cls,
        folders: WeightFolders,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        hubert_tensors: Tensors | None = None,
    ) -> SpeechEncoders:
        """Load both from local folders; ``hubert_tensors`` are a checkpoint's fine-tuned ones."""
        hubert = HubertEncoder.load(folders.hubert, hubert_tensors)
        return cls(hubert, Emotion2vecEncoder.load(folders.emotion2vec), device, precision)

    @torch.inference_mode()
    def motion_features(self, audio: np.ndarray, clip: ClipStats) -> Tensor:
        """Window samples [640 T + 80] of a clip -> HuBERT features [1, 2T, 768]."""
        return self.hubert(self._tensor(audio), clip)

    @torch.inference_mode()
    def emotion_features(self, audio: np.ndarray, clip: ClipStats) -> Tensor:
        """Window samples [640 T + 80] of a clip -> emotion2vec features [1, 2T, 768]."""
        return self.emotion2vec(self._tensor(audio), clip)

    def clip_features(self, read: Read, n_samples: int) -> Iterator[tuple[Window, Features]]:
        """Features of a whole clip, window by window; ``read(start, count)`` gives its samples."""
        clip = measure_clip(read, n_samples)
        for window in windows(n_samples // 640):
            audio = window_audio(read, window)
            yield (
                window,
                Features(self.motion_features(audio, clip), self.emotion_features(audio, clip)),
            )

    @contextlib.contextmanager
    def stopping(self, check: Callable[[], None]) -> Iterator[None]:
        """Call ``check`` before every layer; what it raises stops the pass in between."""
        handles = [
            step.register_forward_pre_hook(lambda *_: check())
            for step in (*self.hubert.steps(), *self.emotion2vec.steps())
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _tensor(self, audio: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(audio, np.float32))[None].to(self.device)


def _quantise(network: nn.Module) -> None:
    """Turn the linear layers into dynamic int8 in place (CPU)."""
    with warnings.catch_warnings():
        # torch announces a successor that is a separate package; this form works from 2.4 to 2.13.
        warnings.simplefilter("ignore")
        torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, torch.qint8, inplace=True)
