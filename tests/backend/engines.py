# SPDX-License-Identifier: Apache-2.0
"""Small deterministic engines for the tests, good ones and bad ones, added through the registry."""

import dataclasses
import os
import time
from collections.abc import Iterator

import numpy as np

from lsf_backend.engine.base import AnimateJob, EngineInfo, MotionChunk
from lsf_backend.engine.registry import register_engine
from lsf_backend.timing import samples_from_frames


class LoudnessEngine:
    """Opens the jaw by loudness, in chunks of ``chunk_frames``; column 0 counts the frames."""

    chunk_frames = 25
    face_space = "head"
    pause_s = 0.0

    def info(self) -> EngineInfo:
        return EngineInfo("test", True, "", self.face_space, ("cpu",), "0123456789abcdef", "CC0")

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        for first in range(0, job.audio.n_frames, self.chunk_frames):
            if job.cancelled():
                return
            self.before(job, first)
            yield MotionChunk(first, self.motion(job, first))
            job.progress("animate", first / job.audio.n_frames)

    def before(self, job: AnimateJob, first: int) -> None:
        time.sleep(self.pause_s)

    def motion(self, job: AnimateJob, first: int) -> np.ndarray:
        last = min(first + self.chunk_frames, job.audio.n_frames)
        start, end = samples_from_frames(max(0, first - 5)), samples_from_frames(last)
        sound = job.audio.read(start, end - start)
        assert sound.size == end - start, "inside the sound nothing is missing"
        frames = sound[samples_from_frames(first) - start :].reshape(last - first, -1)
        motion = np.zeros((last - first, 53), np.float32)
        motion[:, 0] = (np.arange(first, last) % 100) / 100
        motion[:, 50] = np.sqrt((frames**2).mean(axis=1))
        for row, frame in enumerate(range(first, last) if job.temperature else ()):
            random = np.random.Generator(np.random.Philox(key=job.seed, counter=frame))
            motion[row, 10] = job.temperature * random.random()
        if job.betas is not None:
            motion[:, 11] = job.betas[0]
        return motion


class SlowEngine(LoudnessEngine):
    pause_s = 0.05


class DeafEngine(LoudnessEngine):
    """Goes on when it is cancelled."""

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        return super().animate(dataclasses.replace(job, cancelled=lambda: False))


class StuckEngine(LoudnessEngine):
    def before(self, job: AnimateJob, first: int) -> None:
        job.progress("stuck", 0.0)
        time.sleep(60)


class StuckLaterEngine(LoudnessEngine):
    def before(self, job: AnimateJob, first: int) -> None:
        if first >= 50:
            time.sleep(60)


class ChattyEngine(LoudnessEngine):
    """Prints and writes to the file descriptor that used to be stdout, as libraries do."""

    def before(self, job: AnimateJob, first: int) -> None:
        print("an engine talks")
        os.write(1, b"\x00\x01 raw bytes, as from C\n")
        os.system("echo a child talks")


class BrokenEngine(LoudnessEngine):
    def before(self, job: AnimateJob, first: int) -> None:
        if first >= 50:
            raise ZeroDivisionError("on purpose")


class GapEngine(LoudnessEngine):
    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        for chunk in super().animate(job):
            if chunk.first_frame != 25:
                yield chunk


class ShortEngine(LoudnessEngine):
    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        yield next(super().animate(job))


class NanEngine(LoudnessEngine):
    def motion(self, job: AnimateJob, first: int) -> np.ndarray:
        motion = super().motion(job, first)
        motion[-1, 7] = np.nan
        return motion


class FlameEngine(LoudnessEngine):
    face_space = "flame"


class AbsentEngine(LoudnessEngine):
    def info(self) -> EngineInfo:
        return EngineInfo("absent", False, "its weights are missing.", "head", (), "", "")


class InsideOutEngine(LoudnessEngine):
    def __init__(self) -> None:
        raise RuntimeError("cannot even start")


ENGINES = {
    "test": LoudnessEngine,
    "slow": SlowEngine,
    "deaf": DeafEngine,
    "stuck": StuckEngine,
    "stuck-later": StuckLaterEngine,
    "chatty": ChattyEngine,
    "broken": BrokenEngine,
    "gap": GapEngine,
    "short": ShortEngine,
    "nan": NanEngine,
    "flame": FlameEngine,
    "absent": AbsentEngine,
    "inside-out": InsideOutEngine,
    "no-module": "lsf_backend.engine.does_not_exist:Engine",
    "no-package": "tests.backend.needs_missing_package:Engine",
}


def register_all() -> None:
    for name, factory in ENGINES.items():
        register_engine(name, factory)


if __name__ == "__main__":
    from lsf_backend import serve

    register_all()
    serve.main()
