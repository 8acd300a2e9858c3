# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take drives: the seam between the frames that arrive and Blender's animation.

A take drives a list of :class:`Target`. Each turns frames (values [T, C], named channels) into
:class:`Curve` of its :class:`Owner` datablocks: shape keys (KEY) and objects (OBJECT: pose bones by
``bone_path``). Clip, rollback, take list and check know no more than this. To add a kind of
character: write a frozen dataclass with these methods, and a function that recognises its mesh, in
``targets.RECOGNISERS``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Protocol

import bpy
import numpy as np


@dataclasses.dataclass(frozen=True)
class Owner:
    """A datablock with animation, kept by name: undo frees what a reference points to."""

    id_type: str
    name: str

    @classmethod
    def of(cls, datablock: bpy.types.Key | bpy.types.Object) -> Owner:
        """Return the owner that a shape-key datablock or an object is."""
        return cls("KEY" if isinstance(datablock, bpy.types.Key) else "OBJECT", datablock.name)

    def datablock(self) -> bpy.types.Key | bpy.types.Object | None:
        """Return the datablock, None where it is gone."""
        found = bpy.data.shape_keys if self.id_type == "KEY" else bpy.data.objects
        return found.get(self.name)

    def __str__(self) -> str:
        return f"{self.id_type} {self.name}"

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Read what ``str`` wrote."""
        return cls(*text.split(" ", 1))


@dataclasses.dataclass(frozen=True)
class Curve:
    """One F-curve: ``values`` [T] for ``data_path`` of ``owner``; ``index`` of a vector's part."""

    owner: Owner
    data_path: str
    values: np.ndarray
    index: int = 0


class Target(Protocol):
    """A character as a take sees it. Implementations hold names only."""

    @property
    def name(self) -> str:
        """Name of the object that the artist chose, for sentences and the sound strip."""
        ...

    @property
    def output(self) -> str:
        """Frames it wants from the backend: ``arkit`` or ``motion`` (``AnimateRequest.output``)."""
        ...

    def objects(self) -> list[bpy.types.Object]:
        """Meshes (the first is measured and looked at), then armatures; without those gone."""
        ...

    def paths(self) -> Mapping[Owner, Collection[str]]:
        """Every RNA path that it may drive, by owner; the owners' Actions are replaced."""
        ...

    def curves(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        """Turn frames, values [T, C], into curves; unknown channels are left out.

        Called again with all frames so far, each time more have come.
        """
        ...

    def lips(self) -> np.ndarray:
        """Lip vertices of the first mesh, [n] int; empty where they are not known."""
        ...

    def summary(self) -> str:
        """What will be driven, for the panel: ``Face: 52 of 52 shapes``."""
        ...

    def concerns(self) -> list[str]:
        """What will be missing or keep keys from showing, though the take can be made."""
        ...


def shape_key_path(shape_key: str) -> str:
    """RNA path of a shape key's value."""
    return f'key_blocks["{bpy.utils.escape_identifier(shape_key)}"].value'


def bone_path(bone: str, attribute: str = "rotation_quaternion") -> str:
    """RNA path of a pose bone's attribute."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{attribute}'


def driven_by(targets: Collection[Target]) -> dict[Owner, set[str]]:
    """Every RNA path that some of the targets may drive; face and neck may be of one armature."""
    found: dict[Owner, set[str]] = {}
    for target in targets:
        for owner, paths in target.paths().items():
            found.setdefault(owner, set()).update(paths)
    return found


def reset(owner: Owner, paths: Collection[str]) -> None:
    """Put driven attributes back to rest: shape keys to 0, bones to their defaults."""
    datablock = owner.datablock()
    for path in paths if datablock is not None else ():
        parent, _, name = path.rpartition(".")
        try:
            holder = datablock.path_resolve(parent) if parent else datablock
        except ValueError:  # the shape or the bone is gone
            continue
        if owner.id_type == "KEY":
            holder.value = 0.0
        else:
            setattr(holder, name, holder.bl_rna.properties[name].default_array)
