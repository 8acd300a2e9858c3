# SPDX-License-Identifier: Apache-2.0
"""Run folders: what a trained stage says about itself, its weights, and how a system is rebuilt.

``stage1`` and ``stage2`` each hold ``run.json``, Lightning's ``last.ckpt`` and ``best.ckpt``,
``log.csv``, ``curve.png``, ``weights.safetensors`` and, written last, ``finished.json``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.model.config import ModelConfig
from lsf_backend.model.hubert import HubertEncoder
from lsf_backend.model.state_files import Tensors, load_exactly, read_tensors, without_prefix
from training.baselines.base import Baseline, LabelConfig, vertex_gram
from training.baselines.codes import SpeechToCodes
from training.baselines.encoders import SpeechToCodesConfig
from training.baselines.registry import Setting, build, fusion_of, weights_of
from training.data.clips import EMOTIONS, N_INTENSITIES, Face
from training.data.sources import Clips, training_people
from training.metrics import linear_basis, vertices_of
from training.settings import RunConfig, refuse
from training.speech import TrainedHubert

RUN, LAST, BEST, LOG = "run.json", "last.ckpt", "best.ckpt", "log.csv"
WEIGHTS, FINISHED, MODEL = "weights.safetensors", "finished.json", "model"
SYSTEM_PREFIX, HUBERT_PREFIX = "system.", "hubert."


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What is fixed once a run has begun. ``seen``: people of the stage's train and validation."""

    config: RunConfig
    stage: str
    face: Face
    widths: tuple[int, int]
    people: tuple[str, ...]
    seen: tuple[str, ...]
    split: str
    model: ModelConfig | None = None

    @classmethod
    def of(cls, config: RunConfig, stage: str, clips: Clips) -> RunFacts:
        """Facts of a stage that is about to be trained on ``clips``."""
        number = int(stage[-1])
        parts = clips.split.parts[number]
        used = (*parts["train"], *parts["validation"])
        seen = tuple(sorted({clips.clips[i].subject for i in used}))
        people = training_people(clips)
        split, model = clips.split.title, config.model
        return cls(config, stage, clips.face, clips.widths, people, seen, split, model)

    def save(self, folder: Path) -> None:
        """Write ``run.json``."""
        values = dataclasses.asdict(self) | {"config": self.config.to_dict(), "face": self.face}
        write_json(folder / RUN, values)

    @classmethod
    def load(cls, folder: Path) -> RunFacts:
        """Read ``run.json`` of a stage's folder."""
        path = folder / RUN
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            lists = {key: tuple(values.pop(key)) for key in ("widths", "people", "seen")}
            config = RunConfig.from_dict(values.pop("config"))
            if values["model"] is not None:
                values["model"] = ModelConfig.from_dict(values["model"])
            return cls(config=config, face=Face(*values.pop("face")), **lists, **values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise refuse(f"{folder} is not the folder of a trained stage ({error}).") from error

    def system(self) -> Baseline:
        """The system with fresh weights, and what the stage adds to its losses."""
        system = self._fresh()
        try:
            system.use(self.config.stage(self.stage).extras)
        except ValueError as error:
            raise refuse(f"{error}.") from error
        return system

    def _fresh(self) -> Baseline:
        labels = LabelConfig(len(self.people), len(EMOTIONS), N_INTENSITIES)
        name = self.config.system
        if self.model is not None:
            self._check(self.model)
            fusion = fusion_of(name)
            return SpeechToCodes(SpeechToCodesConfig(self.model, fusion=fusion, labels=labels))
        space = "head" if self.face.space == "head" else "flame"
        setting = Setting(self.config.size, *self.widths, labels, space)  # type: ignore[arg-type]
        return build(name, setting, self._gram() if name == "emote" else None)

    def _check(self, model: ModelConfig) -> None:
        widths = (model.sie.d_motion_features, model.sie.d_emotion_features)
        if model.face_space != self.face.space:
            raise refuse(
                f"The model {model.name!r} makes motion of the face space {model.face_space}, "
                f"the data is of {self.face}."
            )
        if self.stage == "stage2" and widths != tuple(self.widths):
            raise refuse(
                f"The model {model.name!r} reads features of widths {widths}, "
                f"the data has {tuple(self.widths)}."
            )

    def _gram(self) -> torch.Tensor | None:
        """Vertex loss of the face, where its file is known."""
        path = self.config.data.face_model
        if self.face.space == "flame" and path is None:
            return None
        face = FaceModel.load() if path is None else FaceModel.load(path)
        return vertex_gram(torch.from_numpy(linear_basis(vertices_of(face))))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write whole or not at all."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def save_weights(folder: Path, system: nn.Module, speech: TrainedHubert | None) -> None:
    """Write ``weights.safetensors``: the whole system, and HuBERT where it was trained."""
    tensors = {SYSTEM_PREFIX + key: value for key, value in system.state_dict().items()}
    if speech is not None:
        network = speech.hubert.network
        tensors |= {HUBERT_PREFIX + key: value for key, value in network.state_dict().items()}
    part = folder / (WEIGHTS + ".part")
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, part)
    os.replace(part, folder / WEIGHTS)


def stage_weights(folder: Path) -> tuple[Tensors, Tensors]:
    """Tensors of a finished stage: the system's, and those of a HuBERT trained with it."""
    if not (folder / FINISHED).is_file():
        raise refuse(f"{folder} is not a finished stage: it has no {FINISHED}.")
    tensors = read_tensors(folder / WEIGHTS)
    return without_prefix(tensors, SYSTEM_PREFIX), without_prefix(tensors, HUBERT_PREFIX)


@dataclasses.dataclass(frozen=True)
class TrainedSystem:
    """A system in eval mode, the facts of its last stage, and its own HuBERT, if trained."""

    facts: RunFacts
    system: Baseline
    speech: TrainedHubert | None

    @property
    def conditioning(self) -> str:
        """What the system was told besides the speech, also for unseen people."""
        return self.system.conditioning


def open_run(run: Path, system: str | None = None) -> TrainedSystem:
    """Load the trained system of a run; ``system`` is another that shares its weights."""
    folder = run / "stage2"
    facts = RunFacts.load(folder)
    if system is not None and system != facts.config.system:
        if weights_of(system) != weights_of(facts.config.system):
            raise refuse(f"{run} holds {facts.config.system}, whose weights {system} cannot use.")
        config = dataclasses.replace(facts.config, system=system)
        facts = dataclasses.replace(facts, config=config)
    built = facts.system()
    own, hubert = stage_weights(folder)
    load_exactly(built, own, str(run))
    speech = None
    if hubert:
        speech = TrainedHubert(HubertEncoder.load(folder, hubert))
    elif facts.config.data.hubert is not None:
        raise LsfError("model_invalid", f"{folder / WEIGHTS} holds no HuBERT, but was trained one.")
    return TrainedSystem(facts, built.requires_grad_(False).eval(), speech)
