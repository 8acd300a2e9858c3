# SPDX-License-Identifier: Apache-2.0
"""Videos of trained systems for a study: the same clips, faces and light, each with its own sound.

A folder of videos says in ``rendered.json`` what it shows; finished videos of the same weights are
kept, so a run that was cut off goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from lsf_backend.face.face_model import FaceModel
from lsf_backend.timing import MOTION_FPS, SAMPLE_RATE_HZ
from training.data.clips import EMOTIONS
from training.data.sources import Clips, open_clips
from training.raster import Raster, View, colours_of
from training.runs import FINISHED, WEIGHTS, open_run
from training.sample import sample

FACTS = "rendered.json"
# Width and height of a video in pixels, even numbers.
SIZE = (360, 432)
_SOUND_HZ = 48_000
# Long enough to judge, short enough to stay awake.
_LENGTH_S = (1.5, 8.0)


class Rendered(NamedTuple):
    """A folder of videos, and the emotion of each by its stem."""

    folder: Path
    emotions: dict[str, str]


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a trained run, not one of videos."""
    return (folder / "stage2" / FINISHED).is_file()


def render_run(
    run: Path,
    out: Path,
    face: FaceModel,
    n_clips: int,
    part: str = "test",
    seed: int = 0,
    told: Callable[[str], None] = lambda text: None,
) -> Rendered:
    """Render the first sample of ``n_clips`` clips of a run as ``out/<stem>.mp4``.

    Which clips: drawn by ``seed`` from the data, one emotion after the other; the same for every
    run of the same data.
    """
    trained = open_run(run)
    clips = open_clips(trained.facts.config.data)
    chosen = choose_clips(clips, part, n_clips, seed)
    weights = hashlib.sha256((run / "stage2" / WEIGHTS).read_bytes()).hexdigest()
    facts = {"weights": weights, "part": part, "seed": seed}
    _begin(out, facts)
    missing = {stem for stem in chosen if not (out / f"{stem}.mp4").is_file()}
    numbers = {clip.stem: number for number, clip in enumerate(clips.clips)}
    for one in sample(trained, 1, seed, part, clips) if missing else ():
        if one.clip.stem in missing:
            told(f"{out.name}: {one.clip.stem}")
            sound = clips.audio(numbers[one.clip.stem])
            write_video(
                out / f"{one.clip.stem}.mp4", pictures(face, one.samples[0], one.betas), sound
            )
    emotions = {stem: _emotion(clips.clips[numbers[stem]].emotion) for stem in chosen}
    return Rendered(out, emotions)


def choose_clips(clips: Clips, part: str, n_clips: int, seed: int) -> list[str]:
    """Stems of clips of a part, taking turns between emotions, of a length that can be judged."""
    rng = np.random.default_rng(seed)
    by_emotion: dict[int, list[str]] = {}
    for number in rng.permutation(clips.split.numbers(2, part)):
        clip = clips.clips[number]
        if _LENGTH_S[0] <= clip.count / MOTION_FPS <= _LENGTH_S[1]:
            by_emotion.setdefault(clip.emotion, []).append(clip.stem)
    decks = [by_emotion[emotion] for emotion in sorted(by_emotion)]
    turns = [
        deck[i] for i in range(max(map(len, decks), default=0)) for deck in decks if i < len(deck)
    ]
    if not turns:
        raise ValueError(
            f"no {part} clip lasts {_LENGTH_S[0]:g} to {_LENGTH_S[1]:g} s, so none can be shown"
        )
    return turns[:n_clips]


def pictures(
    face: FaceModel, motion: np.ndarray, betas: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Pictures [height, width, 3] uint8 of motion [T, 53] on the face of an identity."""
    view = View.of_head(face.shaped(betas), SIZE, close=True)
    raster, colours = Raster(face.faces, face.n_vertices, view), colours_of(face)
    for row in motion:
        yield raster.draw(face.vertices(betas, row[None, :50], row[None, 50:])[0], colours)


def write_video(path: Path, frames: Iterator[np.ndarray], sound: np.ndarray) -> None:
    """H.264 and AAC at 25 fps: frames [height, width, 3] uint8, sound [N] float32 at 16 kHz."""
    # The muxer is told by the name's end, so the unfinished file keeps it.
    part = path.with_name(f"{path.stem}.part.mp4")
    with av.open(str(part), "w", options={"movflags": "faststart"}) as made:
        picture = made.add_stream("libx264", rate=MOTION_FPS, options={"crf": "23"})
        picture.pix_fmt = "yuv420p"
        voice = made.add_stream("aac", rate=_SOUND_HZ, layout="mono")
        for index, image in enumerate(frames):
            if index == 0:
                picture.height, picture.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, MOTION_FPS)
            made.mux(picture.encode(frame))
        made.mux(picture.encode(None))
        for block in _resampled(sound, voice.codec_context.frame_size):
            made.mux(voice.encode(block))
        made.mux(voice.encode(None))
    os.replace(part, path)


def _resampled(sound: np.ndarray, frame_size: int) -> Iterator[av.AudioFrame]:
    whole = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound[None], np.float32), format="fltp", layout="mono"
    )
    whole.sample_rate, whole.pts = SAMPLE_RATE_HZ, 0
    resampler, fifo = av.AudioResampler("fltp", "mono", _SOUND_HZ), av.AudioFifo()
    for block in (*resampler.resample(whole), *resampler.resample(None)):
        fifo.write(block)
    yield from fifo.read_many(frame_size or 1024, partial=True)


def _begin(out: Path, facts: dict[str, object]) -> None:
    """Make the folder, or empty it of videos that show something else."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / FACTS
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == facts:
        return
    for video in out.glob("*.mp4"):
        video.unlink()
    path.write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _emotion(number: int) -> str:
    return EMOTIONS[number] if number >= 0 else "unknown"
