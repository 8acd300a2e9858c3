# SPDX-License-Identifier: GPL-3.0-or-later
"""How the backend process is started: which Python, which packages, which environment."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from pathlib import Path

from lsf_backend import protocol

BACKEND_MODULE = "lsf_backend"
# Packages that the backend needs and that Blender's own Python may keep in different folders.
BUNDLED_PACKAGES = ("onnxruntime", "av", "numpy")
# Blender sets these for itself; a Python that is not Blender's would look for its library there.
FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONSTARTUP")


@dataclasses.dataclass(frozen=True)
class Launch:
    """A command with its environment; ``label`` is what the panel says about it."""

    command: tuple[str, ...]
    environment: dict[str, str]
    label: str


def blender_python() -> str:
    """Path of the Python that runs this code (some builds put Blender itself in sys.executable)."""
    name = Path(sys.executable or "").name.lower()
    if name.startswith("python"):
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = [Path(sys.prefix) / "bin" / version, Path(sys.prefix) / "bin" / "python.exe"]
    places += [Path(sys.prefix) / "python.exe", Path(sys.base_prefix) / "bin" / version]
    for place in places:
        if place.is_file():
            return str(place)
    return sys.executable or version


def package_folders(names: tuple[str, ...] = BUNDLED_PACKAGES) -> list[str]:
    """Folders in which this Python finds ``names``, without importing them."""
    folders = [str(Path(protocol.__file__).resolve().parents[1])]
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            folder = str(Path(spec.origin).resolve().parents[1])
            if folder not in folders:
                folders.append(folder)
    return folders


def bundled() -> Launch:
    """The backend under Blender's own Python, with the wheels that came with the extension."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    if "PYTHONHOME" in os.environ:
        environment["PYTHONHOME"] = os.environ["PYTHONHOME"]
    environment |= {
        "PYTHONPATH": os.pathsep.join(package_folders()),
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }
    return Launch(
        (blender_python(), "-m", BACKEND_MODULE, "serve"), environment, "bundled with the add-on"
    )


def external(python: str) -> Launch:
    """The backend of an environment that the user made (``pip install "lsf-animation[gpu]"``)."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    environment |= {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
    return Launch((python, "-m", BACKEND_MODULE, "serve"), environment, f"external: {python}")


def choose(python: str = "") -> Launch:
    """The user's Python where one is set, Blender's own otherwise."""
    python = python.strip()
    return external(os.path.expanduser(python)) if python else bundled()
