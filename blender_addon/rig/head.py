# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the bundled head: one mesh with materials, UVs, regions and the 52 ARKit shape keys."""

from __future__ import annotations

import bpy
import numpy as np

from .head_file import HeadMesh, load_head

HEAD_NAME = "LSF Head"
BETAS_PROPERTY = "lsf_betas"
VERSION_PROPERTY = "lsf_head_version"
GAP_M, FARTHEST_M = 0.1, 5.0
ROUGHNESS = {"iris": 0.1, "pupil": 0.1, "sclera": 0.15, "teeth": 0.25, "tongue": 0.4}


def create_head(
    scene: bpy.types.Scene, betas: np.ndarray | None = None, head: HeadMesh | None = None
) -> bpy.types.Object:
    """Add the bundled head to ``scene``; ``betas`` [300] are baked into its basis."""
    obj = add_mesh(scene, head or load_head(betas), HEAD_NAME, betas)
    obj.location = free_place(scene, obj)
    return obj


def add_mesh(
    scene: bpy.types.Scene, head: HeadMesh, title: str, betas: np.ndarray | None
) -> bpy.types.Object:
    """Add the mesh with materials, regions and shape keys; ``betas`` say what was baked in."""
    obj = bpy.data.objects.new(title, _mesh(head, title))
    scene.collection.objects.link(obj)
    for name, indices in head.regions.items():
        obj.vertex_groups.new(name=name).add(indices.tolist(), 1.0, "REPLACE")
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, delta in head.shapes.items():
        add_shape(obj, name, delta)
    obj.data.shape_keys.name = obj.name
    obj[VERSION_PROPERTY] = head.version
    if betas is not None:
        obj[BETAS_PROPERTY] = [float(value) for value in betas]
    return obj


def add_shape(obj: bpy.types.Object, name: str, delta: np.ndarray) -> bpy.types.ShapeKey:
    """Add a shape key by its offsets [V, 3] m from the basis."""
    basis = np.empty(delta.size, dtype=np.float32)
    obj.data.shape_keys.key_blocks[0].points.foreach_get("co", basis)
    block = obj.shape_key_add(name=name, from_mix=False)
    block.points.foreach_set("co", basis + np.ascontiguousarray(delta, np.float32).ravel())
    return block


def free_place(scene: bpy.types.Scene, obj: bpy.types.Object) -> tuple[float, float, float]:
    """Find a place for the head, in front of what would swallow it (Blender's default cube)."""
    low, high = _box(obj, np.zeros(3))
    others = [o for o in scene.objects if o.type == "MESH" and o != obj and not o.hide_viewport]
    boxes = [_box(other, np.array(other.location)) for other in others]
    back = 0.0
    for other_low, other_high in sorted(boxes, key=lambda box: -box[0][1]):
        here_low, here_high = low + (0, back, 0), high + (0, back, 0)
        if (here_low < other_high).all() and (other_low < here_high).all():
            back = float(other_low[1] - high[1]) - GAP_M
    return (0.0, back if -FARTHEST_M < back else 0.0, 0.0)


def _box(obj: bpy.types.Object, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array(obj.bound_box) * np.array(obj.scale) + origin
    return corners.min(axis=0), corners.max(axis=0)


def betas_of(obj: bpy.types.Object | None) -> np.ndarray | None:
    """Identity that was baked into a head, [300] float32; None where there is none."""
    values = obj.get(BETAS_PROPERTY) if obj is not None else None
    return None if values is None else np.array(values, dtype=np.float32)


def _mesh(head: HeadMesh, title: str) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(title)
    sizes = np.array([len(corners) for corners in head.polygons], dtype=np.int32)
    mesh.vertices.add(len(head.vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(head.vertices, np.float32).ravel())
    mesh.loops.add(int(sizes.sum()))
    mesh.loops.foreach_set("vertex_index", np.concatenate(head.polygons).astype(np.int32))
    mesh.polygons.add(len(sizes))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
    mesh.polygons.foreach_set("loop_start", starts)
    mesh.update(calc_edges=True)
    if head.uv is not None:
        layer = mesh.uv_layers.new(name="UVMap")
        layer.data.foreach_set("uv", np.ascontiguousarray(head.uv, np.float32).ravel())
    for name, color in head.materials:
        mesh.materials.append(_material(name, color))
    mesh.polygons.foreach_set("material_index", head.polygon_material.astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(sizes), dtype=bool))
    mesh.validate()
    mesh.update()
    return mesh


def _material(name: str, color: tuple[float, ...]) -> bpy.types.Material:
    material = bpy.data.materials.new(f"LSF {name}")
    rgba = (*color, 1.0)[:4]
    material.diffuse_color = rgba
    material.roughness = ROUGHNESS.get(name, 0.55)
    if material.node_tree is None:  # 5.0 and later always have one
        material.use_nodes = True
    for node in material.node_tree.nodes:
        if node.type == "BSDF_PRINCIPLED":
            node.inputs["Base Color"].default_value = rgba
            node.inputs["Roughness"].default_value = material.roughness
    return material
