# SPDX-License-Identifier: Apache-2.0
"""Runs tests/blender under every supported Blender: four bpy wheels, each in its own environment.

python tests/blender/all_versions.py [--only 4.2 5.2] [--envs DIR] [files or pytest options]

Files or folders named, here or after ``file.py::test``, are run instead of the whole folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# bpy -> its Python, and the numpy that Blender of that version ships.
VERSIONS = {
    "4.2.23": ("3.11", "numpy>=2"),
    "4.5.15": ("3.11", "numpy<2"),
    "5.0.1": ("3.11", "numpy<2"),
    "5.2.3": ("3.13", "numpy>=2.2"),
}
# bpy 4.2 crashes at Python's end once its own glTF exporter has run: leave without that end.
RUN = (
    "import os, sys, pytest; code = pytest.main(sys.argv[1:]); "
    "sys.stdout.flush(); sys.stderr.flush(); os._exit(int(code))"
)
NEEDED = ("onnxruntime>=1.20", "av>=14", "scipy>=1.11", "tqdm>=4.66", "pytest>=8")


def find_python(version: str) -> str | None:
    """Path of a Python of this version, on the PATH or among pyenv's."""
    found = shutil.which(f"python{version}")
    candidates = [Path(found)] if found else []
    candidates += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), reverse=True)
    for path in candidates:
        probe = "import sys; print('%d.%d' % sys.version_info[:2])"
        told = subprocess.run([path, "-c", probe], capture_output=True, text=True, check=False)
        if told.stdout.strip() == version:
            return str(path)
    return None


def environment(bpy: str, folder: Path) -> Path | None:
    """Make the environment if it is not there; gives its Python, None where that is impossible."""
    python_version, numpy = VERSIONS[bpy]
    place = folder / f"bpy-{bpy}"
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        source = find_python(python_version)
        if source is None:
            return None
        subprocess.run([source, "-m", "venv", place], check=True)
    ready = subprocess.run([python, "-c", "import bpy, pytest, av, onnxruntime"], check=False)
    if ready.returncode:
        command = [python, "-m", "pip", "install", "--quiet", f"bpy=={bpy}", numpy, *NEEDED]
        subprocess.run(command, check=True)
    return python


def pytest_arguments(options: list[str]) -> list[str]:
    """Options as given, with the whole folder where they name no file, folder or test."""
    named = [word for word in options if (ROOT / word.partition("::")[0]).exists()]
    return [*([] if named else ["tests/blender"]), "-p", "no:cacheprovider", *options]


def main() -> int:
    """Run them all; gives 0 only if all passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--envs", type=Path, default=ROOT / ".venvs")
    parser.add_argument("--only", nargs="+", default=list(VERSIONS), metavar="4.2")
    arguments, options = parser.parse_known_args()
    results = {}
    for bpy in VERSIONS:
        if not any(bpy.startswith(wanted) for wanted in arguments.only):
            continue
        began = time.monotonic()
        python = environment(bpy, arguments.envs)
        if python is None:
            results[bpy] = f"not run: there is no Python {VERSIONS[bpy][0]} here"
            continue
        print(f"== bpy {bpy}", flush=True)
        command = [python, "-c", RUN, *pytest_arguments(options)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        verdict = "passed" if code == 0 else f"FAILED (exit {code})"
        results[bpy] = f"{verdict} in {time.monotonic() - began:.0f} s"
    for bpy, verdict in results.items():
        print(f"bpy {bpy}: {verdict}")
    return 0 if results and all("passed" in verdict for verdict in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
