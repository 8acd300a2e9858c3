# SPDX-License-Identifier: Apache-2.0
"""One sound file, decoded by PyAV block by block: channels averaged, resampled to 16 kHz.

Positions are exact and stay so after a seek: decoding restarts a little early, on a source sample
that falls on a whole 16 kHz sample, so that the resampler's phase is the same as in one pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.timing import SAMPLE_RATE_HZ

ACCEPTED = "wav, flac, mp3, ogg, opus, m4a, aac, or the sound of an mp4 or mov"
# Lossy codecs need what came before (Opus 80 ms, AAC and MP3 one or two packets).
_PREROLL_S = 0.5
_WHOLE_DECODE_S = 30.0
_TAIL_S = 2.0
# PCM of these types is scaled to -1..1; floats are that already.
# PyAV before 19 raises over tags that are not UTF-8 unless told not to; 19 dropped the argument.
_TAGS = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_INTEGER_SCALES = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


class SoundDecoder:
    """A file's first sound stream: its ``rate_hz`` and ``n_source`` samples per channel."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged_packets = 0
        with self._opened() as container:
            stream = container.streams.audio[0]
            self.rate_hz: int = stream.codec_context.sample_rate
            first = next(self._frames(container), None)
            if first is None:
                raise self._empty()
            # Matroska rounds times to 1 ms, which is too coarse to seek by.
            fine = stream.time_base * self.rate_hz <= 1
            self._origin_s: float | None = first.time if fine else None
            self._unit = self.rate_hz // math.gcd(self.rate_hz, SAMPLE_RATE_HZ)
        self.n_source = self._measure()
        if self.n_source == 0:
            raise self._empty()

    @property
    def n_samples(self) -> int:
        """Whole 16 kHz samples in the file."""
        return self.n_source * SAMPLE_RATE_HZ // self.rate_hz

    def blocks(self, start_sample: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Decode from a 16 kHz sample on: pairs of (source block, 16 kHz block), float32 mono.

        The source block, at the file's own rate, is for measurements; the second starts exactly at
        ``start_sample``. Ends where the file ends.
        """
        wanted = start_sample * self.rate_hz // SAMPLE_RATE_HZ
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        drop: int | None = None
        for position, block in self._source_blocks(max(0, wanted - self._preroll())):
            if drop is None:
                skip = -position % self._unit
                if skip >= block.size:
                    continue
                block = block[skip:]
                drop = start_sample - (position + skip) * SAMPLE_RATE_HZ // self.rate_hz
            frame = av.AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
            frame.sample_rate = self.rate_hz
            drop, out = _drop(drop, resampler.resample(frame))
            yield block, out
        if drop is not None:
            yield np.zeros(0, np.float32), _drop(drop, resampler.resample(None))[1]

    def _preroll(self) -> int:
        return math.ceil(_PREROLL_S * self.rate_hz)

    def _source_blocks(self, start: int) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of (first source sample, mono float32 block); the first lies at or before start."""
        with self._opened() as container:
            position = 0
            frames = self._frames(container)
            # A short way is decoded rather than sought: no seek is as exact as none.
            if start > _TAIL_S * self.rate_hz:
                first = self._seek(container, start)
                if first is None:
                    container.close()
                    yield from self._source_blocks(0)
                    return
                position = self._position(first)
                frames = itertools.chain([first], self._frames(container))
            for block in self._mono_blocks(frames):
                yield position, block
                position += block.size

    def _position(self, frame: Any) -> int:
        """Source sample of a frame after a seek."""
        return round((frame.time - (self._origin_s or 0.0)) * self.rate_hz)

    def _seek(self, container: Any, start: int) -> Any | None:
        """Seek to or before a source sample: the first frame there, or None if that fails."""
        if self._origin_s is None:
            return None
        target_s = start / self.rate_hz + self._origin_s
        stream = container.streams.audio[0]
        try:
            container.seek(int(target_s / stream.time_base), stream=stream)
            frame = next(self._frames(container), None)
        except av.error.FFmpegError:
            return None
        early_enough = frame is not None and frame.time is not None and frame.time <= target_s + 0.1
        return frame if early_enough else None

    def _measure(self) -> int:
        """Source samples in the file, by decoding its end: headers often lie or only estimate."""
        with self._opened() as container:
            stream = container.streams.audio[0]
            header_s = (container.duration or 0) / 1e6
            if stream.duration:
                header_s = float(stream.duration * stream.time_base)
            count = None
            if header_s > _WHOLE_DECODE_S:
                first = self._seek(container, round((header_s - _TAIL_S) * self.rate_hz))
                if first is not None:
                    count = self._position(first) + first.samples
                    count += sum(frame.samples for frame in self._frames(container))
            is_mp4 = "mp4" in container.format.name
        if count is None:
            with self._opened() as container:
                count = sum(frame.samples for frame in self._frames(container))
        # An mp4's edit list cuts the padding that AAC adds at the end; the decoder does not.
        return min(count, round(header_s * self.rate_hz)) if is_mp4 and header_s else count

    def _opened(self) -> Any:
        # "file:" keeps a colon in a name from being read as a protocol; a playlist that calls
        # itself a wav may not reach the network.
        try:
            container = av.open(
                f"file:{self.path}",
                options={"protocol_whitelist": "file"},
                **_TAGS,
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise LsfError(
                "audio_unreadable",
                f"{self.path.name} is not a sound file that can be read "
                f"({getattr(error, 'strerror', None) or error}).",
                f"Choose a sound: {ACCEPTED}.",
            ) from error
        if not container.streams.audio or not container.streams.audio[0].codec_context:
            container.close()
            raise LsfError(
                "audio_unreadable",
                f"{self.path.name} has no sound in it.",
                f"Choose a sound: {ACCEPTED}.",
            )
        return container

    def _frames(self, container: Any) -> Iterator[Any]:
        """Decoded frames; a packet that cannot be decoded is counted and left out."""
        stream = container.streams.audio[0]
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.damaged_packets += 1
                if self.damaged_packets > 1000:
                    return
                continue
            if packet is None:
                return
            yield from (frame for frame in frames if frame.samples)

    def _mono_blocks(self, frames: Iterable[Any]) -> Iterator[np.ndarray]:
        """Frames joined to blocks of about half a second, then averaged: [n] float32 in -1..1."""
        parts: list[np.ndarray] = []
        gathered = 0
        for frame in frames:
            if frame.sample_rate != self.rate_hz:
                raise LsfError(
                    "audio_unreadable",
                    f"{self.path.name} changes its sample rate from {self.rate_hz} to "
                    f"{frame.sample_rate} Hz in the middle.",
                    "Save it again at one rate.",
                )
            data = frame.to_ndarray()
            parts.append(data if frame.format.is_planar else data.reshape(frame.samples, -1).T)
            gathered += frame.samples
            if gathered >= self.rate_hz // 2:
                yield from _means(parts)
                parts, gathered = [], 0
        yield from _means(parts)

    def _empty(self) -> LsfError:
        return LsfError(
            "audio_empty",
            f"{self.path.name} holds no sound that can be decoded.",
            f"Choose a sound of at least 0.2 s: {ACCEPTED}.",
        )


def _means(parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Mean over the channels of joined frames; where the channel count changes, several blocks."""
    for _, group in itertools.groupby(parts, key=len):
        data = np.concatenate(list(group), axis=1)
        kind = data.dtype.str[1:]
        if kind == "u1":
            data = data.astype(np.int16) - 128
        mono = data.mean(axis=0, dtype=np.float64) / _INTEGER_SCALES.get(kind, 1.0)
        if not np.isfinite(mono).all():
            mono = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
        yield mono.astype(np.float32)


def _drop(count: int, frames: list[Any]) -> tuple[int, np.ndarray]:
    """Join resampled frames without the first ``count`` samples; also how many are still to go."""
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    joined = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return max(0, count - joined.size), joined[count:]
