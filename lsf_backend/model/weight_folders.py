# SPDX-License-Identifier: Apache-2.0
"""Where the weights that users bring lie on this machine. Imports no torch.

One models folder holds ``hubert-base-ls960/``, ``emotion2vec_base/`` and ``lsf/`` (a checkpoint).
It is ``LSF_MODELS`` or a folder of the user's data directory; ``LSF_HUBERT``, ``LSF_EMOTION2VEC``
and ``LSF_CHECKPOINT`` name single ones elsewhere.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from lsf_backend.errors import LsfError

HUBERT_FOLDER = "hubert-base-ls960"
EMOTION2VEC_FOLDER = "emotion2vec_base"
CHECKPOINT_FOLDER = "lsf"
HUBERT_FILES = ("model.safetensors", "pytorch_model.bin")
EMOTION2VEC_FILES = ("model.safetensors", "model.pt", "emotion2vec_base.pt")


@dataclasses.dataclass(frozen=True)
class WeightFolders:
    """The three folders that the full model needs."""

    hubert: Path
    emotion2vec: Path
    checkpoint: Path


def models_folder() -> Path:
    """The folder for weights that users bring or fetch."""
    if named := os.environ.get("LSF_MODELS"):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "lsf-animation" / "models"


def weight_folders() -> WeightFolders:
    """The folders as environment and defaults name them; they need not exist."""
    root = models_folder()
    named = {
        "hubert": os.environ.get("LSF_HUBERT") or root / HUBERT_FOLDER,
        "emotion2vec": os.environ.get("LSF_EMOTION2VEC") or root / EMOTION2VEC_FOLDER,
        "checkpoint": os.environ.get("LSF_CHECKPOINT") or root / CHECKPOINT_FOLDER,
    }
    return WeightFolders(**{name: Path(path) for name, path in named.items()})


def weights_file(folder: Path, names: tuple[str, ...], what: str) -> Path:
    """The first of ``names`` in a folder, or the folder itself if it is a file."""
    if folder.is_file():
        return folder
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise LsfError(
        "model_missing",
        f"The weights of {what} are not in {folder}.",
        f"Put one of {', '.join(names)} there, or run: lsf fetch-models",
    )
