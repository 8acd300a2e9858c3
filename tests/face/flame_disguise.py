# SPDX-License-Identifier: Apache-2.0
"""A face in FLAME's layout that is the bundled head in disguise: for tests that need a real face.

Only the skin and the eyeballs, a vertex in every sixth triangle, vertices in another order, another
size and place, a jaw that turns by skinning weights, and 50 signed expression coefficients that mix
the head's shapes as FLAME's components do.
"""

from pathlib import Path

import numpy as np

from lsf_backend.face.face_model import FaceModel

SIZE, SHIFT = 1.05, np.array([0.01, 0.2, -0.03])


def mixing() -> np.ndarray:
    """[50, 50] orthogonal: coefficients of the disguise -> the head's expression coefficients."""
    return np.linalg.qr(np.random.default_rng(2).normal(size=(50, 50)))[0]


def disguised_arrays() -> dict[str, np.ndarray]:
    """Arrays under FLAME's names."""
    head = FaceModel.load()
    eyes = np.flatnonzero(head.weights[:, 3:].sum(axis=1) > 0.5)
    regressed = np.flatnonzero(np.abs(head.j_regressor).sum(axis=0) > 0)
    names = head.extras["material_names"].tolist()
    outside = [names.index("skin"), names.index("lips")]
    skinned = np.isin(head.extras["polygon_material"], outside)
    skin = np.unique(head.extras["polygons"][skinned])
    skin = skin[skin >= 0]
    kept = np.union1d(np.union1d(skin, regressed), eyes)
    inside = [np.isin(head.faces, part).all(axis=1) for part in (skin, eyes)]
    corners = np.searchsorted(kept, head.faces[inside[0] | inside[1]])
    split, whole = corners[::6], np.delete(corners, np.s_[::6], axis=0)
    middle = len(kept) + np.arange(len(split))
    a, b, c = split.T
    sides = ((a, b, middle), (b, c, middle), (c, a, middle))
    triangles = np.concatenate([whole, *(np.stack(corner, axis=1) for corner in sides)])
    order = np.random.default_rng(0).permutation(len(kept) + len(split))

    def carried(values: np.ndarray) -> np.ndarray:
        both = np.concatenate([values[kept], values[kept][split].mean(axis=1)])
        return both[order].astype(np.float32)

    jaw = head.extras["jaw_bone_weights"][:, None] * (head.weights[:, 3:].sum(1) < 0.5)[:, None]
    weights = head.weights * (1.0 - jaw)
    weights[:, 2:3] += jaw
    shapedirs = head.shapedirs.copy()
    shapedirs[:, :, 300:350] = head.shapedirs[:, :, 300:350] @ mixing()
    regressor = np.concatenate([head.j_regressor[:, kept], np.zeros((5, len(split)))], axis=1)
    return {
        "v_template": SIZE * carried(head.v_template) + SHIFT,
        "f": np.argsort(order)[triangles],
        "shapedirs": SIZE * carried(shapedirs),
        "posedirs": np.zeros((len(order), 3, 36)),
        "J_regressor": regressor[:, order],
        "weights": carried(weights),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }


def write_disguise(path: Path) -> Path:
    """Write the disguise as a FLAME ``.npz``; a name with 2020 or 2023 in it states the version."""
    np.savez(path, **disguised_arrays())
    return path
