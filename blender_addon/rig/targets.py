# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight: which characters a take will drive, and why something cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import bpy
import numpy as np

from . import arkit_mesh, face_target, head_turn, mapped, stored_map
from .names import ARKIT_NAMES
from .target import Owner, Target

# Asked in this order what a mesh is; the first answer counts.
RECOGNISERS: tuple[Callable[[bpy.types.Object], Target | None], ...] = (
    face_target.recognise,
    mapped.recognise,
    arkit_mesh.recognise,
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a take would do: ``problems`` stop it, ``warnings`` do not."""

    targets: tuple[Target, ...] = ()
    creates_head: bool = False
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    still_head: str = ""  # why turns of the head, where frames have any, would not show

    @property
    def output(self) -> str:
        """Frames that the targets want (``AnimateRequest.output``)."""
        return self.targets[0].output if self.targets else "arkit"

    @property
    def face_space(self) -> str:
        """Face space that ``motion`` has to be in; '' for ARKit weights."""
        return getattr(self.targets[0], "space", "") if self.targets else ""

    def objects(self) -> list[bpy.types.Object]:
        """Objects of all targets, meshes first."""
        found = [obj for target in self.targets for obj in target.objects()]
        return sorted(dict.fromkeys(found), key=lambda obj: obj.type != "MESH")

    def sentence(self) -> str:
        """What will be driven, for the panel."""
        if self.creates_head:
            return f"The bundled head will be added ({len(ARKIT_NAMES)} shapes)."
        parts = [target.summary() for target in self.targets]
        return f"Drives {', '.join(parts)}." if parts else "Nothing can be driven yet."


def plan(
    scene: bpy.types.Scene, selected: list[bpy.types.Object], extra: tuple[str, ...] = ()
) -> Plan:
    """Plan a take: the chosen head, else the selected meshes, else a new bundled head.

    ``extra`` names what comes beside the face (``AnimateRequest.extra``).
    """
    head = scene.lsf.head
    if head is not None and scene.objects.get(head.name) is None:
        return Plan(problems=(f"The chosen head '{head.name}' is not in this scene.",))
    meshes = [head] if head is not None else [obj for obj in selected if obj.type == "MESH"]
    if not meshes:
        return Plan(creates_head=True)
    targets: list[Target] = []
    problems: list[str] = []
    warnings: list[str] = []
    taken: set[Owner] = set()
    for obj in meshes:
        target = target_of(obj)
        reason = unusable(obj)
        if reason or target is None:
            problems.append(reason)
        elif not taken & set(target.paths()):
            taken |= set(target.paths())
            targets.append(target)
            warnings += target.concerns()
    if head is not None and problems:
        return Plan(problems=tuple(problems))
    if len({(target.output, getattr(target, "space", "")) for target in targets}) > 1:
        names = ", ".join(target.name for target in targets)
        return Plan(problems=(f"{names} need different frames; animate one after the other.",))
    # A selected mesh that cannot be driven (Blender's default cube) does not stop a take.
    if targets:
        turned = head_turn.beside(targets[0], extra)
        still = ""
        if turned is not None:
            targets.append(turned)
        elif "head" in extra:
            still = f"'{targets[0].name}' has no neck or head bone that could turn."
        return Plan(tuple(targets), warnings=(*warnings, *problems), still_head=still)
    short = tuple(text.split(". ")[0].rstrip(".") + "." for text in problems)
    return Plan(creates_head=True, warnings=short)


def target_of(obj: bpy.types.Object | None) -> Target | None:
    """Return what a take would drive on ``obj``, None where it cannot."""
    found = (recognise(obj) for recognise in RECOGNISERS if obj is not None)
    return next((target for target in found if target is not None), None)


def owners_of(obj: bpy.types.Object | None) -> tuple[Owner, ...]:
    """Datablocks whose Actions are takes of ``obj``; the first one tells them all."""
    target = target_of(obj)
    return tuple(target.paths()) if target is not None else ()


def unusable(obj: bpy.types.Object) -> str:
    """Why ``obj`` cannot be driven, in one sentence; empty where it can."""
    if obj.type != "MESH":
        return f"'{obj.name}' is not a mesh."
    wrong = stored_map.problems(obj)
    if wrong:
        return " ".join(wrong[:3])
    target = target_of(obj)
    if target is None:
        key = obj.data.shape_keys
        if key is None:
            return (
                f"'{obj.name}' has no shape keys. Choose a mesh that has ARKit shape keys, "
                "or clear the field for the bundled head."
            )
        return (
            f"'{obj.name}' has {len(key.key_blocks) - 1} shape keys, but none has an ARKit name "
            "such as jawOpen."
        )
    for part in target.objects():
        if part.library is not None or part.data.library is not None:
            return f"'{part.name}' is linked from another file. Make it and its data local first."
    for owner in target.paths():
        data = owner.datablock().animation_data
        if data is not None and data.use_tweak_mode:
            return f"'{obj.name}' is in the NLA editor's tweak mode. Leave it first."
    return ""


def damage(plan: Plan) -> list[str]:
    """What is wrong with the meshes of a plan, in sentences; looks at every coordinate."""
    return [text for text in map(broken_points, plan.objects()) if text]


def broken_points(obj: bpy.types.Object) -> str:
    """Say how many coordinates of a mesh and its shapes are no numbers; empty where all are."""
    if obj.type != "MESH":
        return ""
    key = obj.data.shape_keys
    rooms = [block.data for block in key.key_blocks] if key is not None else []
    for room in [obj.data.vertices, *rooms]:
        points = np.empty(len(room) * 3, dtype=np.float32)
        room.foreach_get("co", points)
        bad = int((~np.isfinite(points.reshape(-1, 3))).any(axis=1).sum())
        if bad:
            return (
                f"'{obj.name}' has {bad} vertices whose place is not a number. "
                "Repair the mesh first."
            )
    return ""
