# SPDX-License-Identifier: Apache-2.0
"""A run as one JSON file: system, data, both stages, trainer. Defaults are the paper's.

Every table is a frozen dataclass; a key that none of them has is refused by name. The whole of it
is written beside every checkpoint. README.md of this folder lists the keys.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint_info import read_info
from lsf_backend.model.config import PRESETS, ModelConfig
from training.baselines.objective import Extras
from training.baselines.registry import TABLE1, TABLE2, Size, fusion_of
from training.data.cache import D_EMOTION, D_MOTION

# The bundled model's weights as torch reads them, with the encoder of the VQ-VAE.
BUNDLED = Path(__file__).resolve().parent / "assets" / "compact"
STAGE_NAMES = ("stage1", "stage2")
# Phase of a system that each stage trains.
PHASES = {"stage1": "prior", "stage2": "speech"}
_SCHEDULES = ("constant", "cosine")
Table = TypeVar("Table")


def refuse(message: str, hint: str = "") -> LsfError:
    """Error for a configuration, a run or data that cannot be used as asked."""
    return LsfError("request_invalid", message, hint)


def _at_least(name: str, value: float, least: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < least:
        raise refuse(f"{name} is at least {least}, not {value!r}.")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """``store`` (of ``training.data prepare``) or ``cache`` (of ``training.data.cache``).

    For a store: ``features`` holds both streams of the compact front-end; or ``motion_features``
    (HuBERT as it is), or ``hubert`` (a folder of weights; layers 2 to 11 are trained in stage 2),
    and ``emotion_features``. ``face_model`` is a FLAME file, for vertex losses in that space.
    """

    store: Path | None = None
    cache: Path | None = None
    split: str = "subject"
    features: Path | None = None
    motion_features: Path | None = None
    emotion_features: Path | None = None
    hubert: Path | None = None
    face_model: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if (self.store is None) == (self.cache is None):
            raise refuse('"data" names either a "store" or a "cache".')
        if self.cache is not None and self.split != "subject":
            raise refuse(f'A "cache" is split by "subject", not by "{self.split}".')
        given = [self.features, self.motion_features, self.hubert]
        if self.cache is not None and any(given):
            raise refuse('A "cache" has its features; "data" names others beside it.')
        if self.store is not None and sum(path is not None for path in given) > 1:
            raise refuse('"data" names one of "features", "motion_features" and "hubert".')


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """How one stage is trained. 0 switches off: ``patience``, ``crop_frames``, ``clip_gradient``.

    An epoch is one pass over all clips, or ``epoch_batches`` batches. With ``crop_frames`` clips
    are cut at random and drawn by their length. ``schedule`` "cosine" falls to 2 % at the end.
    """

    epochs: int = 100
    batch_size: int = 8
    crop_frames: int = 0
    epoch_batches: int = 0
    validation_batches: int = 0
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    weight_decay: float = 0.01
    warmup_steps: int = 0
    schedule: Literal["constant", "cosine"] = "constant"
    clip_gradient: float = 0.0
    patience: int = 5
    accumulate: int = 1
    seed: int = 1
    extras: Extras = Extras()

    def __post_init__(self) -> None:
        """Refuse numbers outside their range."""
        for name in ("epochs", "batch_size", "accumulate"):
            _at_least(name, getattr(self, name), 1)
        for name in ("crop_frames", "epoch_batches", "validation_batches", "warmup_steps"):
            _at_least(name, getattr(self, name), 0)
        for name in ("patience", "seed", "clip_gradient", "weight_decay"):
            _at_least(name, getattr(self, name), 0)
        if not 0 < self.learning_rate <= 1:
            raise refuse(f"learning_rate is above 0 and at most 1, not {self.learning_rate}.")
        for name, allowed in (("optimizer", ("adamw", "adam")), ("schedule", _SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise refuse(f"{name} is {' or '.join(allowed)}, not {getattr(self, name)!r}.")


# What differs in the paper's stage 2.
STAGE2_DEFAULTS: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 1e-5,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "weight_decay": 0.0,
}


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """What Lightning's Trainer gets; ``threads`` 0 leaves torch's choice, ``workers`` load data."""

    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"
    threads: int = 0
    workers: int = 0
    tensorboard: bool = False


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One run: a ``system`` of the comparison at a ``size``, or "lsf" at a ``preset``.

    ``out`` gets ``stage1`` and ``stage2``; ``first_stage`` is another run whose stage 1 is taken.
    ``start_from`` (instead of size or preset) is a checkpoint folder of LSF-Animation, or
    "bundled", whose sizes and weights both stages start from.
    """

    out: Path
    data: DataConfig
    system: str = "lsf"
    size: Size = "paper"
    preset: str | None = None
    changes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    first_stage: Path | None = None
    start_from: str | None = None
    stage1: StageConfig = StageConfig()
    stage2: StageConfig = StageConfig(**STAGE2_DEFAULTS)
    trainer: TrainerConfig = TrainerConfig()
    about: str = ""

    def __post_init__(self) -> None:
        """Refuse names that do not exist."""
        systems = tuple(dict.fromkeys((*TABLE1, *TABLE2)))
        for name, value, allowed in (
            ("system", self.system, systems),
            ("size", self.size, ("paper", "small", "tiny")),
            ("preset", self.preset or "compact", tuple(PRESETS)),
        ):
            if value not in allowed:
                raise refuse(f'"{name}" is {value!r}; it is one of {", ".join(allowed)}.')
        if self.preset is not None and fusion_of(self.system) == "none":
            raise refuse(f'A "preset" is of a system with a fusion, not of "{self.system}".')
        if self.start_from is not None and (self.preset or self.system not in ("lsf", "hifb")):
            raise refuse('"start_from" is of the system "lsf" and brings its own sizes.')
        if self.changes and self.preset is None:
            raise refuse('"changes" go with a "preset".')
        if unknown := set(self.changes) - {"vq", "sie"}:
            raise refuse(f'"changes" are of "vq" and "sie", not of {", ".join(sorted(unknown))}.')

    def stage(self, name: str) -> StageConfig:
        """Settings of ``stage1`` or ``stage2``."""
        return self.stage1 if name == "stage1" else self.stage2

    @property
    def start_folder(self) -> Path | None:
        """The checkpoint to start from."""
        if self.start_from is None:
            return None
        return BUNDLED if self.start_from == "bundled" else Path(self.start_from).expanduser()

    @property
    def model(self) -> ModelConfig | None:
        """The network of a ``preset``, or of the checkpoint to start from."""
        if (folder := self.start_folder) is not None:
            return read_info(folder).model
        return None if self.preset is None else model_config(self.preset, self.changes)

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Read a file such as those in ``training/configs``; paths may use ``~``."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls.from_dict(values)
        except OSError as error:
            raise refuse(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, TypeError) as error:
            raise refuse(f"{path.name} is not a configuration: {error}.") from error
        except LsfError as error:
            raise refuse(f"{path.name}: {error.message}", error.hint) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build from what a JSON file holds."""
        values = dict(values)
        for name, table, defaults in (
            ("data", DataConfig, {}),
            ("stage1", StageConfig, {}),
            ("stage2", StageConfig, STAGE2_DEFAULTS),
            ("trainer", TrainerConfig, {}),
        ):
            values[name] = _table(table, name, {**defaults, **_dict(name, values.get(name, {}))})
        return _table(cls, "the configuration", values)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary for JSON; :meth:`from_dict` reads it back."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        return plain


def model_config(preset: str, changes: Mapping[str, Mapping[str, Any]]) -> ModelConfig:
    """A preset with changed fields; ``compact`` gets the prosody width of the engine."""
    config = PRESETS[preset]()
    sie, vq = dict(changes.get("sie", {})), changes.get("vq", {})
    if preset == "compact":
        sie = {"d_motion_features": D_MOTION, "d_emotion_features": D_EMOTION} | sie
    return dataclasses.replace(
        config,
        sie=dataclasses.replace(config.sie, **sie),
        vq=dataclasses.replace(config.vq, **vq),
    )


def _table(cls: type[Table], name: str, values: dict[str, Any]) -> Table:
    """Dataclass from JSON values: paths expanded, lists made tuples, unknown keys refused."""
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(fields)):
        raise refuse(f"{name} has no {', '.join(unknown)}; it knows {', '.join(sorted(fields))}.")
    made: dict[str, Any] = {}
    for key, value in values.items():
        kind = str(fields[key].type)
        if kind.startswith("Path") and value is not None:
            value = Path(value).expanduser()
        elif kind.startswith("tuple"):
            value = tuple(value)
        elif kind == "Extras" and not isinstance(value, Extras):
            value = _table(Extras, "extras", _dict("extras", value))
        made[key] = value
    try:
        return cls(**made)
    except TypeError as error:
        raise refuse(f"{name}: {error}.") from error


def _dict(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise refuse(f'"{name}" is a table of keys, not {value!r}.')
    return dict(value)
