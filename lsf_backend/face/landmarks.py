# SPDX-License-Identifier: Apache-2.0
"""Places that every face has, on the bundled head by its regions, on a FLAME file by its geometry.

FLAME's files name no vertices, but they stand upright (y up, z to the front) and say what turns
with the jaw and the eyes: that is enough for the middle of the mouth's corners, nose, chin, eyes.
"""

from __future__ import annotations

import numpy as np

from ..errors import LsfError
from .face_model import FaceModel
from .nearest import nearest
from .registration import landmark_vertices, vertex_normals

_JAW, _EYES = 2, {"left": 3, "right": 4}
# The lower lip turns with the jaw, the upper one does not, and at rest they touch.
_LIPS_APART = 0.4
_LIPS_TOUCH_M = 0.004
# They look at each other, as two parts of one cheek do not.
_LIPS_FACE = 0.0
_MIDDLE_M = 0.008
_CHIN_BELOW_M = 0.022


def head_landmarks(head: FaceModel) -> dict[str, int]:
    """Vertices of the bundled head: those that people pick, and the fronts of the eyes."""
    return {**landmark_vertices(head), **_eye_fronts(head)}


def lip_pairs(face: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of upper and lower lip that touch at rest, ([n], [n]), right to left.

    Raises LsfError where the face's jaw does not part any lips.
    """
    turning = face.weights[:, _JAW]
    outside = face.weights[:, 3:].sum(axis=1) < 0.5
    upper = np.flatnonzero((turning < 0.5) & outside)
    lower = np.flatnonzero((turning >= 0.5) & outside)
    if not len(upper) or not len(lower):
        raise LsfError("identity_invalid", "No part of this face turns with its jaw.")
    distance, partner = nearest(face.v_template[upper]).query(face.v_template[lower])
    apart = turning[lower] - turning[upper[partner]]
    normals = vertex_normals(face.v_template, face.faces)
    facing = np.einsum("nx,nx->n", normals[lower], normals[upper[partner]])
    lips = (apart > _LIPS_APART) & (distance < _LIPS_TOUCH_M) & (facing < _LIPS_FACE)
    if lips.sum() < 4:
        raise LsfError("identity_invalid", "The lips of this face do not meet, or are not there.")
    upper, lower = upper[partner[lips]], lower[lips]
    order = np.argsort(face.v_template[lower, 0])
    return upper[order], lower[order]


def detected_landmarks(face: FaceModel) -> dict[str, int]:
    """Vertices of a face in FLAME's layout, under the names of ``head_landmarks``."""
    upper, lower = lip_pairs(face)
    place = face.v_template
    found = {"mouth_right": int(lower[0]), "mouth_left": int(lower[-1]), **_eye_fronts(face)}
    centre = 0.5 * (place[lower[0], 0] + place[lower[-1], 0])
    middle = np.abs(place[:, 0] - centre) < _MIDDLE_M
    lip_y = 0.5 * (place[upper, 1].mean() + place[lower, 1].mean())
    eye_y = np.mean([place[found[f"eye_front_{side}"], 1] for side in _EYES])
    nose = np.flatnonzero(middle & (place[:, 1] > lip_y) & (place[:, 1] < eye_y))
    chin = np.flatnonzero(middle & (place[:, 1] < lip_y - _CHIN_BELOW_M))
    if not len(nose) or not len(chin):
        raise LsfError("identity_invalid", "This face has no nose or chin where FLAME has them.")
    found["nose_tip"] = int(nose[place[nose, 2].argmax()])
    found["chin"] = int(chin[place[chin, 2].argmax()])
    return found


def _eye_fronts(face: FaceModel) -> dict[str, int]:
    found = {}
    for side, joint in _EYES.items():
        ball = np.flatnonzero(face.weights[:, joint] > 0.5)
        if len(ball):
            place = face.v_template[ball] - face.v_template[ball].mean(axis=0)
            beside = np.hypot(place[:, 0], place[:, 1]) + np.where(place[:, 2] > 0.0, 0.0, 1.0)
            found[f"eye_front_{side}"] = int(ball[beside.argmin()])
    if len(found) < 2:
        raise LsfError("identity_invalid", "This face has no eyeballs with joints of their own.")
    return found
