# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange files of the animated meshes, with their sound beside them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..rig import sound
from .files import OutputError, written_whole

SUFFIXES = (".fbx", ".glb", ".abc", ".usd", ".usdc", ".usda")


def export(scene: bpy.types.Scene, objects: list[bpy.types.Object], path: Path) -> None:
    """Write ``objects`` with their animation over the scene's range; the suffix says the format."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"{path.name}: this add-on exports {', '.join(SUFFIXES)}.")
    if not objects:
        raise OutputError("There is nothing to export: no animated head in this scene.")
    operator, settings = _operator(suffix, scene)
    known = set(operator.get_rna_type().properties.keys())
    settings = {name: value for name, value in settings.items() if name in known}
    with _only_selected(objects), written_whole(path) as temporary:
        try:
            operator(filepath=str(temporary), **settings)
        except (RuntimeError, AttributeError, KeyError) as error:
            raise OutputError(f"{path.name} could not be exported: {str(error).strip()}") from error


def _operator(suffix: str, scene: bpy.types.Scene) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The exporter, and settings that lose nothing (names unknown to a version are left out)."""
    places = {
        ".fbx": (bpy.ops.export_scene, "fbx"),
        ".glb": (bpy.ops.export_scene, "gltf"),
        ".abc": (bpy.ops.wm, "alembic_export"),
    }
    room, name = places.get(suffix, (bpy.ops.wm, "usd_export"))
    if name not in dir(room):
        raise OutputError(f"This build of Blender cannot export {suffix} files.")
    settings: dict[str, dict[str, Any]] = {
        "fbx": {
            "use_selection": True,
            "object_types": {"MESH"},
            "use_mesh_modifiers": False,  # modifiers and shape keys exclude each other in FBX
            "mesh_smooth_type": "OFF",
            "bake_anim": True,
            "bake_anim_use_nla_strips": False,
            "bake_anim_use_all_actions": False,
            "bake_anim_step": 1.0,
            "bake_anim_simplify_factor": 0.0,
        },
        "gltf": {
            "export_format": "GLB",
            "use_selection": True,
            "export_animations": True,
            "export_animation_mode": "ACTIVE_ACTIONS",
            "export_frame_range": True,
            "export_force_sampling": True,
            "export_morph": True,
            "export_morph_normal": False,
            "export_morph_animation": True,
            "export_optimize_animation_size": False,
        },
        "alembic_export": {
            "selected": True,
            "start": scene.frame_start,
            "end": scene.frame_end,
            "as_background_job": False,
        },
        "usd_export": {
            "selected_objects_only": True,
            "export_animation": True,
            "export_shapekeys": True,
            "export_materials": True,
        },
    }
    return getattr(room, name), settings[name]


@contextlib.contextmanager
def _only_selected(objects: list[bpy.types.Object]) -> Iterator[None]:
    """Exporters take the selection: set it, and give the artist's back afterwards."""
    layer = bpy.context.view_layer
    before = [(obj.name, obj.select_get()) for obj in layer.objects]
    active = layer.objects.active.name if layer.objects.active else ""
    chosen = {obj.name for obj in objects}
    for obj in layer.objects:
        obj.select_set(obj.name in chosen)
    layer.objects.active = objects[0]
    try:
        yield
    finally:
        for name, selected in before:
            if name in layer.objects:
                layer.objects[name].select_set(selected)
        layer.objects.active = layer.objects.get(active)


def sound_beside(scene: bpy.types.Scene, audio: str, whole: bool, path: Path) -> Path | None:
    """Put the take's sound beside an exported file; None where this build cannot cut it.

    A take of the ``whole`` file gets a copy of it, one of a part a .wav of the scene's range.
    """
    source = Path(audio)
    target = path.with_suffix(source.suffix if whole else ".wav")
    if target.exists() and target.resolve() == source.resolve():
        return target
    if whole:
        try:
            with written_whole(target) as temporary:
                shutil.copyfile(source, temporary)
        except OSError as error:
            raise OutputError(f"{target} could not be written: {error}.") from error
        return target
    if not sound.available():
        return None
    with written_whole(target) as temporary:
        bpy.ops.sound.mixdown(filepath=str(temporary), container="WAV", codec="PCM")
    return target
