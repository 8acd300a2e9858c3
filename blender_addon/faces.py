# SPDX-License-Identifier: GPL-3.0-or-later
"""The face that a take or the panel adds: the bundled head or a FLAME file, as shapes or bones.

A FLAME file is never read here: the backend makes a safe copy of it, which is plain numbers.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import bpy
import numpy as np

from lsf_backend.protocol import HEAD_FILE, AnimateRequest

from .bridge.backend import Backend, Failed
from .rig import face_rig
from .rig.face_file import N_EXPRESSION, load_face
from .rig.head import create_head
from .rig.head_file import HeadError
from .rig.rollback import Rollback

SHAPES, BONES = "shapes", "bones"
MOST_EXPRESSIONS = 100


@dataclasses.dataclass(frozen=True)
class FaceChoice:
    """What to add. ``flame``: the user's file, '' for the bundled head; ``rig``: shapes or bones.

    The bundled head as shapes has ARKit's 52; a FLAME file as shapes has its jaw baked into keys.
    """

    flame: str = ""
    rig: str = SHAPES
    expressions: int = N_EXPRESSION

    def problem(self) -> str:
        """Why such a face cannot be, in one sentence; empty where it can."""
        if self.rig not in (SHAPES, BONES):
            return f"A face is made of {SHAPES} or {BONES}, not of '{self.rig}'."
        if not N_EXPRESSION <= self.expressions <= MOST_EXPRESSIONS:
            return f"{self.expressions} expressions: {N_EXPRESSION} to {MOST_EXPRESSIONS} can be."
        if self.flame and not Path(self.flame).is_file():
            return f"The FLAME file {self.flame} does not exist."
        return ""

    @property
    def space(self) -> str:
        """Face space of the new face."""
        return "flame" if self.flame else "head"

    @property
    def output(self) -> str:
        """Frames that it wants."""
        return "arkit" if not self.flame and self.rig == SHAPES else "motion"

    def asked_of(self, request: AnimateRequest, flame: str) -> AnimateRequest:
        """Return the request for frames of this face; ``flame`` stands between engine and face."""
        space = self.space if self.output == "motion" else ""
        face = self.flame or flame
        return dataclasses.replace(
            request,
            output=self.output,
            face=face,
            face_space=space,
            jaw_keys=self.rig == SHAPES,
            identity_space=self.space,
        )

    def sentence(self) -> str:
        """What will be added, for the panel."""
        if not self.flame:
            how = "52 shapes" if self.rig == SHAPES else "expression shapes, jaw and eye bones"
            return f"The bundled head will be added ({how})."
        how = "jaw keys" if self.rig == SHAPES else "jaw and eye bones"
        return (
            f"A head of {Path(self.flame).name} will be added ({self.expressions} shapes, {how})."
        )


def converted(backend: Backend, path: str) -> Path:
    """Let the backend make its safe copy of a FLAME file; raises HeadError with its sentence."""
    answer = backend.ask("convert_face", {"face": path})
    if isinstance(answer, Failed):
        raise HeadError(answer.sentence())
    return Path(str(answer.header.get("path")))


def add_face(
    scene: bpy.types.Scene, choice: FaceChoice, safe: Path | None, betas: np.ndarray | None
) -> bpy.types.Object:
    """Add the face; ``safe`` is what ``converted`` gave. Gives the mesh."""
    if choice.output == "arkit":
        return create_head(scene, betas)
    if bpy.context.scene != scene:
        raise HeadError(f"A rig can be made in the shown scene only, not in '{scene.name}'.")
    if bpy.context.mode != "OBJECT":
        raise HeadError("Switch to Object Mode first: a rig cannot be made in another mode.")
    face = load_face(safe or HEAD_FILE, betas, choice.expressions)
    mode = face_rig.BONES if choice.rig == BONES else face_rig.KEYS
    title = f"FLAME {face.version}" if choice.flame else "LSF Head"
    return face_rig.create_rig(scene, face, mode, title, betas)


def forget_if_failed(rollback: Rollback, head: bpy.types.Object) -> None:
    """Let a failed take remove a face that ``add_face`` added."""
    if head.parent is not None:
        rollback.new_object(head.parent)
    rollback.new_object(head)
