# SPDX-License-Identifier: Apache-2.0
"""Configuration files of the two stages: JSON with a model preset, its changes, and the loop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from lsf_backend.engine.features import PROSODY_NAMES
from lsf_backend.model.config import PRESETS, ModelConfig
from training.loop import LoopConfig


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """``cache`` to train on, ``out`` to write to, ``first_stage`` (stage 2: stage 1's folder).

    Stage 2 also: ``start_from`` (an earlier run), ``feature_noise`` (share of each feature's
    spread) and ``shut_weight`` (how much more the lip gap counts where the lips are shut).
    """

    cache: Path
    out: Path
    model: ModelConfig
    loop: LoopConfig
    first_stage: Path | None = None
    start_from: Path | None = None
    feature_noise: float = 0.0
    shut_weight: float = 3.0

    @classmethod
    def load(cls, path: Path) -> StageConfig:
        """Read a file such as those in ``training/configs``; paths may use ``~``."""
        values: dict[str, Any] = json.loads(path.read_text())

        def folder(name: str) -> Path | None:
            return Path(values[name]).expanduser() if name in values else None

        return cls(
            cache=Path(values["cache"]).expanduser(),
            out=Path(values["out"]).expanduser(),
            model=model_config(values.get("preset", "compact"), values.get("vq", {})),
            loop=LoopConfig(**values["loop"]),
            first_stage=folder("first_stage"),
            start_from=folder("start_from"),
            feature_noise=float(values.get("feature_noise", 0.0)),
            shut_weight=float(values.get("shut_weight", 3.0)),
        )


def model_config(preset: str, vq_changes: dict[str, Any]) -> ModelConfig:
    """A preset with changed quantiser fields; ``compact`` gets the prosody width of the engine."""
    config = PRESETS[preset]()
    if preset == "compact":
        config = dataclasses.replace(
            config,
            sie=dataclasses.replace(config.sie, d_emotion_features=384 + len(PROSODY_NAMES)),
        )
    return dataclasses.replace(config, vq=dataclasses.replace(config.vq, **vq_changes))
