# SPDX-License-Identifier: GPL-3.0-or-later
"""The target that a face in FLAME's format is: expression as shape keys, the jaw as a bone.

Frames are ``motion``: expression coefficients and the jaw's axis-angle in radians.
"""

from __future__ import annotations

import dataclasses

import bpy
import numpy as np

from . import bones
from .arkit_mesh import lip_vertices, shape_concerns
from .face_file import AXES, JAW, JOINTS
from .face_rig import BONES, MODE, SHIFTS, SPACE, VERSION, entry_name
from .target import Curve, Owner, bone_path, shape_key_path

JAW_CHANNELS = ("jaw_x_rad", "jaw_y_rad", "jaw_z_rad")
JAW_BONE = JOINTS[JAW]


@dataclasses.dataclass(frozen=True)
class FaceTarget:
    """A mesh that ``face_rig.create_rig`` made, with its armature ('' in mode ``keys``)."""

    name: str
    rig_name: str
    space: str
    version: str
    output: str = "motion"

    def objects(self) -> list[bpy.types.Object]:
        """Return the mesh and its armature."""
        found = (bpy.data.objects.get(name) for name in (self.name, self.rig_name) if name)
        objects = [obj for obj in found if obj is not None]
        return objects if objects and objects[0].name == self.name else []

    def _shapes(self) -> list[str]:
        """Names of the shape keys that are keyed: all but those with drivers."""
        blocks = self.objects()[0].data.shape_keys.key_blocks
        corrected = tuple(f"{joint} R" for joint in JOINTS) if self.rig_name else ()
        return [name for name in blocks.keys()[1:] if not name.startswith(corrected)]

    def paths(self) -> dict[Owner, set[str]]:
        """Give the expression's shape keys, and the jaw's turn and place."""
        objects = self.objects()
        if not objects or objects[0].data.shape_keys is None:
            return {}
        key = Owner.of(objects[0].data.shape_keys)
        found = {key: {shape_key_path(name) for name in self._shapes()}}
        if self.rig_name and len(objects) == 2:
            turn, place = bone_path(JAW_BONE), bone_path(JAW_BONE, "location")
            moves = bool(self._shifts(objects[0]).any())
            found[Owner.of(objects[1])] = {turn, place} if moves else {turn}
        return found

    def _shifts(self, mesh: bpy.types.Object) -> np.ndarray:
        return np.array(mesh.get(SHIFTS, ()), dtype=np.float32).reshape(-1, 3)

    def curves(self, values: np.ndarray, channels: tuple[str, ...]) -> list[Curve]:
        """Expression copied by name; the jaw as a quaternion with a continuous sign."""
        mesh, *rigs = self.objects()
        key = Owner.of(mesh.data.shape_keys)
        column = {name: index for index, name in enumerate(channels)}
        names = [name for name in self._shapes() if name in column]
        found = [Curve(key, shape_key_path(name), values[:, column[name]]) for name in names]
        jaw = np.stack([values[:, column[name]] for name in JAW_CHANNELS], axis=1)
        if not rigs:
            turned = rotations(jaw) - np.eye(3, dtype=np.float32)
            for entry in np.ndindex(3, 3):
                name = entry_name(JAW_BONE, entry)
                if name in mesh.data.shape_keys.key_blocks:
                    found.append(Curve(key, shape_key_path(name), turned[:, *entry]))
            return found
        axes = np.array(rigs[0].data.bones[JAW_BONE].matrix_local.to_3x3(), dtype=np.float32)
        local = jaw @ (axes.T @ AXES).T
        owner, quaternion = Owner.of(rigs[0]), quaternions(local)
        path = bone_path(JAW_BONE)
        found += [Curve(owner, path, quaternion[:, part], part) for part in range(4)]
        shifts = self._shifts(mesh)
        if shifts.any():  # the joint itself goes along with the expression
            moved = values[:, [column[name] for name in names]] @ shifts[: len(names)] @ axes
            back = moved - np.einsum("tij,tj->ti", rotations(local), moved)
            path = bone_path(JAW_BONE, "location")
            found += [Curve(owner, path, back[:, part], part) for part in range(3)]
        return found

    def lips(self) -> np.ndarray:
        """Vertices of the lips, where the face has that region."""
        return lip_vertices(self.objects()[0], [])

    def summary(self) -> str:
        """Say what there is."""
        jaw = "a jaw bone" if self.rig_name else "jaw keys"
        face = f"FLAME {self.version}" if self.space == "flame" else "head"
        return f"{self.name}: {face}, {len(self._shapes())} shapes and {jaw}"

    def concerns(self) -> list[str]:
        """Muted shapes, drivers, and what holds the jaw."""
        mesh, *rigs = self.objects()
        found = shape_concerns(mesh, self._shapes())
        for rig in rigs:
            found += bones.concerns(rig, [JAW_BONE] if JAW_BONE in rig.pose.bones else [])
        bone = rigs[0].pose.bones.get(JAW_BONE) if rigs else None
        if bone is not None and bone.rotation_mode != "QUATERNION":
            found.append(f"The bone '{JAW_BONE}' of '{rigs[0].name}' is not in quaternion mode.")
        return found


def recognise(obj: bpy.types.Object) -> FaceTarget | None:
    """Return the target that a made face is; None for another object."""
    if obj.type != "MESH" or obj.get(SPACE) is None or obj.data.shape_keys is None:
        return None
    rig = obj.parent if obj.get(MODE) == BONES else None
    if obj.get(MODE) == BONES and (rig is None or JAW_BONE not in rig.data.bones):
        return None
    return FaceTarget(obj.name, rig.name if rig else "", str(obj[SPACE]), str(obj.get(VERSION, "")))


def quaternions(rotvec: np.ndarray) -> np.ndarray:
    """Axis-angle [T, 3] rad -> unit quaternions [T, 4] (w x y z), neighbours on the same side."""
    half = 0.5 * np.linalg.norm(rotvec, axis=1, keepdims=True)
    found = np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * rotvec], axis=1)
    flips = np.einsum("ti,ti->t", found[1:], found[:-1]) < 0.0
    found[1:] *= np.cumprod(np.where(flips, -1.0, 1.0))[:, None]
    return found.astype(np.float32)


def rotations(rotvec: np.ndarray) -> np.ndarray:
    """Axis-angle [T, 3] rad -> rotation matrices [T, 3, 3] float32."""
    w, x, y, z = quaternions(rotvec).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)
