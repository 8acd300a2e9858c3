# SPDX-License-Identifier: Apache-2.0
"""Tensors out of checkpoints that also hold foreign Python objects, without running any of those.

Lightning and fairseq pickle their settings (OmegaConf, argparse) beside the weights. This reader
rebuilds tensors and plain containers itself; every other class becomes an inert placeholder, so
nothing named in the file is ever imported or called.
"""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsf_backend.errors import LsfError
from lsf_backend.model.state_files import Tensors, state_of

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Placeholder:
    """Stands for an object of a class that is not read; it keeps and runs nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take and drop any arguments."""

    def __call__(self, *args: Any, **kwargs: Any) -> Placeholder:
        """A placeholder used as a function makes a placeholder."""
        return Placeholder()

    def __setstate__(self, state: Any) -> None:
        """Drop the state."""

    def __hash__(self) -> int:
        return id(self)

    def append(self, item: Any) -> None:
        """Drop the item of a foreign list."""

    def extend(self, items: Any) -> None:
        """Drop the items of a foreign list."""

    def add(self, item: Any) -> None:
        """Drop the item of a foreign set."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drop the entry of a foreign dictionary."""


class _TensorUnpickler(pickle.Unpickler):
    """Understands tensors, ordered dictionaries and plain containers; all else is a placeholder."""

    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return _DTYPES[name]
        return Placeholder

    def persistent_load(self, pid: Any) -> Tensor:
        kind, dtype, key, _, count = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"an unknown kind of storage: {dtype}")
        if key not in self._storages:
            raw = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            tensor = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            if tensor.numel() < int(count):
                raise pickle.UnpicklingError(f"storage {key} is shorter than it says")
            self._storages[key] = tensor
        return self._storages[key]


def _rebuild_tensor(storage: Tensor, offset: int, size: Any, stride: Any, *rest: Any) -> Tensor:
    # as_strided checks the bounds of the storage, so a lying size cannot read past it.
    return storage.as_strided(tuple(size), tuple(stride), int(offset)).clone()


def _rebuild_parameter(data: Tensor, *rest: Any) -> Tensor:
    return data


def extract_tensors(path: Path) -> Tensors:
    """State dict of a ``torch.save`` file (zip form), foreign objects left out."""
    try:
        with zipfile.ZipFile(path) as archive:
            index = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
            root = index.removesuffix("/data.pkl")
            orders = f"{root}/byteorder"
            if orders in archive.namelist() and archive.read(orders) != b"little":
                raise LsfError("model_invalid", f"{path.name} is big-endian.")
            reader = _TensorUnpickler(io.BytesIO(archive.read(index)), archive, root)
            content = reader.load()
    except (OSError, zipfile.BadZipFile, StopIteration, pickle.UnpicklingError) as error:
        raise LsfError(
            "model_invalid",
            f"{path.name} is not a checkpoint that can be read ({error}).",
            "Files from torch before 1.6 must be saved again with a newer torch.",
        ) from error
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise LsfError("model_invalid", f"{path.name} is damaged ({error}).") from error
    return state_of(content, path.name)
