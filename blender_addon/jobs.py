# SPDX-License-Identifier: GPL-3.0-or-later
"""One headless job: a sound, a head, a take, and the files that come out of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from . import character_files, kept_frames, runtime
from .operators.export import part_of
from .operators.takes import present_take
from .output import files, stage
from .output.export import SUFFIXES, export, sound_beside
from .output.files import OutputError
from .output.sheet import contact_sheet
from .output.video import render_video
from .retarget.model import MapError
from .rig import actions, targets
from .rig.target import Owner
from .take import Take, TakeError, TakeSettings

Progress = Callable[[str, float], None]


@dataclasses.dataclass(frozen=True)
class Job:
    """A take and its outputs. ``head``: name of a mesh in the file, '' finds or makes one.

    ``map_file``: a retarget map for it. ``again``: name of a take of the head (or "*": the one that
    it shows) whose frames are keyed once more instead of asking the backend.
    """

    settings: TakeSettings
    outputs: tuple[Path, ...] = ()
    head: str = ""
    map_file: Path | None = None
    again: str = ""
    overwrite: bool = False
    render_engine: str = "workbench"
    size: int = 480
    keep_stage: bool = False
    preset: str = ""
    check: bool = False


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a job. ``exit_code``: 0 well, 2 the user's fault, 1 ours."""

    exit_code: int
    report: tuple[str, ...]
    written: tuple[str, ...] = ()
    action: str = ""


def fresh_scene(fps: float = 25.0) -> None:
    """Replace what is open by an empty scene (preferences and add-ons stay)."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True, load_ui=False)
    if bpy.context.scene is None:
        bpy.context.window.scene = bpy.data.scenes.new("Scene")
    set_fps(bpy.context.scene, fps)


def set_fps(scene: bpy.types.Scene, fps: float) -> None:
    """Set a frame rate; 23.976, 29.97 and 59.94 become 24, 30 and 60 over 1.001."""
    if not 1.0 <= fps <= 1000.0:
        raise TakeError(f"{fps:g} frames per second: 1 to 1000 are possible.")
    whole = round(fps * 1.001)
    ntsc = abs(fps - whole / 1.001) < 0.01 and abs(fps - round(fps)) > 0.001
    scene.render.fps = whole if ntsc else max(round(fps), 1)
    scene.render.fps_base = 1.001 if ntsc else scene.render.fps / fps


def run(job: Job, on_progress: Progress | None = None) -> Result:
    """Make the take, write the outputs. Errors become sentences and an exit code."""
    tell = on_progress or (lambda stage, fraction: None)
    written: list[str] = []
    take: Take | None = None
    scene = bpy.context.scene
    try:
        for path in job.outputs:
            _check_output(path, job.overwrite)
        choose_head(scene, job.head)
        notes = _put_map(scene, job.map_file)
        take = _take(scene, job)
        runtime.current = take
        take.run(tell)
        runtime.current = None
        take.report += notes
        if not take.action_name:
            return Result(2 if take.user_fault else 1, tuple(take.report))
        head = take.objects()[0]
        if job.keep_stage and scene.camera is None:
            stage.set_up(scene, head, job.size)
        for path in job.outputs:
            tell(f"writing {path.name}", 0.0)
            for file in _write(path, scene, take, job, tell):
                written += [file] if file not in written else []
        return Result(0 if take.ok else 2, tuple(take.report), tuple(written), take.action_name)
    except (TakeError, OutputError, MapError) as error:
        told = take.report if take is not None else []
        fault = getattr(error, "user_fault", True)
        return Result(2 if fault else 1, (str(error), *told), tuple(written))
    finally:
        runtime.current = None


def _check_output(path: Path, overwrite: bool) -> None:
    known = (".blend", ".mp4", ".png", *SUFFIXES)
    if path.suffix.lower() not in known:
        raise OutputError(f"{path.name}: outputs end in {', '.join(known)}.")
    files.check(path, overwrite)


def choose_head(scene: bpy.types.Scene, name: str) -> None:
    """Find the one mesh that a headless take should drive; '' and none of them: make the head."""
    if name:
        obj = scene.objects.get(name)
        if obj is None:
            raise TakeError(f"There is no object '{name}' in this file.")
        if obj.type != "MESH":
            raise TakeError(f"'{name}' is not a mesh.")
        scene.lsf.head = obj
    if scene.lsf.head is not None:
        return
    fitting: dict[str, set[Owner]] = {}
    for obj in sorted(scene.objects, key=_shapes, reverse=True):
        owners = set(targets.owners_of(obj)) if _could_speak(obj) else set()
        if owners and not any(owners & theirs for theirs in fitting.values()):
            fitting[obj.name] = owners  # parts of one character count once
    if len(fitting) > 1:
        names = ", ".join(sorted(fitting))
        raise TakeError(f"Several meshes could speak: {names}. Say which one: --head NAME.")
    if fitting:
        scene.lsf.head = scene.objects[next(iter(fitting))]


def _shapes(obj: bpy.types.Object) -> int:
    key = obj.data.shape_keys if obj.type == "MESH" else None
    return len(key.key_blocks) if key is not None else 0


def _could_speak(obj: bpy.types.Object) -> bool:
    target = targets.target_of(obj)
    driven = target.paths().values() if target is not None else ()
    return sum(len(paths) for paths in driven) > 1 and not targets.unusable(obj)


def _put_map(scene: bpy.types.Scene, path: Path | None) -> list[str]:
    """Put a map file on the head; gives what should be said about it."""
    if path is None:
        return []
    if scene.lsf.head is None:
        raise TakeError("A map needs a character: say which mesh, --head NAME.")
    return character_files.load(scene.lsf.head, path)


def _take(scene: bpy.types.Scene, job: Job) -> Take:
    if not job.again:
        return Take(runtime.backend(), scene, job.settings, [])
    shown = present_take(scene) if job.again == "*" else bpy.data.actions.get(job.again)
    if shown is None or kept_frames.of_take(shown) is None:
        which = "The head shows no take" if job.again == "*" else f"There is no take '{job.again}'"
        raise TakeError(f"{which} that keeps its frames.")
    replay, settings = kept_frames.again(shown)
    return Take(replay, scene, dataclasses.replace(settings, name=job.settings.name), [])


def _write(path: Path, scene: bpy.types.Scene, take: Take, job: Job, tell: Progress) -> list[str]:
    suffix = path.suffix.lower()
    objects = take.objects()
    if suffix == ".blend":
        _save_blend(path)
    elif suffix == ".mp4":
        stage_name = f"rendering {path.name}"
        render_video(
            scene,
            objects[0],
            path,
            job.render_engine,
            job.size,
            lambda fraction: tell(stage_name, fraction),
        )
    elif suffix == ".png":
        contact_sheet(scene, objects[0], path, take.settings.stem())
    else:
        done = export(scene, objects, path, job.preset, job.check)
        take.report += done.sentences()
        shown = bpy.data.actions.get(take.action_name)
        told = actions.metadata(shown) if shown is not None else {}
        audio = take.settings.audio
        beside = sound_beside(scene, audio, part_of(told), path) if audio else None
        return [str(path), str(beside)] if beside else [str(path)]
    return [str(path)]


def _save_blend(path: Path) -> None:
    same = bpy.data.filepath and Path(bpy.data.filepath).resolve() == path.resolve()
    how: dict[str, Any] = {"compress": True, "check_existing": False}
    try:
        if same:
            bpy.ops.wm.save_mainfile(**how)
            return
        with files.written_whole(path) as temporary:
            bpy.ops.wm.save_as_mainfile(filepath=str(temporary), copy=True, **how)
    except RuntimeError as error:
        raise OutputError(f"{path} could not be saved: {str(error).strip()}") from error
