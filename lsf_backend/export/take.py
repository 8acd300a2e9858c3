# SPDX-License-Identifier: Apache-2.0
"""A finished take: its motion and what is needed to make it again."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.face.head_space import arkit_from_motion


@dataclasses.dataclass(frozen=True)
class Take:
    """``motion``: [T, 53] float32 at 25 fps (50 expression, 3 jaw radians) in ``face_space``.

    ``extra`` maps channels of ``protocol.EXTRA_CHANNELS`` to [T] float32, where they were made.
    """

    motion: np.ndarray
    face_space: str
    metadata: dict[str, Any]
    extra: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def expression(self) -> np.ndarray:
        """Expression coefficients [T, 50] float32."""
        return self.motion[:, :50]

    @property
    def jaw_pose(self) -> np.ndarray:
        """Jaw joint as axis-angle [T, 3] float32 in radians."""
        return self.motion[:, 50:53]

    @property
    def has_arkit(self) -> bool:
        """True where ARKit weights follow from the motion: in the bundled head's face space."""
        return self.face_space == "head"

    def arkit(self) -> np.ndarray:
        """ARKit weights [T, 52] float32 in 0..1."""
        if not self.has_arkit:
            raise LsfError(
                "request_invalid",
                f"Motion of a {self.face_space!r} face has no ARKit weights.",
                "Write .npz, or choose the engine 'compact'.",
            )
        return arkit_from_motion(self.motion)
