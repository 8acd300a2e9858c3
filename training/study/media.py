# SPDX-License-Identifier: Apache-2.0
"""Videos of a study: what a browser can play, and the still picture that checks attention."""

from __future__ import annotations

import base64
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from lsf_backend.timing import MOTION_FPS

SUFFIXES = {".mp4": "video/mp4", ".webm": "video/webm"}
_PLAYABLE = {"h264", "vp8", "vp9", "av1"}
_ENCODERS = {".mp4": ("libx264", "h264"), ".webm": ("libvpx-vp9", "libvpx")}


class Video(NamedTuple):
    """A file that browsers play, and its length."""

    path: Path
    duration_s: float


def videos_in(folder: Path) -> dict[str, Path]:
    """Stem -> file, for every .mp4 and .webm in a folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder of videos")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise ValueError(f"{folder} has two videos named {path.stem}")
            found[path.stem] = path
    if not found:
        raise ValueError(f"{folder} holds no .mp4 or .webm video")
    return found


def probe(path: Path) -> Video:
    """Check that browsers play a file with picture and sound, and measure it."""
    try:
        with av.open(str(path)) as container:
            pictures, sounds = container.streams.video, container.streams.audio
            if not pictures or not sounds:
                raise ValueError(f"{path.name} needs a picture and a sound stream")
            codec = pictures[0].codec_context.name
            if codec not in _PLAYABLE:
                raise ValueError(
                    f"{path.name} is {codec}; browsers play {', '.join(sorted(_PLAYABLE))}"
                )
            duration_s = (container.duration or 0) / av.time_base
    except av.FFmpegError as error:
        raise ValueError(f"{path.name} cannot be read as video: {error}") from None
    return Video(path, duration_s)


def data_uri(path: Path) -> str:
    """The file as text that a page can hold."""
    kind = SUFFIXES[path.suffix.lower()]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def freeze(source: Path, target: Path) -> None:
    """Write ``source`` with its first picture standing still under its own sound.

    Whoever prefers its lip sync did not look.
    """
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        picture, sound = given.streams.video[0], given.streams.audio[0]
        still = next(given.decode(picture))
        n_frames = max(1, round(float((given.duration or 0) / av.time_base) * MOTION_FPS))
        stream = made.add_stream(_encoder(source.suffix.lower()), rate=MOTION_FPS)
        stream.width, stream.height = still.width, still.height
        stream.pix_fmt = "yuv420p"
        voice = made.add_stream_from_template(sound)
        image = still.reformat(format="yuv420p")
        for index in range(n_frames):
            image.pts, image.time_base = index, Fraction(1, MOTION_FPS)
            made.mux(stream.encode(image))
        made.mux(stream.encode(None))
        given.seek(0)
        for packet in given.demux(sound):
            if packet.dts is not None:
                packet.stream = voice
                made.mux(packet)


def _encoder(suffix: str) -> str:
    for name in _ENCODERS[suffix]:
        if name in av.codecs_available:
            return name
    raise ValueError(f"this PyAV has no encoder for {suffix}; give the videos as .webm or .mp4")
