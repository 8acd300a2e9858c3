# SPDX-License-Identifier: Apache-2.0
"""Which device the full model runs on, and why. Looks without importing torch, then with it."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from lsf_backend.errors import LsfError


class DeviceChoice(NamedTuple):
    """A torch device by name, and the sentence that says why it was taken."""

    name: str
    reason: str


def likely_devices() -> tuple[str, ...]:
    """Devices that torch should offer, best first, read off files and drivers in milliseconds."""
    found = []
    if _torch_has_cuda() and _nvidia_gpus() > 0:
        found.append("cuda")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append("mps")
    return (*found, "cpu")


def likely_reason() -> str:
    """Why the first of :func:`likely_devices` comes first, in a few words."""
    best = likely_devices()[0]
    if best == "cuda":
        return "runs on the GPU"
    if best == "mps":
        return "runs on Apple's GPU"
    if not _torch_has_cuda():
        return "runs on the CPU, because this PyTorch was built without CUDA"
    return "runs on the CPU, because no GPU driver answers"


def choose_device(wanted: str) -> DeviceChoice:
    """The device for a request ("auto", "cuda", "mps" or "cpu"), as torch sees this machine."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "cuda" and not cuda or wanted == "mps" and not mps:
        raise LsfError(
            "engine_unavailable",
            f"This PyTorch ({torch.__version__}) finds no device {wanted!r}.",
            "Choose the device 'auto' or 'cpu', or install a PyTorch made for this GPU.",
        )
    if wanted == "cuda" or wanted == "auto" and cuda:
        return DeviceChoice("cuda", f"running on the GPU {torch.cuda.get_device_name()}")
    if wanted == "mps" or wanted == "auto" and mps:
        return DeviceChoice("mps", "running on Apple's GPU")
    if wanted not in ("auto", "cpu"):
        raise LsfError("request_invalid", f"There is no device {wanted!r}; use cuda, mps or cpu.")
    why = "because it was asked for"
    if wanted == "auto":
        why = "because this PyTorch was built without CUDA"
        if torch.version.cuda or torch.version.hip:
            why = "because PyTorch finds no GPU"
    return DeviceChoice("cpu", f"running on the CPU {why}")


def _torch_has_cuda() -> bool:
    """Whether the installed torch was built for CUDA, by its version file."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^(cuda|hip)\b.*=\s*['\"]", text, flags=re.MULTILINE) is not None


def _nvidia_gpus() -> int:
    """NVIDIA (or AMD) devices that a driver reports; 0 without a driver."""
    if Path("/dev/kfd").exists():
        return 1
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    except (OSError, AttributeError):
        pass
    return 0
