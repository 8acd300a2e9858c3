# SPDX-License-Identifier: GPL-3.0-or-later
"""One take: from settings to a keyed face. The button, the command line and the batch all run this.

``step`` is a plain function: a GUI timer calls it, background mode blocks on it with ``run``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from lsf_backend.protocol import AnimateRequest, ImportRequest

from . import kept_frames
from .bridge.backend import Backend, Done, Event, Failed, Frames, Progress
from .faces import add_face, converted, forget_if_failed
from .rig import actions, check, face_rig, fitted, jaw_error, lip_gap, sound, targets, timing
from .rig.clip import Clip, ClipError
from .rig.face_target import FaceTarget
from .rig.head import VERSION_PROPERTY, betas_of
from .rig.head_file import HeadError, load_betas
from .rig.head_turn import HeadTurn, left_over, put_away
from .rig.rollback import Rollback
from .rig.target import Target, driven_by
from .take_settings import TakeError, TakeSettings

# Keys land when a quarter more frames have come: early ones at once, and the work stays linear.
LANDING_GROWTH = 1.25
# The backend's words for what it does -> the panel's.
STAGES = {"load": "loading the model", "animate": "animating", "done": "writing keys"}


class Take:
    """A take in the making. Nothing in the scene changes before the first frames arrive."""

    def __init__(
        self,
        backend: Backend | kept_frames.Replay,
        scene: bpy.types.Scene,
        settings: TakeSettings,
        selected: list[bpy.types.Object],
    ) -> None:
        self.settings = settings
        self.stage, self.fraction = "starting the backend", 0.0
        self.finished, self.ok, self.cancelled = False, False, False
        self.user_fault = False
        self.report: list[str] = []
        self.action_name = ""
        self.new_head = ""
        self._backend = backend
        self._scene_name = scene.name
        self._rollback = Rollback()
        self._channels: tuple[str, ...] = ()
        self._values = np.zeros((0, 0), dtype=np.float32)
        self._count = self._landed = self._keys = 0
        self._clip: Clip | None = None
        self._motion_fps, self._space = float(timing.MOTION_FPS), "head"
        self._measured: list[str] = []
        if settings.missing():
            raise TakeError(settings.missing())
        fitted.forget()
        self._plan = targets.plan(scene, selected, settings.extra())
        problems = (*self._plan.problems, *targets.damage(self._plan))
        if problems:
            raise TakeError(" ".join(problems))
        self.targets = list(self._plan.targets)
        try:
            if backend.busy:
                raise TakeError("Another take is being made. Wait for it, or cancel it.")
            self._betas = self._identity()
            self._safe_face = self._converted_face()
        except HeadError as error:
            raise TakeError(str(error)) from error
        backend.submit(self._request(), self._betas)

    def _request(self) -> AnimateRequest | ImportRequest:
        request = self.settings.request()
        if not isinstance(request, AnimateRequest):
            return dataclasses.replace(request, output=self._wanted()[0])
        if self._plan.creates_head:
            return self.settings.face.asked_of(request, self.settings.flame)
        mesh, plan = self._first_mesh(), self._plan
        head = "head" if mesh is not None and VERSION_PROPERTY in mesh else ""
        own = str(mesh.get(face_rig.SOURCE, "")) if mesh is not None else ""
        request = dataclasses.replace(
            request,
            output=plan.output,
            # Another machine has another cache: then the file that the panel names.
            face=own if own and Path(own).is_file() else self.settings.flame,
            face_space=plan.face_space,
            jaw_keys=mesh is not None and mesh.get(face_rig.MODE) == face_rig.KEYS,
            identity_space=plan.face_space or head,
        )
        # Of the bundled head the backend knows the lips: its first take is like all later ones.
        if request.finishing is None or plan.output != "arkit" or head:
            return request
        gap = lip_gap.measure(self.scene, self.targets[0])
        if gap is None:
            return request
        self._measured.append(gap.sentence())
        return dataclasses.replace(request, lip_gap_mm=list(gap.per_weight_mm))

    def _identity(self) -> np.ndarray | None:
        if self.settings.identity.strip():
            return load_betas(self.settings.identity)
        return betas_of(self._first_mesh())

    def _converted_face(self) -> Path | None:
        choice = self.settings.face
        if not self._plan.creates_head or self.settings.again:
            return None
        if choice.problem():
            raise TakeError(choice.problem())
        return converted(self._backend, choice.flame) if choice.flame else None

    def _first_mesh(self) -> bpy.types.Object | None:
        return next(iter(self.targets[0].objects()), None) if self.targets else None

    @property
    def scene(self) -> bpy.types.Scene:
        """The scene of the take."""
        scene = bpy.data.scenes.get(self._scene_name)
        if scene is None:
            raise TakeError("The scene of the take is gone.")
        return scene

    @property
    def scene_fps(self) -> float:
        """Frames per second of the scene, exactly (29.97 is 30 / 1.001)."""
        return self.scene.render.fps / self.scene.render.fps_base

    def objects(self) -> list[bpy.types.Object]:
        """Objects that the take drives, meshes first."""
        return dataclasses.replace(self._plan, targets=tuple(self.targets)).objects()

    def run(self, on_progress: Callable[[str, float], None] | None = None) -> None:
        """Block until the take is finished (background mode, command line)."""
        while not self.finished:
            self.step(0.2)
            if on_progress is not None:
                on_progress(self.stage, self.fraction)

    def cancel(self) -> None:
        """Ask for the end; what has landed stays, complete and usable."""
        if not self.finished:
            self.stage = "cancelling"
            self._backend.cancel()

    def abandon(self) -> None:
        """Blender closes or loads another file: stop the engine, touch nothing."""
        if not self.finished:
            self.finished = self.cancelled = True
            self._rollback.keep()
            self._backend.close()

    def step(self, wait_s: float = 0.0) -> None:
        """Take what has arrived into the scene; blocks up to ``wait_s`` for it."""
        if self.finished:
            return
        try:
            for event in self._backend.step(wait_s):
                self._on(event)
        except (TakeError, HeadError) as error:
            self._fail(str(error), getattr(error, "user_fault", True))
        except Exception as error:
            self._fail(f"The add-on failed: {type(error).__name__}: {error}", False)
            raise

    def _on(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.stage = STAGES.get(event.stage, event.stage)
            self.fraction = min(max(event.fraction, 0.0), 1.0)
        elif isinstance(event, Frames):
            self._receive(event)
        elif isinstance(event, Done):
            self._done(event)
        elif isinstance(event, Failed):
            self._fail(event.sentence(), event.code != "internal")

    def _receive(self, frames: Frames) -> None:
        first, values = frames.first_frame, frames.values
        if not np.isfinite(values).all():
            raise TakeError("The engine gave numbers that are not finite.", user_fault=False)
        if not self._channels:
            self._channels, self._motion_fps = frames.channels, frames.fps
            self._space = frames.face_space
            self._check_channels()
            self._values = np.zeros((256, values.shape[1]), dtype=np.float32)
        end = first + len(values)
        if end > len(self._values):  # doubling keeps the copying linear
            grown = np.zeros((max(end, 2 * len(self._values)), values.shape[1]), dtype=np.float32)
            grown[: self._count] = self._values[: self._count]
            self._values = grown
        self._values[first:end] = values
        self._count = max(self._count, end)
        if self._count >= max(1, math.ceil(self._landed * LANDING_GROWTH)):
            self._land()

    def _wanted(self) -> tuple[str, str]:
        """Output and face space that the targets need, '' where any space does."""
        face, plan = self.settings.face, self._plan
        if not plan.creates_head:
            return plan.output, plan.face_space
        return face.output, face.space if face.output == "motion" else ""

    def _check_channels(self) -> None:
        output, space = self._wanted()
        if space and self._space != space:
            raise TakeError(
                f"These frames are motion of a '{self._space}' face, and the face to be moved is a "
                f"'{space}' one: their numbers do not mean the same shapes."
            )
        if output == "motion" and "jaw_x_rad" not in self._channels:
            raise TakeError(
                "These frames are ARKit weights, and a face in FLAME's format takes motion. "
                "Choose a face with ARKit shapes."
            )
        if output == "arkit" and "jawOpen" not in self._channels:
            name = self.targets[0].name if self.targets else "the bundled head"
            raise TakeError(
                f"These frames are motion of a '{self._space}' face, and '{name}' "
                "takes ARKit weights. Choose a face in FLAME's format."
            )

    def _scene_frames(self) -> np.ndarray:
        start, fps = self.settings.start_frame, self.scene_fps
        return timing.scene_frames_from_motion(0, self._count, start, fps, self._motion_fps)

    @property
    def _duration_s(self) -> float:
        return self._count / self._motion_fps

    def _land(self) -> None:
        if self._clip is None:
            self._clip = self._begin()
        try:
            values = self._values[: self._count]
            self._keys = self._clip.write(self._scene_frames(), values, self._channels)
        except ClipError as error:
            raise TakeError(str(error)) from error
        self._landed = self._count

    def _begin(self) -> Clip:
        scene = self.scene
        if self._plan.creates_head:
            head = add_face(scene, self.settings.face, self._safe_face, self._betas)
            forget_if_failed(self._rollback, head)
            self._rollback.attribute(lambda: self.scene.lsf, "head")
            scene.lsf.head = head
            self.new_head = head.name
            self.targets = list(targets.plan(scene, [], self.settings.extra()).targets)
        self.targets = [target for target in self.targets if self._moves(target)]
        name = self.settings.name.strip() or actions.take_name(self.settings.stem())
        kept = driven_by(self.targets)
        faces = [target for target in self.targets if not isinstance(target, HeadTurn)]
        turns = left_over(faces, kept)
        for owner, paths in turns.items():
            self._rollback.animation(owner, paths)
        try:
            clip = Clip(name, self.targets, self._rollback)
        except ClipError as error:
            raise TakeError(str(error)) from error
        put_away(turns, kept)
        self.action_name = clip.name
        return clip

    def _moves(self, target: Target) -> bool:
        return not isinstance(target, HeadTurn) or target.shows(self._channels)

    def _done(self, done: Done) -> None:
        if self._count > self._landed:
            self._land()
        if self._clip is None:
            self.finished, self.cancelled, self.ok = True, done.cancelled, False
            self.report.append(
                "Cancelled before the first frames: nothing was changed."
                if done.cancelled
                else "The engine gave no frames: the sound is shorter than one frame."
            )
            self.user_fault = True
            return
        self._clip.set_metadata(self._metadata(done.metadata))
        values = self._values[: self._count]
        kept = kept_frames.Kept(values, self._channels, self._motion_fps, self._space)
        kept_frames.keep(bpy.data.actions[self._clip.name], kept)
        known = () if self._plan.creates_head else self._plan.warnings
        if self._plan.still_head and "head_x_rad" in self._channels:
            known = (*known, self._plan.still_head)
        told = (*self._clip.notes, *self._measured, *done.warnings, *done.notes)
        faces = [target for target in self.targets if isinstance(target, FaceTarget)]
        left_out = [jaw_error.sentence(face, values, self._channels) for face in faces]
        told = (*told, *filter(None, left_out))
        self.report += [*known, *told]
        self._set_scene()
        first = self.targets[0]
        ok, sentence = self._post_check(first)
        shown = f"Cancelled after {self._duration_s:.1f} s; kept " * done.cancelled
        self.report.insert(0, shown + sentence)
        self.finished, self.cancelled, self.ok = True, done.cancelled, ok
        self.fraction, self.stage = 1.0, "done"
        self._rollback.keep()

    def _post_check(self, target: Target) -> tuple[bool, str]:
        scene, values = self.scene, self._values[: self._count]
        frames = self._scene_frames()
        quiet, busy = check.frames_to_compare(values, self._channels)
        here, between = scene.frame_current, scene.frame_subframe
        moved = check.moved_mm(scene, target, frames[quiet], frames[busy])
        scene.frame_set(here, subframe=between)
        amount = self._clip.amount() if self._clip is not None else "nothing"
        return check.verdict(self._keys, amount, moved, target)

    def _metadata(self, told: dict[str, Any]) -> dict[str, Any]:
        settings = dataclasses.asdict(self.settings)
        return {
            **told,
            "seed": self.settings.seed,
            "temperature": self.settings.temperature,
            "engine": self.settings.engine,
            "audio": self.settings.audio,
            "frames": self._count,
            "fps": self._motion_fps,
            "start_frame": self.settings.start_frame,
            "duration_s": self._duration_s,
            "settings": settings,
            "blender": bpy.app.version_string,
        }

    def _set_scene(self) -> None:
        scene, settings = self.scene, self.settings
        duration_s = self._duration_s
        if settings.add_sound and settings.audio.strip():
            span = (settings.start_frame, settings.start_s, duration_s)
            head = self.targets[0].name
            problem = sound.add(scene, settings.audio, self.action_name, head, span, self._rollback)
            if problem:
                self.report.append(problem)
        if settings.set_range:
            for name in ("frame_start", "frame_end", "sync_mode"):
                self._rollback.attribute(lambda: self.scene, name)
            last = timing.last_scene_frame(duration_s, settings.start_frame, self.scene_fps)
            scene.frame_start = math.floor(settings.start_frame)
            scene.frame_end = max(last, scene.frame_start)
            scene.sync_mode = "AUDIO_SYNC"  # playback keeps up with the sound

    def _fail(self, sentence: str, user_fault: bool) -> None:
        if self._backend.busy:
            self._backend.close()  # the next take starts a fresh process
        self._rollback.run()
        self.finished, self.ok, self.user_fault = True, False, user_fault
        self.action_name = self.new_head = ""
        self.report = [sentence]
