# SPDX-License-Identifier: Apache-2.0
"""A face in FLAME's format: template, shape directions, joints; posed by linear blend skinning.

Reads our ``.npz`` files (the bundled head). Numpy only, float32, vectorised over frames T; V is the
number of vertices. Joints in FLAME's order: root, neck, jaw, left eye, right eye.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import LsfError
from .arkit import ARKIT_NAMES, JAW_NAMES

BUNDLED_HEAD = Path(__file__).parents[1] / "assets" / "head.npz"
N_BETAS, N_EXPRESSION = 300, 50
_ROOT, _NECK, _JAW, _EYES = 0, 1, 2, (3, 4)

# Name -> shape; V is the number of vertices, None any length.
_REQUIRED: dict[str, tuple[int | str | None, ...]] = {
    "v_template": ("V", 3),
    "f": (None, 3),
    "shapedirs": ("V", 3, 400),
    "posedirs": ("V", 3, 36),
    "J_regressor": (5, "V"),
    "weights": ("V", 5),
    "kintree_table": (2, 5),
}


@dataclass(frozen=True)
class FaceModel:
    """Geometry of a face. Lengths in metres, angles in radians (axis-angle).

    v_template [V, 3]; shapedirs [V, 3, 400] (300 identity z-scores, then expression); posedirs
    [V, 3, 36]; j_regressor [5, V]; weights [V, 5]; parents [5]; faces [F, 3]. The bundled head also
    has jaw_shapes [3, V, 3] (straight-line jawOpen, jawLeft, jawRight), regions (vertex lists) and
    extras (polygons, uv, materials, names, version, provenance) as stored.
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    j_regressor: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    faces: np.ndarray
    jaw_shapes: np.ndarray | None = None
    regions: dict[str, np.ndarray] = field(default_factory=dict)
    extras: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | str = BUNDLED_HEAD) -> FaceModel:
        """Read a face file; raises LsfError with one sentence where it is missing or not one."""
        arrays = _read(Path(path))
        taken = {*_REQUIRED, "jaw_shapes"}
        jaw = arrays.get("jaw_shapes")
        return cls(
            v_template=_float32(arrays["v_template"]),
            shapedirs=_float32(arrays["shapedirs"]),
            posedirs=_float32(arrays["posedirs"]),
            j_regressor=_float32(arrays["J_regressor"]),
            weights=_float32(arrays["weights"]),
            parents=np.array([-1, *arrays["kintree_table"][0, 1:]], dtype=np.int64),
            faces=arrays["f"].astype(np.int64),
            jaw_shapes=None if jaw is None else _float32(jaw),
            regions={k[7:]: a for k, a in arrays.items() if k.startswith("region_")},
            extras={k: a for k, a in arrays.items() if k not in taken and k[:7] != "region_"},
        )

    @property
    def n_vertices(self) -> int:
        """Number of vertices V."""
        return len(self.v_template)

    def shaped(self, betas: np.ndarray | None = None) -> np.ndarray:
        """Return the resting face [V, 3] m of an identity: betas [<=300] z-scores."""
        return self.v_template + _directions(self.shapedirs[:, :, :N_BETAS], betas, "betas")

    def vertices(
        self,
        betas: np.ndarray | None,
        expression: np.ndarray,
        jaw_pose: np.ndarray,
        *,
        global_pose: np.ndarray | None = None,
        neck_pose: np.ndarray | None = None,
        eye_pose: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return posed vertices [T, V, 3] m.

        betas [<=300]; expression [T, 50]; jaw_pose, global_pose, neck_pose [T, 3] rad;
        eye_pose [T, 6] rad (left, right). Poses left out are zero.
        """
        expression = _frames(expression, N_EXPRESSION, "expression")
        jaw_pose = _frames(jaw_pose, 3, "jaw_pose")
        rest = self.shaped(betas)
        if self._expression_joints is not None:
            offset = (expression @ self._expression_joints).reshape(len(expression), 5, 3)
        else:
            offset = np.zeros((1, 5, 3), np.float32)
        joints = self.j_regressor @ rest + offset
        others = (global_pose, neck_pose, eye_pose)
        few = 2 * len(self._jaw_vertices) < self.n_vertices
        if few and all(pose is None for pose in others):
            return self._jaw_only(rest, expression, jaw_pose, joints)
        turns: np.ndarray = np.broadcast_to(
            np.eye(3, dtype=np.float32), (len(jaw_pose), 5, 3, 3)
        ).copy()
        turns[:, _JAW] = rotations(jaw_pose)
        for joint, pose in ((_ROOT, global_pose), (_NECK, neck_pose)):
            if pose is not None:
                turns[:, joint] = rotations(_frames(pose, 3, "pose"))
        if eye_pose is not None:
            eyes = _frames(eye_pose, 6, "eye_pose").reshape(-1, 2, 3)
            turns[:, _EYES] = rotations(eyes)
        moved = expression @ self._directions[:N_EXPRESSION]
        return self._skinned(rest, moved, turns, joints)

    def arkit_vertices(self, weights: np.ndarray, betas: np.ndarray | None = None) -> np.ndarray:
        """Return the face as shape keys make it (all shapes straight lines).

        ARKit weights [T, 52], betas [<=300] -> [T, V, 3] m.
        """
        weights = _frames(weights, len(ARKIT_NAMES), "ARKit weights")
        moved = weights @ self.arkit_shapes().reshape(len(ARKIT_NAMES), -1)
        return self.shaped(betas) + moved.reshape(len(weights), self.n_vertices, 3)

    def arkit_shapes(self, vertices: np.ndarray | None = None) -> np.ndarray:
        """Return the 52 shapes as displacements [52, V, 3] m, or of some vertices only."""
        if self.jaw_shapes is None or "expression_names" not in self.extras:
            raise LsfError(
                "model_invalid",
                "This face has no ARKit shapes.",
                "Use the bundled head for ARKit weights.",
            )
        rows: slice | np.ndarray = slice(None) if vertices is None else vertices
        names = self.extras["expression_names"].tolist()
        shapes = [
            self.jaw_shapes[JAW_NAMES.index(name), rows]
            if name in JAW_NAMES
            else self.shapedirs[rows, :, N_BETAS + names.index(name)]
            for name in ARKIT_NAMES
        ]
        return np.stack(shapes)

    @cached_property
    def _directions(self) -> np.ndarray:
        """Displacements by expression and by the jaw's R - I, as rows [50 + 9, V * 3]."""
        expression = self.shapedirs[:, :, N_BETAS : N_BETAS + N_EXPRESSION]
        both = np.concatenate([expression, self.posedirs[:, :, 9:18]], axis=2)
        return np.ascontiguousarray(both.reshape(-1, N_EXPRESSION + 9).T)

    @cached_property
    def _expression_joints(self) -> np.ndarray | None:
        """Displacement of the joints by the expression [50, 15]; FLAME regresses them as well."""
        directions = self.shapedirs[:, :, N_BETAS : N_BETAS + N_EXPRESSION]
        moved = np.einsum("jv,vce->ejc", self.j_regressor, directions)
        return moved.reshape(N_EXPRESSION, 15) if np.any(moved) else None

    @cached_property
    def _jaw_vertices(self) -> np.ndarray:
        return np.flatnonzero(self.weights[:, _JAW] > 0)

    def _jaw_only(
        self, rest: np.ndarray, expression: np.ndarray, jaw_pose: np.ndarray, joints: np.ndarray
    ) -> np.ndarray:
        """Skinning where only the jaw turns: v + w (R - I)(v - joint) on the jaw's vertices."""
        turn: np.ndarray = rotations(jaw_pose) - np.eye(3, dtype=np.float32)
        moved = np.hstack([expression, turn.reshape(len(turn), 9)]) @ self._directions
        out = moved.reshape(len(turn), self.n_vertices, 3)
        out += rest
        rows = self._jaw_vertices
        if len(rows):
            arm = out[:, rows] - joints[:, None, _JAW]
            out[:, rows] += self.weights[rows, _JAW, None] * (arm @ turn.transpose(0, 2, 1))
        return out

    def _skinned(
        self, rest: np.ndarray, moved: np.ndarray, turns: np.ndarray, joints: np.ndarray
    ) -> np.ndarray:
        """Full skinning: turns [T, 5, 3, 3], joints [T or 1, 5, 3]."""
        n_frames = len(turns)
        joints = np.broadcast_to(joints, (n_frames, 5, 3))
        bend: np.ndarray = (turns[:, 1:] - np.eye(3, dtype=np.float32)).reshape(n_frames, 36)
        moved = moved + bend @ self.posedirs.reshape(-1, 36).T
        points = rest + moved.reshape(n_frames, self.n_vertices, 3)
        turn: np.ndarray = turns.copy()
        place = joints.copy()
        for joint in range(1, 5):
            parent = self.parents[joint]
            arm = joints[:, joint] - joints[:, parent]
            turn[:, joint] = turn[:, parent] @ turns[:, joint]
            place[:, joint] = place[:, parent] + np.einsum("tij,tj->ti", turn[:, parent], arm)
        shift = place - np.einsum("tkij,tkj->tki", turn, joints)
        mixed = np.einsum("vk,tkij->tvij", self.weights, turn, optimize=True)
        return np.einsum("tvij,tvj->tvi", mixed, points) + self.weights @ shift


def rotations(rotvec: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: axis-angle [.., 3] rad -> rotation matrices [.., 3, 3] float32."""
    rotvec = np.asarray(rotvec, dtype=np.float32)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    cross = np.zeros((*rotvec.shape[:-1], 3, 3), dtype=np.float32)
    x, y, z = np.moveaxis(rotvec, -1, 0)
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross -= np.swapaxes(cross, -1, -2)
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return (np.eye(3) + first * cross + second * cross @ cross).astype(np.float32)


def _directions(directions: np.ndarray, values: np.ndarray | None, name: str) -> np.ndarray:
    if values is None:
        return np.zeros(directions.shape[:2], dtype=np.float32)
    values = np.asarray(values, dtype=np.float32)
    limit = directions.shape[2]
    if values.ndim != 1 or len(values) > limit or not np.all(np.isfinite(values)):
        raise LsfError(
            "identity_invalid",
            f"{name} must be one row of at most {limit} finite numbers, got shape "
            f"{list(values.shape)}.",
        )
    flat = directions.reshape(-1, limit)[:, : len(values)] @ values
    return flat.reshape(directions.shape[:2])


def _frames(values: np.ndarray, width: int, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != width:
        raise ValueError(f"{name} must have the shape [T, {width}], got {list(values.shape)}")
    return values


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise LsfError("model_missing", f"The face file {path} is missing.")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("one array, not an archive")
        with archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise LsfError("model_invalid", f"The face file {path} cannot be read.") from error
    problem = _problem(arrays)
    if problem:
        raise LsfError("model_invalid", f"The face file {path} is not a face model: {problem}.")
    return arrays


def _problem(arrays: dict[str, np.ndarray]) -> str:
    """Return what is wrong with the arrays in a few words, or an empty string."""
    for name, expected in _REQUIRED.items():
        if name not in arrays:
            return f"{name} is missing"
        count = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
        shape = tuple(count if size == "V" else size for size in expected)
        found = arrays[name].shape
        if len(found) != len(shape) or any(
            size not in (None, got) for size, got in zip(shape, found, strict=True)
        ):
            return f"{name} has the shape {list(found)}"
        if arrays[name].dtype.kind not in "fiu" or not np.all(np.isfinite(arrays[name])):
            return f"{name} does not hold finite numbers"
    if arrays["f"].size and not 0 <= arrays["f"].min() <= arrays["f"].max() < count:
        return "f names vertices that do not exist"
    parents = arrays["kintree_table"][0, 1:]
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents.tolist(), start=1)):
        return "kintree_table is not a tree in order"
    return ""
