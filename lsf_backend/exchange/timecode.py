# SPDX-License-Identifier: Apache-2.0
"""SMPTE timecodes of Live Link Face: HH:MM:SS:FF.mmm, drop-frame with a semicolon.

FF counts to the base, 24, 25, 30, 48, 50 or 60, whatever the rate of the rows: the app counts 60
also when it records 30. At 29.97 and 59.94 a "second" of timecode lasts 1.001 s; drop-frame skips
labels (2 or 4 a minute, but not every tenth) to stay with the clock.
"""

from __future__ import annotations

import re

BASES: tuple[int, ...] = (24, 25, 30, 48, 50, 60)
_PATTERN = re.compile(r"\s*(\d{1,2})[:;](\d{1,2})[:;](\d{1,2})([:;.])(\d{1,3})(?:\.(\d{1,6}))?\s*")


class BadTimecode(ValueError):
    """A text that is not a timecode."""


def parse(text: str) -> tuple[int, int, float, bool]:
    """Return minutes, seconds, frames with their fraction, and whether it is drop-frame."""
    match = _PATTERN.fullmatch(text)
    if not match:
        raise BadTimecode(f"{text!r} is not a timecode like 01:02:03:04.567")
    hours, minutes, seconds, mark, frames, part = match.groups()
    if int(minutes) > 59 or int(seconds) > 59:
        raise BadTimecode(f"{text!r} is not a time of day")
    frame = float(f"{frames}.{part or 0}")
    return int(hours) * 60 + int(minutes), int(seconds), frame, mark == ";"


def base_of(largest_frame: int) -> int:
    """Smallest base that can count so far; raises where none can."""
    for base in BASES:
        if largest_frame < base:
            return base
    raise BadTimecode(f"frame {largest_frame} is more than any timecode counts (59)")


def rate_of(base: int, fps: float | None, drop: bool) -> float:
    """Frames of timecode per second of time: the base, or 1000/1001 of it."""
    if fps is not None:
        drop = abs(fps * 1.001 - round(fps * 1.001)) < abs(fps - round(fps))
    return base * 1000.0 / 1001.0 if drop else float(base)


def seconds_from(
    minutes: int, seconds: int, frame: float, base: int, rate: float, drop: bool
) -> float:
    """Time in seconds of a timecode since 00:00:00:00."""
    count = (minutes * 60 + seconds) * base + frame
    if drop:
        count -= _dropped(base) * (minutes - minutes // 10)
    return count / rate


def text_from(index: int, base: int, drop: bool) -> str:
    """Timecode of a whole frame: 1800 at base 30 -> 00:01:00:00.000, drop-frame 00:01:00;02.000."""
    if drop:
        skipped = _dropped(base)
        tens, rest = divmod(index, base * 600 - 9 * skipped)
        index += 9 * skipped * tens
        if rest >= base * 60:
            index += skipped * (1 + (rest - base * 60) // (base * 60 - skipped))
    seconds, frame = divmod(index, base)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    mark = ";" if drop else ":"
    return f"{hour % 24:02d}:{minute:02d}:{second:02d}{mark}{frame:02d}.000"


def _dropped(base: int) -> int:
    if base not in (30, 60):
        raise BadTimecode(f"drop-frame timecode exists at 29.97 and 59.94 fps, not at {base}")
    return base // 15
