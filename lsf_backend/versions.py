# SPDX-License-Identifier: Apache-2.0
"""Versions of this package and of what a result depends on, without importing any of it."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
# What can change a number in a result; read from package metadata because imports cost seconds.
_PACKAGES = ("numpy", "scipy", "av", "onnxruntime", "torch", "transformers", "funasr", "bpy")


def package_version(name: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def own_version() -> str:
    """Version of this code, from its source tree, its extension or its installed metadata."""
    for place in ("pyproject.toml", "blender_manifest.toml"):
        try:
            table = tomllib.loads((_ROOT / place).read_text(encoding="utf-8"))
            return str(table.get("project", table)["version"])
        except (OSError, KeyError, tomllib.TOMLDecodeError):
            continue
    return package_version("lsf-animation") or "unknown"


def dependency_versions() -> dict[str, str]:
    """Name -> version of the packages that are installed among those that shape a result."""
    versions = {name: package_version(name) for name in _PACKAGES}
    return {name: version for name, version in versions.items() if version}
