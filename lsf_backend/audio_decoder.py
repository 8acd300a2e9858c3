# SPDX-License-Identifier: Apache-2.0
"""One sound file, decoded by PyAV block by block: channels averaged, resampled to 16 kHz.

Positions are exact and stay so after a seek: decoding restarts a little early, on a source sample
that falls on a whole 16 kHz sample, so that the resampler's phase is the same as in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
_INTEGER_SCALES = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}


class SoundDecoder:
    """A file's first sound stream: ``rate_hz``, ``channels`` and ``n_source`` samples per channel."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged_packets = 0
        with self._opened() as container:
            stream = container.streams.audio[0]
            self.rate_hz: int = stream.codec_context.sample_rate
            self.channels: int = stream.codec_context.channels
            first = next(self._frames(container), None)
            if first is None:
                raise self._empty()
            self._origin_s: float | None = first.time
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
            if start > _TAIL_S * self.rate_hz and self._origin_s is not None:
                frame = self._seek(container, start)
                if frame is None:
                    yield from self._source_blocks_from_zero()
                    return
                position = round((frame.time - self._origin_s) * self.rate_hz)
                block = self._mono(frame)
                yield position, block
                position += block.size
                frames = self._frames(container)
            for frame in frames:
                block = self._mono(frame)
                yield position, block
                position += block.size

    def _source_blocks_from_zero(self) -> Iterator[tuple[int, np.ndarray]]:
        return self._source_blocks(0)

    def _seek(self, container: Any, start: int) -> Any | None:
        """Seek to at or before a source sample; its first frame, or None where that cannot be had."""
        assert self._origin_s is not None
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
            header_s = 0.0
            if stream.duration:
                header_s = float(stream.duration * stream.time_base)
            elif container.duration:
                header_s = container.duration / 1e6
            is_mp4 = "mp4" in container.format.name
            limit = round(header_s * self.rate_hz) if is_mp4 and header_s else None
            count = None
            if header_s > _WHOLE_DECODE_S and self._origin_s is not None:
                count = self._end_after_seek(container, header_s)
        if count is None:
            count = 0
            for _, block in self._source_blocks(0):
                count += block.size
        # An mp4's edit list cuts the padding that AAC adds at the end; the decoder does not.
        return count if limit is None else min(count, limit)

    def _end_after_seek(self, container: Any, header_s: float) -> int | None:
        frame = self._seek(container, max(0, round((header_s - _TAIL_S) * self.rate_hz)))
        if frame is None:
            return None
        end = round((frame.time - (self._origin_s or 0.0)) * self.rate_hz) + frame.samples
        for frame in self._frames(container):
            end += frame.samples
        return end

    def _opened(self) -> Any:
        # "file:" keeps a colon in a name from being read as a protocol; a playlist that calls itself
        # a wav may not reach the network.
        try:
            container = av.open(
                f"file:{self.path}",
                options={"protocol_whitelist": "file"},
                metadata_errors="replace",
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

    def _mono(self, frame: Any) -> np.ndarray:
        """Mean over the channels of one frame: [n] float32 in -1..1, whatever its sample format."""
        if frame.sample_rate != self.rate_hz:
            raise LsfError(
                "audio_unreadable",
                f"{self.path.name} changes its sample rate from {self.rate_hz} to "
                f"{frame.sample_rate} Hz in the middle.",
                "Save it again at one rate.",
            )
        data = frame.to_ndarray()
        if not frame.format.is_planar:
            data = data.reshape(frame.samples, -1).T
        scale = _INTEGER_SCALES.get(data.dtype.str[1:])
        mono = data.mean(axis=0, dtype=np.float64)
        if scale is not None:
            mono = (mono - (scale if data.dtype.str[1:] == "u1" else 0.0)) / scale
        return np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)

    def _empty(self) -> LsfError:
        return LsfError(
            "audio_empty",
            f"{self.path.name} holds no sound that can be decoded.",
            f"Choose a sound of at least 0.2 s: {ACCEPTED}.",
        )


def _drop(count: int, frames: list[Any]) -> tuple[int, np.ndarray]:
    """Join resampled frames and leave out the first ``count`` samples; what is still to be dropped."""
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    joined = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return max(0, count - joined.size), joined[count:]
