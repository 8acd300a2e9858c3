# SPDX-License-Identifier: Apache-2.0
"""A range of a sound file as 16 kHz mono float32, read in order with flat memory, checked first.

Whatever is wrong with the file is told in one sentence when it is opened. Only silence may be found
late: a long sound that starts silent is allowed to go on, and :meth:`AudioReader.finish` decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lsf_backend.audio_decoder import ACCEPTED, SoundDecoder
from lsf_backend.errors import LsfError
from lsf_backend.timing import (
    MOTION_FPS,
    SAMPLE_RATE_HZ,
    frames_from_samples,
    samples_from_seconds,
    seconds_from_samples,
)

SHORTEST_S = 0.2
SILENT_PEAK = 1e-3  # -60 dBFS
QUIET_PEAK = 10 ** (-40 / 20)
CLIPPED_PERCENT = 0.1
# Read samples kept for the overlap of the next window; an engine's context is a second or so.
_KEEP = 30 * SAMPLE_RATE_HZ
# Decoding runs at several hundred x real time: a second or two at most, and only in silence.
_LOOK_FOR_SOUND = 600 * SAMPLE_RATE_HZ


class AudioReader:
    """A range of a sound file; samples are counted from the start of the range, at 16 kHz."""

    def __init__(self, decoder: SoundDecoder, start: int, n_samples: int) -> None:
        self.path = decoder.path
        self.n_samples = n_samples
        self._decoder = decoder
        self._start = start
        self._blocks: Iterator[tuple[np.ndarray, np.ndarray]] = iter(())
        self._buffer = np.zeros(0, np.float32)
        self._buffer_start = 0
        self._opened = False
        self._peak = 0.0
        self._heard_to = 0
        self._measured = 0
        self._clipped = 0

    @property
    def duration_s(self) -> float:
        """Exact length of the range in seconds."""
        return seconds_from_samples(self.n_samples)

    @property
    def n_frames(self) -> int:
        """Motion frames of the range: T = floor(25 * seconds)."""
        return frames_from_samples(self.n_samples)

    def read(self, start_sample: int, count: int) -> np.ndarray:
        """Samples [<= count] float32 at 16 kHz mono from ``start_sample``; fewer only at the end.

        Going forward, also with an overlap of up to 30 s, costs no seek; any other place does.
        """
        assert start_sample >= 0 and count >= 0, (start_sample, count)
        end = min(start_sample + count, self.n_samples)
        if start_sample >= end:
            return np.zeros(0, np.float32)
        buffer_end = self._buffer_start + self._buffer.size
        if not (self._opened and self._buffer_start <= start_sample <= buffer_end + _KEEP):
            self._open_at(start_sample)
        self._fill(end, keep_from=max(start_sample - _KEEP, self._buffer_start))
        first = start_sample - self._buffer_start
        return self._buffer[first : first + end - start_sample].copy()

    def finish(self) -> None:
        """Raise ``audio_silent`` if the whole range was read and nothing was heard in it."""
        if self._heard_to >= self.n_samples and self._peak < SILENT_PEAK:
            raise LsfError(
                "audio_silent",
                f"{self.path.name} is silent: nothing in it is louder than -60 dBFS.",
                "Choose another sound or range, or turn up the recording.",
            )

    def warnings(self) -> list[str]:
        """Sentences about the sound as far as it was read."""
        name, rate_hz = self.path.name, self._decoder.rate_hz
        found = []
        if rate_hz < SAMPLE_RATE_HZ:
            found.append(
                f"{name} is sampled at {rate_hz / 1000:g} kHz, so sounds such as s and f are "
                "weak in it and the lips may be less exact; 16 kHz or more is better."
            )
        percent = 100 * self._clipped / max(1, self._measured)
        if percent > CLIPPED_PERCENT:
            found.append(
                f"{name} is clipped in {percent:.1f} % of its samples; "
                "a recording with lower gain animates better."
            )
        if SILENT_PEAK <= self._peak < QUIET_PEAK:
            found.append(
                f"{name} is very quiet (peak {20 * math.log10(self._peak):.0f} dBFS); "
                "a louder recording animates better."
            )
        if self._decoder.damaged_packets:
            found.append(f"{name} is damaged in places, and those were left out.")
        return found

    def look_for_sound(self) -> None:
        """Read ahead to the first sound, for at most ten minutes; raise if all of it is silent."""
        position = 0
        while self._peak < SILENT_PEAK and position < min(self.n_samples, _LOOK_FOR_SOUND):
            position += self.read(position, SAMPLE_RATE_HZ).size
        self.finish()

    def _open_at(self, sample: int) -> None:
        self._blocks = self._decoder.blocks(self._start + sample)
        self._buffer = np.zeros(0, np.float32)
        self._buffer_start = sample
        self._opened = True

    def _fill(self, end: int, keep_from: int) -> None:
        """Decode up to a sample of the range and forget what lies before ``keep_from``."""
        parts = [self._buffer]
        buffer_end = self._buffer_start + self._buffer.size
        while buffer_end < end:
            source, block = next(self._blocks, (None, None))
            if source is None or block is None:
                # The decoder ended before the measured end: silence keeps the length exact.
                block = np.zeros(end - buffer_end, np.float32)
            else:
                self._measure(source)
            block = block[: self.n_samples - buffer_end]
            if block.size:
                self._peak = max(self._peak, float(np.abs(block).max()))
                parts.append(block)
                buffer_end += block.size
        self._heard_to = max(self._heard_to, buffer_end)
        if len(parts) > 1:
            self._buffer = np.concatenate(parts)[keep_from - self._buffer_start :].copy()
            self._buffer_start = keep_from

    def _measure(self, source: np.ndarray) -> None:
        """Count clipped samples: flat tops at full scale, or what a lossy codec made of them."""
        self._measured += source.size
        level = np.abs(source)
        if source.size < 3 or level.max() <= 0.985:
            return
        still = np.abs(np.diff(source)) < 1e-6
        flat = (level[1:-1] > 0.985) & still[1:] & still[:-1]
        self._clipped += int(flat.sum()) + int((level > 1.0).sum())


def open_audio(path: str | Path, start_s: float = 0.0, end_s: float | None = None) -> AudioReader:
    """Open a range of a sound file, or raise :class:`LsfError` with one sentence.

    ``end_s`` may lie past the end by up to one frame (0.04 s), as rounded displays do.
    """
    path = Path(path)
    _check_file(path)
    _check_times(start_s, end_s)
    decoder = SoundDecoder(path)
    total_s = decoder.n_source / decoder.rate_hz
    tolerance_s = 1 / MOTION_FPS
    if start_s >= total_s or (end_s is not None and end_s > total_s + tolerance_s):
        wrong = f"start at {start_s:g} s" if start_s >= total_s else f"end at {end_s:g} s"
        raise LsfError(
            "range_invalid",
            f"The range cannot {wrong}, because {path.name} is {total_s:.2f} s long.",
            f"Choose times between 0 and {total_s:.2f} s.",
        )
    start = samples_from_seconds(start_s)
    end = decoder.n_samples
    if end_s is not None:
        end = min(end, samples_from_seconds(end_s))
    if end - start < samples_from_seconds(SHORTEST_S):
        what = path.name if start == 0 and end == decoder.n_samples else f"The range of {path.name}"
        raise LsfError(
            "audio_too_short",
            f"{what} is only {max(0, end - start) / SAMPLE_RATE_HZ:.2f} s long.",
            f"At least {SHORTEST_S:g} s of speech are needed.",
        )
    reader = AudioReader(decoder, start, end - start)
    reader.look_for_sound()
    return reader


def _check_file(path: Path) -> None:
    hint = f"Choose a sound: {ACCEPTED}."
    try:
        if not path.exists():
            raise LsfError("audio_missing", f"There is no file {path}.", hint)
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise LsfError("audio_unreadable", f"{path} is {kind}, not a sound file.", hint)
        with path.open("rb") as file:
            if not file.read(1):
                raise LsfError("audio_empty", f"{path.name} is empty (0 bytes).", hint)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LsfError("audio_unreadable", f"{path} cannot be opened: {reason}.", hint) from error


def _check_times(start_s: float, end_s: float | None) -> None:
    for name, value in (("start", start_s), ("end", end_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise LsfError(
                "range_invalid",
                f"The {name} of the range is {value}, which is not a time in seconds from 0 on.",
            )
    if end_s is not None and end_s <= start_s:
        raise LsfError(
            "range_invalid",
            f"The range ends at {end_s:g} s, which is not after its start at {start_s:g} s.",
        )
