# SPDX-License-Identifier: Apache-2.0
"""Rigs of faces in FLAME's format: every vertex of every frame where the model's LBS puts it."""

import numpy as np
import pytest

from blender_addon.rig import actions, check, face_file, face_rig, face_target, jaw_error, targets
from blender_addon.rig.clip import Clip
from blender_addon.rig.rollback import Rollback
from blender_addon.rig.target import Owner
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_file import convert_flame
from lsf_backend.protocol import HEAD_FILE
from tests.face.flame_fabricate import flame_2020, flame_arrays

FRAMES = 12


def made_flame(tmp_path):
    """A FLAME file of the true layout: random numbers, so that no term of the model is zero."""
    source = tmp_path / "generic_model.pkl"
    source.write_bytes(flame_2020(flame_arrays(200, 300)))
    return convert_flame(source, folder=tmp_path)


@pytest.fixture(params=["head", "flame"])
def path(request, tmp_path):
    return HEAD_FILE if request.param == "head" else made_flame(tmp_path)


def clip_of(model: FaceModel) -> np.ndarray:
    """Motion [T, 53]: the mouth opens far and turns, all expressions are used, with signs."""
    rng = np.random.default_rng(1)
    motion = rng.normal(0, 0.5, (FRAMES, 53)).astype(np.float32)
    motion[:, 50:] = rng.normal(0, 0.2, (FRAMES, 3))
    motion[:, 50] += np.linspace(0, 0.5, FRAMES)
    motion[0] = 0.0
    return motion


def channels(obj) -> tuple[str, ...]:
    names = obj.data.shape_keys.key_blocks.keys()[1:51]
    return (*names, *face_target.JAW_CHANNELS)


def farthest_mm(scene, obj, model, motion, betas) -> np.ndarray:
    """Largest distance in each frame [T] between the evaluated mesh and the model's LBS, mm."""
    wanted = model.vertices(betas, motion[:, :50], motion[:, 50:])
    wanted = wanted @ face_file.AXES.T
    off = []
    here = np.array(obj.matrix_world.translation)
    for frame in range(len(motion)):
        points = check.evaluated_points(scene, obj, frame + 1.0) - here
        off.append(1000 * np.linalg.norm(points - wanted[frame], axis=1).max())
    return np.array(off)


def bake(obj, motion) -> None:
    target = targets.target_of(obj)
    Clip("test", [target], Rollback()).write(np.arange(len(motion)) + 1.0, motion, channels(obj))


@pytest.fixture
def betas() -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.5, 300).astype(np.float32)


def test_the_rig_is_vertex_exact_at_every_frame(scene, path, betas) -> None:
    model = FaceModel.load(path)
    motion = clip_of(model)
    obj = face_rig.create_rig(scene, face_file.load_face(path, betas), betas=betas)
    bake(obj, motion)
    off = farthest_mm(scene, obj, model, motion, betas)
    moved = model.vertices(betas, motion[:, :50], motion[:, 50:]) - model.shaped(betas)
    assert np.abs(moved).max() > 0.01, "the clip moves the face"
    assert off.max() < 0.1, off


def test_the_drivers_need_no_python(scene, path) -> None:
    obj = face_rig.create_rig(scene, face_file.load_face(path))
    drivers = obj.data.shape_keys.animation_data.drivers
    assert len(drivers) and all(d.driver.is_simple_expression for d in drivers)
    assert not any(
        d.data_path in paths for paths in targets.target_of(obj).paths().values() for d in drivers
    )
    assert not targets.target_of(obj).concerns()


def test_the_keys_mode_bends_the_jaw_without_a_bone(scene, path) -> None:
    """Exact where the correctives are all there is; else what they turn themselves is left out."""
    model = FaceModel.load(path)
    motion = clip_of(model)
    motion[:, :50] = 0.0
    obj = face_rig.create_rig(scene, face_file.load_face(path), face_rig.KEYS)
    assert obj.parent is None
    bake(obj, motion)
    exact = not model.weights[:, face_file.JAW].any()
    assert farthest_mm(scene, obj, model, motion, None).max() < (0.1 if exact else 1.0)


def test_what_the_keys_mode_leaves_out_is_said_in_mm(scene, path, betas) -> None:
    model = FaceModel.load(path)
    motion = clip_of(model)
    obj = face_rig.create_rig(scene, face_file.load_face(path, betas), face_rig.KEYS, betas=betas)
    bake(obj, motion)
    off = farthest_mm(scene, obj, model, motion, betas)
    face = face_file.load_face(path)
    if not model.weights[:, face_file.JAW].any():  # the bundled head: correctives are all there is
        assert off.max() < 0.1
        assert not jaw_error.sentence(targets.target_of(obj), motion, channels(obj))
        return
    told = 1000 * jaw_error.errors_m(face, motion, channels(obj))
    assert off.max() > 0.5, "there is something to say"
    np.testing.assert_allclose(told.max(axis=1), off, atol=0.05)
    sentence = jaw_error.sentence(targets.target_of(obj), motion, channels(obj))
    assert f"{told.mean():.2f} mm from" in sentence and f"{off.max():.1f} mm at most" in sentence
    rig = face_rig.create_rig(scene, face)
    assert not jaw_error.sentence(targets.target_of(rig), motion, channels(rig))


def test_quaternions_never_jump_sides() -> None:
    angles = np.linspace(0, 4 * np.pi, 60)[:, None] * np.array([[0.6, 0.0, 0.8]])
    wrapped = angles.copy()
    length = np.linalg.norm(angles, axis=1)
    over = length > np.pi
    wrapped[over] *= ((length[over] - 2 * np.pi) / length[over])[:, None]
    found = face_target.quaternions(wrapped)
    assert (np.einsum("ti,ti->t", found[1:], found[:-1]) > 0.5).all()
    turned = face_target.rotations(wrapped) @ face_target.rotations(angles).transpose(0, 2, 1)
    assert np.allclose(turned, np.eye(3), atol=1e-5)


def test_one_clip_holds_face_and_rig(scene, path) -> None:
    obj = face_rig.create_rig(scene, face_file.load_face(path))
    bake(obj, clip_of(FaceModel.load(path)))
    key, rig = Owner.of(obj.data.shape_keys), Owner.of(obj.parent)
    assert actions.active(key) and (actions.active(key) == actions.active(rig)) == actions.SLOTS
    assert {b.name for b in obj.parent.data.bones} == set(face_file.JOINTS)
