# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps as .json files: written whole, read onto a character whose objects may have other names."""

from __future__ import annotations

from pathlib import Path

import bpy

from .output.files import OutputError, written_whole
from .retarget.model import BONE, MapError, RetargetMap, from_json
from .rig import family, fitted, mapped, stored_map

__all__ = ["MapError", "OutputError", "load", "save"]
MAX_BYTES = 16 << 20


def save(obj: bpy.types.Object, path: Path) -> None:
    """Write the map that is kept on a mesh, or else the one that its names suggest."""
    wrong = stored_map.problems(obj)
    if wrong:
        raise MapError(" ".join(wrong[:3]))
    retarget = stored_map.stored(obj) or mapped.proposed(obj)
    if not retarget.rows:
        raise MapError(f"'{obj.name}' has no map, and its names suggest none. Add rows by hand.")
    with written_whole(path) as temporary:
        temporary.write_text(retarget.to_json(), encoding="utf-8")


def proposal(obj: bpy.types.Object, others: tuple[bpy.types.Object, ...] = ()) -> list[str]:
    """Put the map that the names suggest on a mesh; gives what it reaches and misses.

    ``others`` are meshes that belong to the character though they do not hang together with it.
    """
    _local(obj)
    fitted.forget()
    return _put(obj, mapped.proposed(obj, others))


def _local(obj: bpy.types.Object) -> None:
    if obj.library is not None:
        raise MapError(f"'{obj.name}' is linked from another file. Make it local first.")
    if obj.override_library is not None:
        raise MapError(
            f"'{obj.name}' is a library override, which cannot keep a map: build the map in the "
            "character's own file, or make the mesh local. Without a map, names decide."
        )


def _put(obj: bpy.types.Object, retarget: RetargetMap) -> list[str]:
    stored_map.keep(obj, retarget)
    fit = mapped.Mapped(obj.name, retarget, automatic=False).fit()
    return [fit.headline(), *fit.sentences()]


def read(path: Path) -> RetargetMap:
    """Read a map file; raises :class:`MapError` with one sentence that names it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MapError(f"The map {path.name} has more than {MAX_BYTES >> 20} MB.")
        return from_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise MapError(f"The map {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise MapError(f"The map {path.name} is not a text file.") from error
    except MapError as error:
        raise MapError(f"{path.name}: {error}") from error


def load(obj: bpy.types.Object, path: Path) -> list[str]:
    """Put a file's map on a mesh; gives what a person should know about how it fits."""
    _local(obj)
    retarget = adopted(read(path), obj)
    if not mapped.Mapped(obj.name, retarget, automatic=False).paths():
        raise MapError(f"{path.name} moves nothing of '{obj.name}': no key or bone fits.")
    return _put(obj, retarget)


def adopted(retarget: RetargetMap, obj: bpy.types.Object) -> RetargetMap:
    """Give the rows of objects that this character lacks to those of its own that fit best."""
    meshes = family.meshes_of(obj)
    parts = [*meshes, *dict.fromkeys(r for r in map(family.armature_of, meshes) if r is not None)]
    renamed: dict[str, str] = {}
    for owner in retarget.owners():
        rows = [row.target for row in retarget.rows if row.target.owner == owner]
        present = bpy.data.objects.get(owner)
        if present is not None and _fits(rows, present):
            continue
        counts = [(_fits(rows, part), -index, part.name) for index, part in enumerate(parts)]
        best = max(counts, default=(0, 0, ""))
        if best[0]:
            renamed[owner] = best[2]
    return retarget.renamed(renamed)


def _fits(rows: list, obj: bpy.types.Object) -> int:
    """How many of some targets an object has."""
    bones = obj.data.bones.keys() if obj.type == "ARMATURE" else ()
    key = obj.data.shape_keys if obj.type == "MESH" else None
    shapes = key.key_blocks.keys() if key is not None else ()
    return sum(row.name in (bones if row.kind == BONE else shapes) for row in rows)
