# SPDX-License-Identifier: Apache-2.0
"""Tiny videos with sound, as a renderer would write them."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

CODECS = {".mp4": ("libx264", "aac", 44100), ".webm": ("libvpx", "libopus", 48000)}


def write_video(path: Path, seconds: float = 0.4, seed: int = 0, sound: bool = True) -> None:
    video, audio, rate = CODECS[path.suffix]
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as out:
        picture = out.add_stream(video, rate=25)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        voice = out.add_stream(audio, rate=rate, layout="mono") if sound else None
        for index in range(round(25 * seconds)):
            image = np.full((64, 64, 3), 20 + 10 * (index % 20), np.uint8)
            image[index % 60 : index % 60 + 4] = rng.integers(0, 255, 3)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        if voice is not None:
            tone = np.sin(np.arange(round(rate * seconds)) * 0.05).astype(np.float32)[None] * 0.1
            block = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            block.sample_rate, block.pts = rate, 0
            fifo = av.AudioFifo()
            fifo.write(block)
            for piece in fifo.read_many(voice.codec_context.frame_size or 960, partial=True):
                out.mux(voice.encode(piece))
            out.mux(voice.encode(None))


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Folders of videos of the systems ours, alpha and beta."""

    def make(n_clips: int = 3, suffix: str = ".webm", seconds: float = 0.4) -> dict[str, Path]:
        made = {}
        for number, system in enumerate(("ours", "alpha", "beta")):
            made[system] = tmp_path / f"render {number}"
            made[system].mkdir()
            for clip in range(n_clips):
                write_video(made[system] / f"clip{clip}{suffix}", seconds, 10 * number + clip)
        return made

    return make
