# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint folder says about itself, read without torch: ``config.json``.

A checkpoint is a folder with ``model.safetensors`` and this file: sizes, face space, FLAME version,
training data, licence and the digest of the weights. A wrong face space or FLAME version is refused
with a sentence, because the 53 numbers would mean something else.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lsf_backend.errors import LsfError
from lsf_backend.model.config import ModelConfig

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
FORMAT = 1
FLAME_VERSIONS = ("2020", "2023")


@dataclasses.dataclass(frozen=True)
class CheckpointInfo:
    """Facts beside the weights. ``flame_version`` is None in face space ``head``.

    ``digest`` is the SHA-256 of the weights file; ``has_hubert`` tells that fine-tuned HuBERT
    weights lie in it; ``tau_calibrated`` that the sampling unit was fitted, not left at its start.
    """

    model: ModelConfig
    flame_version: str | None
    training_data: str
    licence: str
    digest: str = ""
    has_hubert: bool = False
    tau_calibrated: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        """FLAME motion must name its version, head motion must not."""
        flame = self.model.face_space == "flame"
        if flame and self.flame_version not in FLAME_VERSIONS:
            raise LsfError(
                "model_invalid",
                f"A model in FLAME's face space must name its FLAME version "
                f"({' or '.join(FLAME_VERSIONS)}), not {self.flame_version!r}.",
            )
        if not flame and self.flame_version is not None:
            raise LsfError("model_invalid", "A model in face space head has no FLAME version.")

    @property
    def face_space(self) -> str:
        """What the 53 numbers mean: ``head`` or ``flame``."""
        return self.model.face_space

    def to_dict(self) -> dict[str, Any]:
        """Dictionary for ``config.json``."""
        values = dataclasses.asdict(self)
        return {"format": FORMAT, "face_space": self.face_space, **values}


def write_info(folder: Path, info: CheckpointInfo) -> None:
    """Write ``config.json``."""
    text = json.dumps(info.to_dict(), indent=2) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def read_info(folder: Path) -> CheckpointInfo:
    """Read ``config.json``; a sentence says what is missing or does not fit."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise LsfError(
            "model_missing",
            f"{folder} is no checkpoint: it has no {CONFIG_FILE}.",
            "Convert weights with: python -m lsf_backend.model convert",
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        face_space = values.pop("face_space")
        info = CheckpointInfo(**{**values, "model": ModelConfig.from_dict(values["model"])})
        if face_space != info.face_space:
            raise ValueError(f"it names two face spaces, {face_space} and {info.face_space}")
    except LsfError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LsfError("model_invalid", f"{path} cannot be used: {error}.") from error
    return info


def require(
    info: CheckpointInfo, face_space: str | None = None, flame_version: str | None = None
) -> None:
    """Refuse a checkpoint whose motion is not in the wanted face space or FLAME version."""
    if face_space is not None and info.face_space != face_space:
        raise LsfError(
            "model_invalid",
            f"This model moves faces of face space {info.face_space!r}, not {face_space!r}.",
            "Choose a model and a head of the same face space.",
        )
    if flame_version is not None and info.flame_version not in (None, flame_version):
        raise LsfError(
            "model_invalid",
            f"This model was trained for FLAME {info.flame_version}; its expression codes mean "
            f"something else in FLAME {flame_version}.",
            f"Load the FLAME {info.flame_version} file.",
        )
