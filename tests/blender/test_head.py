# SPDX-License-Identifier: Apache-2.0
"""The bundled head in Blender: the same vertices as the head file, the 52 names, the identity."""

import bpy
import numpy as np
import pytest

from blender_addon.rig import head_file
from blender_addon.rig.head import betas_of, create_head
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.protocol import HEAD_FILE

if not HEAD_FILE.is_file():
    pytest.skip("the bundled head is not built", allow_module_level=True)


def points_of(data) -> np.ndarray:
    points = np.empty(len(data) * 3, dtype=np.float32)
    data.foreach_get("co", points)
    return points.reshape(-1, 3)


def test_the_head_is_the_file_in_blenders_axes(scene) -> None:
    obj = create_head(scene)
    with np.load(HEAD_FILE, allow_pickle=False) as data:
        template, jaw = data["v_template"], data["jaw_shapes"][0]
    x, y, z = template.T
    assert np.allclose(points_of(obj.data.vertices), np.stack([x, -z, y], axis=1), atol=1e-6)
    assert obj.data.shape_keys.key_blocks.keys() == ["Basis", *ARKIT_NAMES]
    blocks = obj.data.shape_keys.key_blocks
    opened = points_of(blocks["jawOpen"].data) - points_of(blocks["Basis"].data)
    assert np.allclose(opened[:, 2], jaw[:, 1], atol=1e-6)
    assert opened[:, 2].min() < -0.01, "the jaw goes down"
    assert len(obj.material_slots) >= 5 and obj.data.uv_layers
    assert {slot.material.diffuse_color[:] for slot in obj.material_slots}
    assert obj.vertex_groups.get("lips") is not None
    assert not obj.data.validate(), "Blender has nothing to repair"


def test_an_identity_is_baked_into_the_basis_and_remembered(scene, tmp_path) -> None:
    betas = np.zeros(300, dtype=np.float32)
    betas[:3] = (2.0, -1.0, 1.0)
    np.save(tmp_path / "betas.npy", betas)
    scene.lsf.identity = str(tmp_path / "betas.npy")
    assert bpy.ops.lsf.create_head() == {"FINISHED"}
    obj = scene.lsf.head
    assert np.allclose(betas_of(obj), betas)
    with np.load(HEAD_FILE, allow_pickle=False) as data:
        wanted = data["v_template"] + data["shapedirs"][:, :, :300].astype(np.float32) @ betas
    found = points_of(obj.data.shape_keys.key_blocks["Basis"].data)
    assert np.allclose(found[:, 2], wanted[:, 1], atol=1e-5)
    plain = head_file.load_head().vertices
    assert np.linalg.norm(found - plain, axis=1).max() > 1e-3


def test_a_head_stands_clear_of_the_default_cube(scene) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2.0)
    cube = bpy.context.object
    bpy.context.view_layer.update()
    obj = create_head(scene)
    back = obj.location.y + max(corner[1] for corner in obj.bound_box)
    assert back < cube.location.y - 1.0


def test_a_missing_head_file_is_one_sentence(tmp_path) -> None:
    with pytest.raises(head_file.HeadError, match="missing"):
        head_file.load_head(path=tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(head_file.HeadError, match="cannot be read"):
        head_file.load_head(path=tmp_path / "broken.npz")
