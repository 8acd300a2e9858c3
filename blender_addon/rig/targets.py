# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight: which meshes a take will drive, what is missing, and why something cannot be."""

from __future__ import annotations

import dataclasses

import bpy

from . import actions
from .names import ARKIT_NAMES, match


@dataclasses.dataclass(frozen=True)
class Target:
    """A mesh with the shape key that each channel drives. Names only: undo frees references."""

    object_name: str
    mapping: dict[str, str]

    def object(self) -> bpy.types.Object | None:
        """Return the mesh object, None where it is gone."""
        obj = bpy.data.objects.get(self.object_name)
        return obj if obj is not None and obj.type == "MESH" and obj.data.shape_keys else None

    def key(self) -> bpy.types.Key | None:
        """Return the shape-key datablock, None where it is gone."""
        obj = self.object()
        return obj.data.shape_keys if obj is not None else None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a take would do: ``problems`` stop it, ``warnings`` do not."""

    targets: tuple[Target, ...] = ()
    creates_head: bool = False
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What will be driven, for the panel."""
        if self.creates_head:
            return f"The bundled head will be added ({len(ARKIT_NAMES)} shapes)."
        parts = [f"{t.object_name}: {len(t.mapping)} of {len(ARKIT_NAMES)}" for t in self.targets]
        return f"Drives {', '.join(parts)} shapes." if parts else "Nothing can be driven yet."


def plan(scene: bpy.types.Scene, selected: list[bpy.types.Object]) -> Plan:
    """Plan a take: the chosen head, else the selected meshes, else a new bundled head."""
    head = scene.lsf.head
    if head is not None and scene.objects.get(head.name) is None:
        return Plan(problems=(f"The chosen head '{head.name}' is not in this scene.",))
    meshes = [head] if head is not None else [obj for obj in selected if obj.type == "MESH"]
    if not meshes:
        return Plan(creates_head=True)
    targets, problems, warnings = [], [], []
    for obj in meshes:
        reason = unusable(obj)
        if reason:
            problems.append(reason)
            continue
        target = Target(obj.name, match(ARKIT_NAMES, obj.data.shape_keys.key_blocks.keys()))
        if any(target.key() == other.key() for other in targets):
            continue
        targets.append(target)
        warnings += concerns(target)
    if head is not None and problems:
        return Plan(problems=tuple(problems))
    # A selected mesh that cannot be driven (Blender's default cube) does not stop a take.
    if targets:
        return Plan(tuple(targets), warnings=(*warnings, *problems))
    short = tuple(text.split(". ")[0].rstrip(".") + "." for text in problems)
    return Plan(creates_head=True, warnings=short)


def unusable(obj: bpy.types.Object) -> str:
    """Why ``obj`` cannot be driven, in one sentence; empty where it can."""
    if obj.type != "MESH":
        return f"'{obj.name}' is not a mesh."
    key = obj.data.shape_keys
    if key is None:
        return (
            f"'{obj.name}' has no shape keys. Choose a mesh that has ARKit shape keys, "
            "or clear the field for the bundled head."
        )
    if not match(ARKIT_NAMES, key.key_blocks.keys()):
        return (
            f"'{obj.name}' has {len(key.key_blocks) - 1} shape keys, but none has an ARKit name "
            "such as jawOpen."
        )
    if key.library is not None or obj.data.library is not None:
        return f"'{obj.name}' is linked from another file. Make its mesh local first."
    if key.animation_data is not None and key.animation_data.use_tweak_mode:
        return f"'{obj.name}' is in the NLA editor's tweak mode. Leave it first."
    return ""


def concerns(target: Target) -> list[str]:
    """What will keep some keys from showing, or be missing, though the take can be made."""
    obj, key = target.object(), target.key()
    if obj is None or key is None:
        return []
    found = []
    missing = [name for name in ARKIT_NAMES if name not in target.mapping]
    if missing:
        some = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        found.append(f"'{obj.name}' lacks {len(missing)} shapes: {some}.")
    paths = {actions.data_path(name) for name in target.mapping.values()}
    data = key.animation_data
    drivers = [d for d in (data.drivers if data else ()) if d.data_path in paths]
    if drivers:
        found.append(f"{len(drivers)} shapes of '{obj.name}' have drivers, which win over keys.")
    muted = [name for name in target.mapping.values() if key.key_blocks[name].mute]
    if muted:
        found.append(f"{len(muted)} shapes of '{obj.name}' are muted.")
    if obj.show_only_shape_key:
        found.append(f"'{obj.name}' shows one pinned shape only; unpin it to see the motion.")
    if not key.use_relative:
        found.append(f"'{obj.name}' has absolute shape keys; relative ones are needed.")
    return found
