# SPDX-License-Identifier: Apache-2.0
"""Modules to ONNX files: traced export, dynamic int8 weights of the matrix products, digests."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

OPSET = 17


def export(
    module: nn.Module,
    inputs: dict[str, torch.Tensor],
    outputs: list[str],
    path: Path,
    dynamic: dict[str, dict[int, str]],
    int8: bool = False,
) -> None:
    """Write ``module`` to ``path``; ``dynamic`` names the axes of free length."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            str(raw),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=OPSET,
            dynamo=False,
        )
        if int8:
            quantize_dynamic(
                str(raw),
                str(path),
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
        else:
            onnx.save(onnx.load(str(raw)), str(path))


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
