# SPDX-License-Identifier: Apache-2.0
"""Converters: Lightning checkpoints of this repository and of the released code -> our folders.

Only tensors are read (see :mod:`lsf_backend.model.foreign`); settings in the file are never run.
Sizes that the released file fixes (people in its identity, layers) are read off its tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from lsf_backend.errors import LsfError
from lsf_backend.model import config as presets
from lsf_backend.model import released_keys
from lsf_backend.model.checkpoint import save_checkpoint
from lsf_backend.model.checkpoint_info import CheckpointInfo
from lsf_backend.model.config import ModelConfig
from lsf_backend.model.foreign import extract_tensors
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.state_files import Tensors, load_exactly, read_tensors, without_prefix


def released_config(tensors: Mapping[str, Tensor]) -> ModelConfig:
    """The ``released`` preset with the number of training people that the file was made with."""
    last = tensors.get("identity_extractor.4.weight")
    if last is None:
        raise LsfError(
            "model_invalid",
            "This is no stage-2 checkpoint of the released code: "
            "identity_extractor.4.weight is missing.",
        )
    return presets.released(n_train_ids=last.shape[0])


def rename_released(
    tensors: Mapping[str, Tensor],
    config: ModelConfig,
    key_map: Mapping[str, str] | None = None,
) -> tuple[Tensors, Tensors]:
    """Released names -> (tensors of :class:`LSFModel`, fine-tuned HuBERT tensors).

    ``key_map`` (theirs -> ours) goes before the built-in map, for files of another revision. A name
    that neither knows is an error.
    """
    names = released_keys.predictor_map(config) | released_keys.prior_map(config)
    names |= dict(key_map or {})
    hubert = without_prefix(tensors, released_keys.HUBERT)
    ours: Tensors = {}
    unknown = []
    for theirs, tensor in tensors.items():
        if theirs in names:
            ours[names[theirs]] = _fitted(names[theirs], tensor)
        elif not theirs.startswith(released_keys.HUBERT) and not released_keys.ignored(
            theirs, config
        ):
            unknown.append(theirs)
    if unknown:
        raise LsfError(
            "model_invalid",
            f"The checkpoint has {len(unknown)} names that the map does not know, "
            f"such as {', '.join(sorted(unknown)[:3])}.",
            "Give a key map (JSON, their name -> ours) for this revision.",
        )
    return ours, hubert


def convert_released(
    source: Path,
    folder: Path,
    flame_version: str = "2020",
    training_data: str = "3DMEAD",
    key_map: Mapping[str, str] | None = None,
) -> CheckpointInfo:
    """Convert a stage-2 checkpoint of the released code into a checkpoint folder."""
    tensors = _read_any(source)
    config = released_config(tensors)
    ours, hubert = rename_released(tensors, config, key_map)
    model = LSFModel(config)
    ours.setdefault("vqvae.quantiser.tau", model.vqvae.quantiser.tau)
    load_exactly(model, ours, source.name)
    info = CheckpointInfo(
        model=config,
        flame_version=flame_version,
        training_data=training_data,
        licence="weights of the released code: CC BY-NC-SA 4.0, non-commercial",
        notes=f"converted from {source.name}",
    )
    return save_checkpoint(folder, model, info, hubert)


# Where training keeps the parts of the model, and what it calls them here.
_TRAINED = {"system.prior.": "vqvae.", "system.encoder.sie.": "sie."}
_TRAINED_HUBERT = "speech.hubert.network."


def convert_lightning(source: Path, folder: Path, info: CheckpointInfo) -> CheckpointInfo:
    """Convert a Lightning checkpoint of stage 2 of this repository's training.

    A speech encoder that was trained goes along; optimiser state and settings do not.
    """
    tensors = _read_any(source)
    ours = {
        new + key: value
        for old, new in _TRAINED.items()
        for key, value in without_prefix(tensors, old).items()
    }
    model = LSFModel(info.model)
    load_exactly(model, ours, source.name)
    return save_checkpoint(folder, model, info, without_prefix(tensors, _TRAINED_HUBERT))


def extract_file(source: Path, target: Path) -> int:
    """Write the tensors of any checkpoint as safetensors; returns how many there were."""
    tensors = {k: v.detach().clone().contiguous() for k, v in _read_any(source).items()}
    save_file(tensors, target)
    return len(tensors)


def _read_any(path: Path) -> Tensors:
    """Tensors of a file, with foreign objects read past."""
    try:
        return read_tensors(path)
    except LsfError as error:
        if error.code != "model_invalid" or path.suffix == ".safetensors":
            raise
        return extract_tensors(path)


def _fitted(ours: str, tensor: Tensor) -> Tensor:
    """Bring a released tensor into our layout."""
    if ours == released_keys.CODEBOOK:
        return tensor[None]
    if ours == "sie.hifb.fusion_tokens":
        return tensor.squeeze(0)
    if ours.endswith("fusion.to_kv.weight"):
        emotion, motion = tensor.chunk(2, dim=1)
        return torch.cat((motion, emotion), dim=1)
    return tensor
