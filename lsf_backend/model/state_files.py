# SPDX-License-Identifier: Apache-2.0
"""Files of tensors, read without running anything that is in them, and loaded key by key.

safetensors, or ``torch.load(weights_only=True)``; a key or shape that does not fit is an error that
names it, never a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lsf_backend.errors import LsfError

Tensors = dict[str, Tensor]
_NAMED = 5


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_tensors(path: Path) -> Tensors:
    """Tensors of a ``.safetensors``, ``.pt``, ``.bin``, ``.pth`` or ``.ckpt`` file, by name.

    A state dict may lie bare or under ``state_dict`` or ``model``. Objects other than tensors and
    plain containers are refused: :mod:`lsf_backend.model.foreign` reads past them on request.
    """
    if not path.is_file():
        raise LsfError("model_missing", f"There is no file {path}.", "Check the model folder.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, EOFError) as error:
        raise LsfError("model_invalid", f"{path.name} is damaged or not a weights file.") from error
    except Exception as error:  # torch raises pickle.UnpicklingError for foreign classes
        raise LsfError(
            "model_invalid",
            f"{path.name} holds Python objects besides tensors and is not opened.",
            "Convert it once with: python -m lsf_backend.model extract FILE OUT.safetensors",
        ) from error
    return state_of(content, path.name)


def state_of(content: Any, name: str) -> Tensors:
    """The state dict inside what a weights file held."""
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = (
        {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise LsfError("model_invalid", f"{name} holds no tensors by name.")
    return tensors


def load_exactly(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Load all of ``tensors`` into ``module``, or raise an error that names what does not fit.

    A module on torch's ``meta`` device takes the tensors themselves, as float32: nothing is
    initialised only to be overwritten.
    """
    own = module.state_dict()
    shapes = [
        f"{key} ({list(tensors[key].shape)}, expected {list(own[key].shape)})"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    faults = [
        _naming("missing", (key for key in own if key not in tensors)),
        _naming("of the wrong shape", shapes),
        _naming("unknown", (key for key in tensors if key not in own)),
    ]
    faults = [fault for fault in faults if fault]
    if faults:
        raise LsfError("model_invalid", f"The weights of {what} do not fit: {'; '.join(faults)}.")
    on_meta = any(value.is_meta for value in own.values())
    given = {
        key: value.float() if on_meta and value.is_floating_point() else value
        for key, value in tensors.items()
    }
    module.load_state_dict(given, assign=on_meta)


def without_prefix(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """The tensors whose name starts with ``prefix``, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _naming(fault: str, keys: Iterable[str]) -> str:
    names = sorted(keys)
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{fault}: {', '.join(names[:_NAMED])}{more}"
