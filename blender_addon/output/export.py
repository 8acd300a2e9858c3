# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange files of the animated meshes, with their sound beside them."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..rig import sound
from .files import OutputError, written_whole
from .split import in_range
from .verify import Verdict, verify

SUFFIXES = (".fbx", ".glb", ".abc", ".usd", ".usdc", ".usda")
# What engines want of a file, over our own settings; each with its format.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "unreal": (
        ".fbx",
        {
            "axis_forward": "-Z",
            "axis_up": "Y",
            "apply_scale_options": "FBX_SCALE_NONE",
            "mesh_smooth_type": "FACE",
            "use_armature_deform_only": False,
            "add_leaf_bones": False,
            "primary_bone_axis": "Y",
            "secondary_bone_axis": "X",
        },
    ),
    "unity": (
        ".fbx",
        {
            "axis_forward": "-Z",
            "axis_up": "Y",
            "apply_scale_options": "FBX_SCALE_UNITS",
            "mesh_smooth_type": "OFF",
            "add_leaf_bones": False,
        },
    ),
    "godot": (".glb", {"export_yup": True, "export_def_bones": False}),
}


@dataclasses.dataclass(frozen=True)
class Exported:
    """What an export has to say."""

    notes: tuple[str, ...] = ()
    verdict: Verdict | None = None

    def sentences(self) -> list[str]:
        """Notes, and how the file compares with the scene."""
        return [*self.notes, *([self.verdict.sentence()] if self.verdict else [])]


def export(
    scene: bpy.types.Scene,
    objects: list[bpy.types.Object],
    path: Path,
    preset: str = "",
    check: bool = False,
) -> Exported:
    """Write ``objects`` with their animation over the scene's range; the suffix says the format.

    ``preset`` is a key of ``PRESETS``; ``check`` reads the file back and measures it.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"{path.name}: this add-on exports {', '.join(SUFFIXES)}.")
    if preset and preset not in PRESETS:
        raise OutputError(f"There is no preset '{preset}'; known: {', '.join(PRESETS)}.")
    if preset and PRESETS[preset][0] != suffix:
        raise OutputError(f"The preset '{preset}' is for {PRESETS[preset][0]} files, not {suffix}.")
    if not objects:
        raise OutputError("There is nothing to export: no animated head in this scene.")
    operator, settings = _operator(suffix, scene)
    settings = settings | (PRESETS[preset][1] if preset else {})
    known = set(operator.get_rna_type().properties.keys())
    settings = {name: value for name, value in settings.items() if name in known}
    clamps = suffix != ".abc"  # a vertex cache has no weights
    with in_range(scene, objects) if clamps else contextlib.nullcontext((objects, [])) as made:
        given, notes = made
        with _only_selected(given), written_whole(path) as temporary:
            try:
                operator(filepath=str(temporary), **settings)
            except (RuntimeError, AttributeError, KeyError) as error:
                why = str(error).strip()
                raise OutputError(f"{path.name} could not be exported: {why}") from error
    verdict = verify(scene, objects, path) if check else None
    return Exported(tuple(notes), verdict)


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
            "object_types": {"MESH", "ARMATURE"},
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


def sound_beside(
    scene: bpy.types.Scene, audio: str, part_s: tuple[float, float] | None, path: Path
) -> Path | None:
    """Put the take's sound beside an exported file; None where this build cannot cut it.

    A take of a part (``part_s``: from and to, in seconds of the file) gets a .wav of that part, one
    of the whole file (None) a copy of it.
    """
    source = Path(audio)
    target = path.with_suffix(source.suffix if part_s is None else ".wav")
    if target.exists() and target.resolve() == source.resolve():
        if part_s is None:
            return target
        target = path.with_name(f"{path.stem} sound.wav")  # never over the take's own sound
    plain = _wav_layout(source)
    if part_s is not None and plain is None and not sound.available():
        return None
    try:
        with written_whole(target) as temporary:
            if part_s is None:
                shutil.copyfile(source, temporary)
            elif plain is not None:
                _cut_wav(source, part_s, temporary)
            else:
                bpy.ops.sound.mixdown(filepath=str(temporary), container="WAV", codec="PCM")
    except OSError as error:
        raise OutputError(f"{target} could not be written: {error}.") from error
    return target


def _wav_layout(source: Path) -> object | None:
    """Layout of a plain .wav, None for any other sound."""
    try:
        with wave.open(str(source), "rb") as whole:
            return whole.getparams()
    except (wave.Error, EOFError, OSError):
        return None


def _cut_wav(source: Path, part_s: tuple[float, float], target: Path) -> None:
    """Cut a plain .wav to the sample, which needs no sound of Blender's."""
    with wave.open(str(source), "rb") as whole, wave.open(str(target), "wb") as cut:
        rate, count = whole.getframerate(), whole.getnframes()
        first, last = (min(round(second * rate), count) for second in part_s)
        whole.setpos(first)
        cut.setparams(whole.getparams())
        cut.writeframes(whole.readframes(max(last - first, 0)))
