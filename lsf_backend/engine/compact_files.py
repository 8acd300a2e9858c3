# SPDX-License-Identifier: Apache-2.0
"""The files of the bundled model: where they are, what they must be, and the checks before use."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.model.weight_folders import models_folder
from lsf_backend.protocol import ASSETS

FOLDER = ASSETS / "compact"
FORMAT = 1
_HINT = "Install the add-on again, or export the model with: python -m training.export compact"


def compact_folder() -> Path:
    """The model in use: ``LSF_COMPACT``, or ``compact`` among the user's models, or the bundled."""
    if named := os.environ.get("LSF_COMPACT"):
        return Path(named)
    own = models_folder() / "compact"
    return own if (own / "config.json").is_file() else FOLDER


@dataclasses.dataclass(frozen=True)
class CompactFiles:
    """``config.json`` of the model: digests and sizes of its files, and what the engine needs."""

    folder: Path
    digests: dict[str, str]
    digest: str
    license: str
    face_space: str
    d_latent: int
    d_motion_features: int
    d_emotion_features: int
    prosody: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path = FOLDER) -> CompactFiles:
        """Read ``config.json``; nothing else is opened. Raises model_missing or model_invalid."""
        path = folder / "config.json"
        if not path.is_file():
            raise LsfError(
                "model_missing", "The bundled model is missing.", _HINT, user_fault=False
            )
        try:
            text = path.read_bytes()
            values: dict[str, Any] = json.loads(text)
            if values["format"] != FORMAT:
                raise ValueError(f"format {values['format']}, this version reads {FORMAT}")
            files = cls(
                folder,
                {str(name): str(entry["sha256"]) for name, entry in values["files"].items()},
                hashlib.sha256(text).hexdigest(),
                str(values["license"]),
                str(values["model"]["face_space"]),
                int(values["model"]["vq"]["block"]["d"]),
                int(values["model"]["sie"]["d_motion_features"]),
                int(values["model"]["sie"]["d_emotion_features"]),
                tuple(str(name) for name in values["prosody"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _invalid(f"config.json cannot be used ({error})") from error
        return files

    def checked(self, name: str) -> bytes:
        """Bytes of one file, after its digest was found right."""
        path = self.folder / name
        if name not in self.digests:
            raise _invalid(f"config.json does not list {name}")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LsfError(
                "model_missing",
                f"The bundled model's file {name} is missing.",
                _HINT,
                user_fault=False,
            ) from error
        if hashlib.sha256(data).hexdigest() != self.digests[name]:
            raise _invalid(f"{name} was changed or is damaged")
        return data


@dataclasses.dataclass(frozen=True)
class Codebook:
    """codebooks [R, K, C] float32 and the sampling unit tau [R] of each level."""

    books: np.ndarray
    tau: np.ndarray


def _invalid(what: str) -> LsfError:
    message = f"The bundled model cannot be used: {what}."
    return LsfError("model_invalid", message, _HINT, user_fault=False)
