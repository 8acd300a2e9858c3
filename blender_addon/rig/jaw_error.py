# SPDX-License-Identifier: GPL-3.0-or-later
"""What a face without bones leaves out: how far its jaw keys are from the model's skinning, in mm.

Jaw keys turn the neutral face. Skinning also turns what the expression and the pose correctives
have added to it: by w (R - I) (E + B - J), with w the jaw's weight, R its rotation, E and B these
offsets, and J the way of the jaw's joint.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from .face_file import AXES, HEAD_FILE, JAW, FaceFile, load_face
from .face_rig import SOURCE
from .face_target import JAW_CHANNELS, FaceTarget, rotations
from .head_file import HeadError

_FRAMES_AT_ONCE = 64
_MOST_FRAMES = 1500  # a minute; of longer takes as many frames, evenly spaced


def sentence(target: FaceTarget, values: np.ndarray, channels: tuple[str, ...]) -> str:
    """Mean and largest error of frames [T, C] on a face with jaw keys; '' where there is none."""
    mesh = next(iter(target.objects()), None)
    if target.rig_name or mesh is None:
        return ""
    try:
        face = load_face(Path(str(mesh.get(SOURCE, "")) or HEAD_FILE))
    except HeadError:
        return ""  # a face of another machine, whose file is not here
    if len(face.weights) != len(mesh.data.vertices):
        return ""
    step = -(-len(values) // _MOST_FRAMES)
    error = _size_mm(mesh) * errors_m(face, values[::step], channels)
    if not error.size:
        return ""
    return (
        f"'{mesh.name}' has no jaw bone: its keys are {error.mean():.2f} mm from the model's "
        f"skinning on average where the jaw moves it, {error.max():.1f} mm at most."
    )


def errors_m(face: FaceFile, values: np.ndarray, channels: tuple[str, ...]) -> np.ndarray:
    """Errors [T, n] in m at the n vertices that the jaw carries."""
    carried = np.flatnonzero(face.weights[:, JAW] > 0.0)
    column = {name: index for index, name in enumerate(channels)}
    known = [(i, name) for i, name in enumerate(face.mesh.shapes) if name in column]
    expression = values[:, [column[name] for _, name in known]]
    shifts = face.joint_shifts[[i for i, _ in known]]
    moves = np.stack([face.mesh.shapes[name][carried] for _, name in known]) - shifts[:, None]
    turned = rotations(values[:, [column[name] for name in JAW_CHANNELS]]) - np.eye(3)
    bends = {entry: delta[carried] for entry, delta in face.bent(JAW, AXES).items()}
    found = np.empty((len(values), len(carried)), dtype=np.float32)
    for first in range(0, len(values), _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        added = np.tensordot(expression[part], moves, axes=1)
        for entry, delta in bends.items():
            added += turned[part, entry[0], entry[1], None, None] * delta
        off = np.einsum("tij,tvj->tvi", turned[part], added @ AXES)
        found[part] = face.weights[carried, JAW] * np.linalg.norm(off, axis=2)
    return found


def _size_mm(mesh: bpy.types.Object) -> float:
    scenes = mesh.users_scene
    unit = float(scenes[0].unit_settings.scale_length) if scenes else 1.0
    return 1000.0 * unit * float(np.mean(np.abs(mesh.matrix_world.to_scale())))
