# SPDX-License-Identifier: GPL-3.0-or-later
"""A face in FLAME's format as arrays for a rig: the bundled head or a converted FLAME file. No bpy.

Vectors become Blender's (z up, -y to the front) with ``blender_axes``; what a joint's rotation does
stays in FLAME's axes until the bone that makes it is known.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lsf_backend.protocol import HEAD_FILE

from .head_file import (
    IDENTITY_COMPONENTS,
    UNREADABLE,
    HeadError,
    HeadMesh,
    blender_axes,
    looks,
    regions,
)

JOINTS = ("root", "neck", "jaw", "left_eye", "right_eye")
JAW = 2
N_EXPRESSION = 50
# FLAME's axes -> Blender's; ``AXES @ x`` is ``blender_axes(x)``.
AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=np.float32)
# A direction below this moves no vertex by a thousandth of a millimetre.
_NOTHING_M = 2e-7
_SKIN, _EYE = ("skin", (0.8, 0.62, 0.53, 1.0)), ("sclera", (0.93, 0.92, 0.9, 1.0))


@dataclasses.dataclass(frozen=True)
class FaceFile:
    """What a rig is made from; V vertices, n expression shapes, joints in the order of ``JOINTS``.

    mesh: neutral face with its expression shapes; joints [5, 3] m, parents [5], weights [V, 5];
    joint_shifts [n, 3] m: how each expression moves the jaw's joint; bends [V, 3, 4, 3, 3] m:
    vertex offsets by the entries of R - I of neck, jaw and eyes. Points and offsets in Blender's
    axes, R in FLAME's. ``space``: ``head`` or ``flame`` of ``version``.
    """

    mesh: HeadMesh
    joints: np.ndarray
    parents: tuple[int, ...]
    weights: np.ndarray
    joint_shifts: np.ndarray
    bends: np.ndarray
    space: str
    version: str
    source: str

    def bent(self, joint: int, axes: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
        """Offsets [V, 3] by entry (row, column) of R - I, R in ``axes`` [3, 3] of a bone.

        ``axes``: bone's axes as columns, in Blender's. Entries that move nothing are left out.
        """
        if joint == 0:
            return {}
        turn = AXES.T @ axes
        fields = np.einsum("vxab,ac,bd->cdvx", self.bends[:, :, joint - 1], turn, turn)
        return {
            (row, column): fields[row, column]
            for row in range(3)
            for column in range(3)
            if np.abs(fields[row, column]).max() > _NOTHING_M
        }

    def swung(self, joint: int) -> dict[tuple[int, int], np.ndarray]:
        """Offsets [V, 3] by entry of R - I (FLAME's axes) with the skinning of the rest included.

        For a face without bones: exact for the neutral face; what an expression adds is not turned.
        """
        arm = (self.mesh.vertices - self.joints[joint]) @ AXES  # in FLAME's axes
        found = self.bent(joint, AXES)
        for row in range(3):
            for column in range(3):
                skinned = self.weights[:, joint, None] * arm[:, column, None] * AXES[:, row]
                if np.abs(skinned).max() > _NOTHING_M or (row, column) in found:
                    found[row, column] = found.get((row, column), 0.0) + skinned
        return found


def load_face(
    path: Path = HEAD_FILE, betas: np.ndarray | None = None, expressions: int = N_EXPRESSION
) -> FaceFile:
    """Read the bundled head or a converted FLAME file; ``betas`` [300] are baked in."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return _build(data, Path(path), betas, expressions)
    except FileNotFoundError as error:
        raise HeadError(f"The face file {path} is gone; choose your FLAME file again.") from error
    except (*UNREADABLE, KeyError, IndexError) as error:
        raise HeadError(f"The face file {path} cannot be read: {error}.") from error


def _build(
    data: np.lib.npyio.NpzFile, path: Path, betas: np.ndarray | None, expressions: int
) -> FaceFile:
    is_head = "expression_names" in data.files
    directions = data["shapedirs"].astype(np.float32)
    vertices = data["v_template"].astype(np.float32)
    if betas is not None:
        vertices = vertices + directions[:, :, :IDENTITY_COMPONENTS] @ betas
    if is_head:
        names = [str(name) for name in data["expression_names"]]
    else:
        names = [f"expression_{index}" for index in range(expressions)]
    last = IDENTITY_COMPONENTS + len(names)
    moves = np.moveaxis(directions[:, :, IDENTITY_COMPONENTS:last], 2, 0)
    regressor = data["J_regressor"].astype(np.float32)
    bends = data["posedirs"].astype(np.float32).reshape(len(vertices), 3, 4, 3, 3)
    weights = data["weights"].astype(np.float32)
    version = str(data["version"]) if "version" in data.files else ""
    mesh = HeadMesh(
        vertices=blender_axes(vertices),
        shapes={name: blender_axes(move) for name, move in zip(names, moves, strict=True)},
        **(looks(data) if is_head else _flame_looks(data["f"], weights)),
        # A vertex group with a bone's name would follow that bone.
        regions={k + "_region" * (k in JOINTS): v for k, v in regions(data).items()},
        version=version,
    )
    return FaceFile(
        mesh=mesh,
        joints=blender_axes(regressor @ vertices),
        parents=(-1, *(int(parent) for parent in data["kintree_table"][0, 1:])),
        weights=weights,
        joint_shifts=blender_axes(np.einsum("v,nvc->nc", regressor[JAW], moves)),
        bends=np.einsum("xy,vyjab->vxjab", AXES, bends),
        space="head" if is_head else "flame",
        version="" if is_head else version,
        source="" if is_head else str(path),
    )


def _flame_looks(triangles: np.ndarray, weights: np.ndarray) -> dict[str, object]:
    """A FLAME file has no materials: skin, and eyeballs by the weights of their joints."""
    eyes = weights[:, 3:].sum(axis=1) > 0.5
    return {
        "polygons": [[int(v) for v in corners] for corners in triangles],
        "uv": None,
        "polygon_material": eyes[triangles].all(axis=1).astype(np.int32),
        "materials": [_SKIN, _EYE],
    }
