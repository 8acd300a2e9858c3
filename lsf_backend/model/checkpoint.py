# SPDX-License-Identifier: Apache-2.0
"""Save and load checkpoint folders: safetensors beside a ``config.json`` with its digest."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint_info import (
    WEIGHTS_FILE,
    CheckpointInfo,
    read_info,
    require,
    write_info,
)
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.state_files import (
    Tensors,
    load_exactly,
    read_tensors,
    sha256_of,
    without_prefix,
)

HUBERT_PREFIX = "hubert."
MODEL_PREFIX = "model."


class Checkpoint(NamedTuple):
    """A loaded checkpoint; ``hubert`` holds fine-tuned speech encoder weights, if any."""

    model: LSFModel
    info: CheckpointInfo
    hubert: Tensors


def save_checkpoint(
    folder: Path,
    model: LSFModel,
    info: CheckpointInfo,
    hubert: Mapping[str, Tensor] | None = None,
) -> CheckpointInfo:
    """Write ``folder`` (made if missing); the digest in the returned info is that of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {MODEL_PREFIX + key: value for key, value in model.state_dict().items()}
    tensors |= {HUBERT_PREFIX + key: value for key, value in (hubert or {}).items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    path, part = folder / WEIGHTS_FILE, folder / (WEIGHTS_FILE + ".part")
    save_file(tensors, part)
    os.replace(part, path)
    info = dataclasses.replace(
        info, model=model.config, digest=sha256_of(path), has_hubert=bool(hubert)
    )
    write_info(folder, info)
    return info


def load_checkpoint(
    folder: Path, face_space: str | None = None, flame_version: str | None = None
) -> Checkpoint:
    """Load a folder in eval mode; refuse another face space, FLAME version or digest."""
    info = read_info(folder)
    require(info, face_space, flame_version)
    path = folder / WEIGHTS_FILE
    tensors = read_tensors(path)
    if sha256_of(path) != info.digest:
        raise LsfError(
            "model_invalid",
            f"{path} is not the file that its config.json describes (the digests differ).",
            "Copy or convert the checkpoint again.",
        )
    model = LSFModel(info.model)
    load_exactly(model, without_prefix(tensors, MODEL_PREFIX), f"the checkpoint {folder.name}")
    return Checkpoint(model.eval(), info, without_prefix(tensors, HUBERT_PREFIX))
