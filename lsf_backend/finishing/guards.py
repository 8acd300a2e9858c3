# SPDX-License-Identifier: Apache-2.0
"""The stream of smoothing, closure guard and silence guard, for any kind of lips.

Frames come out eleven frames (0.44 s) after they went in. The result depends on the motion, the
settings and the sound, never on where chunks were cut.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, Protocol

import numpy as np

from . import lips
from .settings import FinishingSettings
from .smoothing import SMOOTHING_CONTEXT_FRAMES, jitter_mm, smoothed
from .speech import SpeechTrack

CONTEXT_FRAMES = SMOOTHING_CONTEXT_FRAMES + lips.CLOSURE_CONTEXT_FRAMES
# A guard that moves the lips by less has done nothing worth counting.
_COUNTS_MM = 0.05
_LEFT_OPEN_MM = 0.1


class Lips(Protocol):
    """What a guard needs of a face; K columns of motion."""

    def gap_mm(self, motion: np.ndarray) -> np.ndarray:
        """Gap less that of the resting face: [n, K] -> [n] mm."""
        ...

    def closed(self, motion: np.ndarray, target_mm: np.ndarray, jaw_stays: bool) -> np.ndarray:
        """Bring the gap down to ``target_mm`` [n] where it is wider: [n, K] -> [n, K] float64."""
        ...


@dataclasses.dataclass
class FinishingReport:
    """What the guards did, in numbers a person can read."""

    frames: int = 0
    closures: int = 0
    closures_tightened: int = 0
    silent_frames_shut: int = 0
    largest_change_mm: float = 0.0
    left_open_mm: float = 0.0
    jitter_before_mm: float = 0.0
    jitter_after_mm: float = 0.0

    def sentences(self) -> list[str]:
        """The report in sentences; empty where nothing was done."""
        found = []
        if self.closures_tightened:
            found.append(
                f"The lips were brought together at {self.closures_tightened} of "
                f"{self.closures} closures (by up to {self.largest_change_mm:.1f} mm)."
            )
        if self.silent_frames_shut:
            found.append(f"The mouth was shut in {self.silent_frames_shut} silent frames.")
        if self.left_open_mm > _LEFT_OPEN_MM:
            found.append(
                f"Where they should meet, the lips stay up to {self.left_open_mm:.1f} mm farther "
                "apart: this face closes them no further."
            )
        return found


class Guarded(NamedTuple):
    """Frames from ``first_frame`` on: ``motion`` [n, K] float64."""

    first_frame: int
    motion: np.ndarray


class Guards:
    """Takes chunks of motion [n, K] in order, gives them guarded; call ``flush`` at the end.

    ``limits`` is what smoothing may not leave; without ``face`` there is smoothing alone.
    """

    def __init__(
        self,
        settings: FinishingSettings,
        speech: SpeechTrack,
        face: Lips | None,
        limits: tuple[float, float] = (-np.inf, np.inf),
    ) -> None:
        self.report = FinishingReport()
        self._settings = settings
        self._speech = speech
        self._face = face
        self._limits = limits
        # Motion from frame ``_start`` on; what lies before frame 0 repeats it.
        self._motion = np.empty((0, 0))
        self._closures = np.empty(0)
        self._start = 0
        self._jitter = [np.empty(0), np.empty(0)]
        self._jitter_sums = np.zeros(2)

    def push(self, motion: np.ndarray, closures: np.ndarray | None = None) -> Guarded | None:
        """Take the next frames [n, K] (closures [n] 0..1, if known); give what can be guarded."""
        motion = np.asarray(motion, dtype=np.float64)
        if not len(motion):
            return None
        if not len(self._motion):
            motion = np.concatenate([np.repeat(motion[:1], CONTEXT_FRAMES, 0), motion])
            self._motion = motion[:0]
            self._start = -CONTEXT_FRAMES
        self._motion = np.concatenate([self._motion, motion])
        known = np.zeros(len(motion))
        if closures is not None:
            known[len(motion) - len(closures) :] = closures
        self._closures = np.concatenate([self._closures, known])
        return self._guarded()

    def flush(self) -> Guarded | None:
        """Give the last frames; nothing may follow."""
        if not len(self._motion):
            return None
        self._motion = np.concatenate(
            [self._motion, np.repeat(self._motion[-1:], CONTEXT_FRAMES, 0)]
        )
        self._closures = np.concatenate([self._closures, np.zeros(CONTEXT_FRAMES)])
        return self._guarded()

    def _guarded(self) -> Guarded | None:
        count = len(self._motion) - 2 * CONTEXT_FRAMES
        if count <= 0:
            return None
        first = self._start + CONTEXT_FRAMES
        wide = np.clip(smoothed(self._motion, self._settings.smoothing), *self._limits)
        made = wide[lips.CLOSURE_CONTEXT_FRAMES :][:count]
        if self._face is not None:
            made = self._closed(self._face, first, wide, made)
        self._motion = self._motion[count:]
        self._closures = self._closures[count:]
        self._start += count
        self.report.frames += count
        return Guarded(first, made)

    def _closed(self, face: Lips, first: int, wide: np.ndarray, made: np.ndarray) -> np.ndarray:
        settings, report, count = self._settings, self.report, len(made)
        gap = face.gap_mm(wide)
        before = after = gap[lips.CLOSURE_CONTEXT_FRAMES :][:count]
        if settings.closure > 0.0:
            closures = self._closures[SMOOTHING_CONTEXT_FRAMES:][: len(gap)]
            pull, centres = lips.closure_pull(gap, closures, settings.near_mm)
            target = _towards(before, settings.closed_mm, settings.closure * pull)
            made = face.closed(made, target, jaw_stays=True)
            after = face.gap_mm(made)
            report.closures += int(centres.sum())
            report.closures_tightened += int((centres & (before - target > _COUNTS_MM)).sum())
            self._count_left_open(after, target)
        if settings.silence > 0.0:
            pull = lips.silence_pull(first, count, self._speech)
            target = _towards(after, settings.silent_mm, settings.silence * pull)
            made = face.closed(made, target, jaw_stays=False)
            report.silent_frames_shut += int((after - target > _COUNTS_MM).sum())
            after = face.gap_mm(made)
            self._count_left_open(after, target)
        largest = float(np.max(before - after, initial=0.0))
        report.largest_change_mm = max(report.largest_change_mm, largest)
        raw = self._motion[CONTEXT_FRAMES : CONTEXT_FRAMES + count]
        self._count_jitter(face.gap_mm(raw), after)
        return made

    def _count_left_open(self, gap: np.ndarray, target: np.ndarray) -> None:
        most = float(np.max(gap - target, initial=0.0))
        self.report.left_open_mm = max(self.report.left_open_mm, most)

    def _count_jitter(self, before: np.ndarray, after: np.ndarray) -> None:
        for index, values in enumerate((before, after)):
            series = np.concatenate([self._jitter[index], values])
            frames = max(len(series) - 2, 0)
            self._jitter_sums[index] += jitter_mm(series) ** 2 * frames
            self._jitter[index] = series[-2:]
        frames = max(self.report.frames + len(before) - 2, 1)
        self.report.jitter_before_mm, self.report.jitter_after_mm = np.sqrt(
            self._jitter_sums / frames
        ).tolist()


def _towards(gap: np.ndarray, goal_mm: float, pull: np.ndarray) -> np.ndarray:
    """Gap that is wanted: as it is without pull, at most ``goal_mm`` with full pull."""
    return gap - pull * np.maximum(gap - goal_mm, 0.0)
