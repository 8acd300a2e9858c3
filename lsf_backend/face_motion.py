# SPDX-License-Identifier: Apache-2.0
"""In which face space a job's motion is, from the engine to the frames that go out.

An engine speaks ``head`` or ``flame``; a request wants ARKit weights (``head``) or motion of one of
the two. Between them stands the user's FLAME file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lsf_backend.engine.base import EngineInfo
from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_transfer import FlameTransfer, flame_face
from lsf_backend.protocol import AnimateRequest

SPACES = ("head", "flame")
_HINT = "Choose your FLAME file (.pkl or .npz from flame.is.tue.mpg.de)."


class FaceMotion:
    """Checked spaces of a request: ``made`` right behind the engine, ``final`` as it goes out.

    ``flame`` is the user's FLAME face, where one of the spaces is FLAME's and a file was given.
    """

    def __init__(
        self, request: AnimateRequest, info: EngineInfo, progress: Callable[[str, float], None]
    ) -> None:
        engine = info.face_space
        self.final = "head" if request.output == "arkit" else request.face_space or engine
        self.warnings: list[str] = []
        self.flame: FaceModel | None = None
        self._transfer: FlameTransfer | None = None
        # Layers are made of ARKit weights: motion becomes the head's as early, FLAME's as late as
        # it can.
        self._early = engine == "flame" and self.final == "head"
        self._late = engine == "head" and self.final == "flame"
        self.made = "head" if self._early else engine
        if "flame" not in (engine, self.final):
            return
        if not request.face:
            if self._early or self._late:
                raise LsfError(
                    "request_invalid",
                    f"The engine {request.engine!r} moves a {engine!r} face, which has no "
                    f"{'ARKit weights' if self._early else 'FLAME coefficients'} of its own: a "
                    "FLAME file has to stand between them.",
                    _HINT,
                )
            return
        self.flame, version = flame_face(request.face)
        if engine == "flame":
            self._check_version(info, version)
        if self._early or self._late:
            progress("fitting", 0.0)
            self._transfer = FlameTransfer(self.flame)

    def _check_version(self, info: EngineInfo, version: str) -> None:
        known = [v.split("-")[0] for v in (info.flame_version, version) if v and v != "unknown"]
        if len(set(known)) > 1:
            raise LsfError(
                "request_invalid",
                f"The checkpoint speaks FLAME {info.flame_version}, and the file is FLAME "
                f"{version}: their expression coefficients do not mean the same shapes.",
                f"Choose a FLAME {info.flame_version} file.",
            )
        if len(known) < 2:
            self.warnings.append(
                "The FLAME version of the checkpoint or of the file is not known; if the face "
                "looks wrong, they do not go together."
            )

    def after_engine(self, motion: np.ndarray) -> np.ndarray:
        """Motion [n, 53] of the engine -> in the space ``made``."""
        return self._transfer.head_motion(motion) if self._early and self._transfer else motion

    def going_out(self, motion: np.ndarray) -> np.ndarray:
        """Motion [n, 53] in the space ``made`` -> in the space ``final``."""
        return self._transfer.flame_motion(motion) if self._late and self._transfer else motion

    def notes(self) -> list[str]:
        """State what taking the motion over has cost."""
        if self._transfer is None:
            return []
        way = "FLAME to ARKit" if self._early else "ARKit to FLAME"
        return [f"{way} by geometry. {self._transfer.error().sentence()}"]
