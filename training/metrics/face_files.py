# SPDX-License-Identifier: Apache-2.0
"""The face that motion is scored on, and where its regions come from.

The bundled head names its own regions. FLAME's are lists of vertex numbers that the user brings:
the published evaluation's lip (428) and upper-face (1,501) lists, or MPI's ``FLAME_masks.pkl``,
whose regions are others (a note says so). Inner lip rims are found on the mesh if no file has them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.face.face_model import BUNDLED_HEAD, FaceModel
from lsf_backend.face.flame_file import convert_flame, read_flame
from lsf_backend.face.flame_pickle import UnsafePickle, load_pickle_arrays
from training.data.clips import Face
from training.metrics.faces import regions_of, rims_on_mesh
from training.metrics.regions import Regions, regions_from_lists

# Names in FLAME_masks.pkl, and which of them stand for the upper face where no list is given.
MASK_NAMES = (
    *("lips", "nose", "forehead", "eye_region", "left_eye_region", "right_eye_region"),
    *("left_eyeball", "right_eyeball", "face", "neck", "scalp", "boundary"),
)
_UPPER_FACE = ("forehead", "eye_region", "nose")
_REPORTED = ("lips", "forehead", "eye_region", "nose")
PUBLISHED_SIZES = {"lips": 428, "upper_face": 1501}


@dataclasses.dataclass(frozen=True)
class FaceFiles:
    """Files of a face: ``file`` None is the bundled head, else FLAME's ``.pkl`` or ``.npz``.

    ``lips``, ``upper_face``: text files of vertex numbers; ``rims``: two lines, the inner lip rims;
    ``masks``: ``FLAME_masks.pkl``.
    """

    file: Path | None = None
    flame_version: str = ""
    lips: Path | None = None
    upper_face: Path | None = None
    rims: Path | None = None
    masks: Path | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FaceFiles:
        """Read a configuration; raises ValueError with the keys that nobody knows."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"face has no {', '.join(unknown)}; it knows {', '.join(known)}")
        return cls(
            **{
                name: value
                if name == "flame_version"
                else None
                if value is None
                else Path(value).expanduser()
                for name, value in values.items()
            }
        )

    @property
    def shows(self) -> Face:
        """The face whose motion this file can show, FLAME's with its version."""
        if self.file is None:
            return Face("head")
        return Face("flame", read_flame(self._converted()).version)

    def _converted(self) -> Path:
        assert self.file is not None
        return convert_flame(self.file, self.flame_version)

    def face(self) -> FaceModel:
        """Read the face alone."""
        return FaceModel.load(BUNDLED_HEAD if self.file is None else self._converted())

    def open(self) -> tuple[FaceModel, Regions, str]:
        """Read the face, its regions and a note on where they come from."""
        face = self.face()
        if self.file is None:
            regions = regions_of(face)
            return face, regions, _note("the bundled head", face, regions)
        regions = self._flame_regions(face)
        note = _note(self.file.name, face, regions)
        sizes = {"lips": regions.lips.size, "upper_face": regions.upper_face.size}
        if sizes != PUBLISHED_SIZES:
            note += "; these are not the published lists (428 and 1501), so LVE, MEE, CE and FDD "
            note += "are not those of the paper"
        return face, regions, note

    def _flame_regions(self, face: FaceModel) -> Regions:
        masks = read_masks(self.masks) if self.masks else {}
        if self.lips and self.upper_face:
            regions = regions_from_lists(self.lips, self.upper_face, self.rims)
        elif masks:
            upper = np.unique(np.concatenate([masks[name] for name in _UPPER_FACE]))
            regions = Regions(masks["lips"], upper, *[np.zeros(0, np.int64)] * 2)
        else:
            raise ValueError(
                "a FLAME face needs its regions: lips and upper_face (text files of vertex "
                "numbers), or masks (FLAME_masks.pkl)"
            )
        regions.check(face.n_vertices)
        named = {name: masks[name] for name in _REPORTED if name in masks} or {
            "lips": regions.lips,
            "upper_face": regions.upper_face,
        }
        upper_rim, lower_rim = regions.upper_rim, regions.lower_rim
        if not upper_rim.size:
            upper_rim, lower_rim = rims_on_mesh(face, regions.lips)
        return dataclasses.replace(regions, upper_rim=upper_rim, lower_rim=lower_rim, named=named)


def read_masks(path: Path) -> dict[str, np.ndarray]:
    """Regions of ``FLAME_masks.pkl`` by name, each [n] int64; nothing in the file is run."""
    try:
        arrays, _ = load_pickle_arrays(path.read_bytes(), MASK_NAMES)
    except UnsafePickle as error:
        raise ValueError(f"{path.name} was refused: {error}") from None
    missing = [name for name in ("lips", *_UPPER_FACE) if name not in arrays]
    if missing:
        raise ValueError(f"{path.name} has no region {', '.join(missing)}")
    return {name: array.astype(np.int64).ravel() for name, array in arrays.items()}


def _note(name: str, face: FaceModel, regions: Regions) -> str:
    return (
        f"{name}: {face.n_vertices} vertices, {regions.lips.size} of the lips, "
        f"{regions.upper_face.size} of the upper face"
    )
