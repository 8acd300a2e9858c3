# SPDX-License-Identifier: Apache-2.0
"""What lips do for sounds whose times are known, in millimetres on the bundled head.

A closure is a run of frames whose lip gap is under 1 mm; it is right where a p, b, m is within
40 ms or the voice pauses (by the aligner, or 30 dB down for 0.1 s). Frames are 25 a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lsf_backend.engine.features import raw_prosody
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm, mouth_width_mm
from training.voices.align import Phones

FPS = 25.0
CLOSED_MM = 1.0
WITHIN_S = 0.040
PAUSE_WITHIN_S = 0.08
LEAST_SOUND_S = 0.06
LEAST_PAUSE_S, LEAST_QUIET_S = 0.24, 0.10
OPEN_VOWELS = ("AA", "AE", "AO", "AY", "AW")
ROUND = ("UW", "OW", "W", "UH")
TUCKED = ("F", "V")
LIPS = ("P", "B", "M")
PAUSE = "SIL"


class SoundFrames:
    """The frames of each sound of a clip of ``count`` frames."""

    def __init__(
        self, count: int, phones: Phones, audio: np.ndarray, within_s: float = WITHIN_S
    ) -> None:
        self.count, self.phones, self.within_s = count, phones, within_s
        self.speech = np.zeros(count, bool)
        self.lips_allowed = np.zeros(count, bool)
        self.lips: list[np.ndarray] = []
        for name, start, stop in phones:
            if name == PAUSE:
                self.lips_allowed |= self.frames(start, stop, max(PAUSE_WITHIN_S, within_s))
                continue
            self.speech |= self.frames(start, stop)
            if name in LIPS:
                self.lips.append(self.frames(start, stop, within_s))
                self.lips_allowed |= self.lips[-1]
        # Aligners spread a word over a short pause after it.
        for first, last in quiet(audio, LEAST_QUIET_S):
            self.lips_allowed |= self.frames(first * 0.02, last * 0.02)

    def frames(self, start_s: float, stop_s: float, around_s: float = 0.0) -> np.ndarray:
        """Frames [T] bool from ``around_s`` before to after; at least the one in the middle."""
        times = np.arange(self.count) / FPS
        inside = (times >= start_s - around_s) & (times <= stop_s + around_s)
        if not inside.any():
            inside[min(self.count - 1, round(FPS * 0.5 * (start_s + stop_s)))] = True
        return inside

    def of(
        self, names: tuple[str, ...], least_s: float = 0.0, around_s: float = 0.0
    ) -> Iterator[np.ndarray]:
        """Frames [T] bool of each sound of these names that lasts ``least_s``."""
        for name, start, stop in self.phones:
            if name in names and stop - start >= least_s:
                yield self.frames(start, stop, around_s)

    def closures(self, shut: np.ndarray) -> tuple[list[bool], list[bool]]:
        """For shut lips [T] bool: was each p, b, m met; is each closure in speech a right one."""
        met = [bool(shut[inside].any()) for inside in self.lips]
        return met, [bool(self.lips_allowed[a:b].any()) for a, b in self.closures_in_speech(shut)]

    def closures_in_speech(self, shut: np.ndarray) -> list[tuple[int, int]]:
        """Runs of shut frames that touch speech and neither end of the clip."""
        return [
            (a, b) for a, b in runs(shut) if self.speech[a:b].any() and a > 0 and b < self.count
        ]

    def sounds_at(self, first: int, last: int) -> str:
        """Names of the sounds under the frames [first, last), joined by spaces."""
        start, stop = (first - 0.5) / FPS, (last - 0.5) / FPS
        return " ".join(n for n, a, b in self.phones if b > start and a < stop)


class Counts(dict[str, list[float]]):
    """Named lists of zeros and ones (or values), summed up by their means."""

    def note(self, name: str, value: float) -> None:
        """Add one observation."""
        self.setdefault(name, []).append(float(value))

    def note_all(self, name: str, values: list[bool]) -> None:
        """Add many observations."""
        self.setdefault(name, []).extend(float(value) for value in values)

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and number of observations for every name."""
        return {k: {"mean": round(float(np.mean(v)), 4), "n": len(v)} for k, v in self.items()}


def measure_lips(
    face: FaceModel, motion: np.ndarray, wanted: np.ndarray, sounds: SoundFrames,
    audio: np.ndarray, counts: Counts,
) -> None:  # fmt: skip
    """Add one clip: motion and the teacher's on the same sounds [T, 53], audio [N] 16 kHz."""
    arkit = arkit_from_motion(motion)
    gap, aim = lip_gap_mm(face, arkit), lip_gap_mm(face, arkit_from_motion(wanted))
    width = mouth_width_mm(face, arkit)
    tuck = arkit[:, ARKIT_NAMES.index("mouthRollLower")]
    met, right = sounds.closures(gap < CLOSED_MM)
    counts.note_all("p/b/m closure recall", met)
    counts.note_all("p/b/m closure precision", right)
    met, right = sounds.closures(aim < CLOSED_MM)
    counts.note_all("p/b/m closure recall, teacher", met)
    counts.note_all("p/b/m closure precision, teacher", right)
    for inside in sounds.of(OPEN_VOWELS, LEAST_SOUND_S):
        counts.note("open vowels", gap[inside].max() > 0.4 * aim[inside].max())
    for inside in sounds.of(ROUND, LEAST_SOUND_S):
        counts.note("rounded: narrower", width[inside].min() < np.median(width))
    for inside in sounds.of(TUCKED, around_s=WITHIN_S):
        counts.note("f/v tuck", tuck[inside].max() > 0.15)
    for first, last in pauses(audio):
        counts.note_all("silence closed", list(gap[first:last] < CLOSED_MM))
    counts.note("lag, frames", lag_frames(gap, aim))
    counts.note("gap correlation with teacher", np.corrcoef(gap, aim)[0, 1])
    counts.note("jitter over 8 Hz, mm", fast_part(gap))
    counts.note("jitter over 8 Hz, mm, teacher", fast_part(aim))
    counts.note("mean gap in speech, mm", gap[sounds.speech].mean())
    counts.note("mean gap in speech, mm, teacher", aim[sounds.speech].mean())


def wrong_closures(face: FaceModel, motion: np.ndarray, sounds: SoundFrames) -> list[str]:
    """The sounds under every closure that belongs to no p, b, m or pause."""
    shut = lip_gap_mm(face, arkit_from_motion(motion)) < CLOSED_MM
    found = sounds.closures_in_speech(shut)
    return [sounds.sounds_at(a, b) for a, b in found if not sounds.lips_allowed[a:b].any()]


def pauses(audio: np.ndarray) -> list[tuple[int, int]]:
    """Frames (first, after last) inside pauses over 0.25 s, by level: the aligner's are too rough.

    A pause is 30 dB under the speech; its first 0.1 s and last 0.06 s are left out.
    """
    found = [(-(-(a + 5) // 2), (b - 3) // 2 + 1) for a, b in quiet(audio, LEAST_PAUSE_S)]
    return [(a, b) for a, b in found if b > a]


def quiet(audio: np.ndarray, least_s: float) -> list[tuple[int, int]]:
    """Stretches (first, after last) at 50 Hz that are 30 dB under the speech for over least_s."""
    level = raw_prosody(audio)[:, 2]
    found = runs(level < np.percentile(level, 95) - 30.0)
    return [(first, last) for first, last in found if last - first > 50.0 * least_s]


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True in flags [T] as (first, after last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def lag_frames(gap: np.ndarray, aim: np.ndarray, most: int = 5) -> float:
    """Frames by which ``gap`` comes after ``aim``: where they correlate best (a parabola's top)."""
    scores = []
    for lag in range(-most, most + 1):
        a = gap[max(0, lag) : len(gap) + min(0, lag)]
        b = aim[max(0, -lag) : len(aim) + min(0, -lag)]
        scores.append(float(np.corrcoef(a, b)[0, 1]))
    best = int(np.clip(np.argmax(scores), 1, 2 * most - 1))
    left, mid, right = scores[best - 1 : best + 2]
    curve = left - 2 * mid + right
    return best - most + (0.5 * (left - right) / curve if curve < 0 else 0.0)


def fast_part(gap: np.ndarray) -> float:
    """RMS of what moves faster than 8 Hz, mm."""
    spectrum = np.fft.rfft(gap)
    spectrum[np.fft.rfftfreq(len(gap), 1 / FPS) <= 8.0] = 0.0
    return float(np.sqrt(np.mean(np.fft.irfft(spectrum, len(gap)) ** 2)))
