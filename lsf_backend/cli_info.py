# SPDX-License-Identifier: Apache-2.0
"""``lsf info`` and ``lsf fetch-models``: what is here and what is missing, and why."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import platform
import sys
from pathlib import Path
from typing import Any

from lsf_backend.engine.registry import engine_info, engine_names
from lsf_backend.errors import LsfError
from lsf_backend.protocol import ASSETS, HEAD_FILE, PROTOCOL_VERSION
from lsf_backend.versions import dependency_versions, own_version, package_version

LICENCES = {
    "lsf_backend, training": "Apache-2.0",
    "blender_addon": "GPL-3.0-or-later",
    "bundled head": "CC0-1.0",
    "bundled model weights": "CC-BY-4.0",
}
# What each optional package is for, and the one command that brings it.
_OPTIONAL = {
    "bpy": ("writing .blend .fbx .abc .usd .glb .mp4", 'pip install "lsf-animation[blender]"'),
    "torch": ("the engine 'lsf'", 'pip install "lsf-animation[gpu]"'),
}


def collect() -> dict[str, Any]:
    """Everything that ``lsf info`` tells, as plain data."""
    return {
        "version": own_version(),
        "protocol": PROTOCOL_VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "engines": [dataclasses.asdict(engine_info(name)) for name in engine_names()],
        "files": {path.name: path.is_file() for path in (HEAD_FILE, ASSETS / "sample.wav")},
        "packages": dependency_versions(),
        "optional": {
            name: {
                "available": importlib.util.find_spec(name) is not None,
                "version": package_version(name),
                "for": purpose,
                "install": command,
            }
            for name, (purpose, command) in _OPTIONAL.items()
        },
        "licences": LICENCES,
    }


def info(as_json: bool) -> int:
    """Print what is here and what is missing; always succeeds, because that is what it is for."""
    data = collect()
    if as_json:
        json.dump(data, sys.stdout, indent=2)
        print()
        return 0
    print(f"lsf-animation {data['version']}, Python {data['python']}, {data['platform']}")
    print("\nEngines")
    for engine in data["engines"]:
        state = "ready" if engine["available"] else f"not available: {engine['reason']}"
        print(f"  {engine['name']:9} {state}")
        if engine["available"]:
            print(
                f"            moves a {engine['face_space']!r} face on "
                f"{', '.join(engine['devices'])}; weights {engine['digest'][:12]}"
            )
        if engine["available"] and engine["reason"]:
            print(f"            {engine['reason']}")
        if engine["license"]:
            print(f"            {engine['license']}")
    print("\nFiles")
    for name, present in data["files"].items():
        print(f"  {name:12} {'here' if present else 'missing: install the package again'}")
    print("\nOptional")
    for name, entry in data["optional"].items():
        state = (
            f"{entry['version'] or 'here'}"
            if entry["available"]
            else (f"not installed; {entry['install']}")
        )
        print(f"  {name:9} {state} (for {entry['for']})")
    print("\nPackages\n  " + ", ".join(f"{k} {v}" for k, v in data["packages"].items()))
    print("\nLicences")
    for name, licence in data["licences"].items():
        print(f"  {name}: {licence}")
    return 0


def fetch_models(folder: Path | None, digests: list[str], accept_unverified: bool) -> int:
    """Download what the engine ``lsf`` needs; sources and digests are listed with the model."""
    try:
        module = importlib.import_module("lsf_backend.model.fetch")
    except ImportError as error:
        raise LsfError(
            "engine_unavailable",
            f"Models cannot be fetched, because {error.name or 'a package'} is not installed.",
            'Install it with: pip install "lsf-animation[gpu]"',
        ) from error
    pairs = dict(entry.partition("=")[::2] for entry in digests)
    for file in module.fetch_models(folder, pairs, accept_unverified):
        print(file)
    return 0
