# SPDX-License-Identifier: Apache-2.0
"""The made-up talk as an engine of either space; run as a script, a backend whose ``lsf`` it is."""

import dataclasses
from collections.abc import Iterator

from lsf_backend.engine.base import AnimateJob, EngineInfo, MotionChunk
from lsf_backend.face.head_space import motion_from_arkit
from tests.face.flame_disguise import mixing
from tests.finishing.talk import talk_levels, talk_weights

TALK_LEVELS = talk_levels(160, seed=2)
TALK_WEIGHTS, TALK_DIPS = talk_weights(TALK_LEVELS, seed=2)


@dataclasses.dataclass
class TalkEngine:
    """Whatever it hears, it gives the same frames."""

    face_space: str
    chunk_frames: int = 40

    def info(self) -> EngineInfo:
        return EngineInfo("lsf", True, "", self.face_space, ("cpu",), "0", "CC0", "2020")

    def animate(self, job: AnimateJob) -> Iterator[MotionChunk]:
        motion = motion_from_arkit(TALK_WEIGHTS)
        if self.face_space == "flame":
            motion[:, :50] = motion[:, :50] @ mixing()
        for first in range(0, len(motion), self.chunk_frames):
            yield MotionChunk(first, motion[first : first + self.chunk_frames])
        job.audio.read(0, 640 * len(motion))


if __name__ == "__main__":
    from lsf_backend import serve
    from lsf_backend.engine.registry import register_engine

    register_engine("lsf", lambda: TalkEngine("flame"))
    serve.main()
