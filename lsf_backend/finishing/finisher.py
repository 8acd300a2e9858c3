# SPDX-License-Identifier: Apache-2.0
"""Finish a take in chunks: smoothing, closure guard, silence guard, then the procedural layers.

Frames come out eleven frames (0.44 s) after they went in; the sound is read ahead by about 6 s. The
result depends on the motion, the seed, the settings and the sound, never on where chunks were cut.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..face.arkit import ARKIT_NAMES
from . import blinks, gaze, lips
from .layers import Layers, layers
from .settings import FinishingSettings
from .smoothing import SMOOTHING_CONTEXT_FRAMES, jitter_mm, smoothed
from .speech import SpeechTrack

CONTEXT_FRAMES = SMOOTHING_CONTEXT_FRAMES + lips.CLOSURE_CONTEXT_FRAMES
_N = len(ARKIT_NAMES)
_BLINK = [ARKIT_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
_WIDE = [ARKIT_NAMES.index(f"eyeWide{side}") for side in ("Left", "Right")]
_SNEER = [ARKIT_NAMES.index(f"noseSneer{side}") for side in ("Left", "Right")]
_NOSTRILS = 0.05


@dataclasses.dataclass(frozen=True)
class Finished:
    """Finished frames from ``first_frame`` on: ``weights`` [n, 52] float32 ARKit, and ``layers``.

    The layers' gaze is also in the eyeLook weights: use one or the other.
    """

    first_frame: int
    weights: np.ndarray
    layers: Layers


@dataclasses.dataclass
class FinishingReport:
    """What the guards did, in numbers a person can read."""

    frames: int = 0
    closures: int = 0
    closures_tightened: int = 0
    silent_frames_shut: int = 0
    largest_change_mm: float = 0.0
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
        return found


class Finisher:
    """Takes chunks of ARKit weights in order, gives finished chunks; call ``flush`` at the end.

    ``per_weight_mm`` [52] is ``lips.gap_per_weight_mm(face)``; None leaves the guards out.
    """

    def __init__(
        self,
        settings: FinishingSettings,
        seed: int,
        speech: SpeechTrack,
        per_weight_mm: np.ndarray | None,
    ) -> None:
        self.settings = settings
        self.report = FinishingReport()
        self._seed = seed
        self._speech = speech
        self._per_weight_mm = per_weight_mm
        # Motion from frame ``_start`` on; what lies before frame 0 repeats it.
        self._motion = np.empty((0, _N))
        self._closures = np.empty(0)
        self._start = 0
        self._jitter = [np.empty(0), np.empty(0)]
        self._jitter_sums = np.zeros(2)

    def push(self, weights: np.ndarray, closures: np.ndarray | None = None) -> Finished | None:
        """Take the next frames [n, 52] (closures [n] 0..1, if known); give what can be finished."""
        weights = np.asarray(weights, dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] != _N:
            raise ValueError(f"weights must have the shape [n, {_N}], got {list(weights.shape)}")
        if not len(weights):
            return None
        if not len(self._motion):
            weights = np.concatenate([np.repeat(weights[:1], CONTEXT_FRAMES, 0), weights])
            self._start = -CONTEXT_FRAMES
        self._motion = np.concatenate([self._motion, weights])
        known = np.zeros(len(weights))
        if closures is not None:
            known[len(weights) - len(closures) :] = closures
        self._closures = np.concatenate([self._closures, known])
        return self._finished()

    def flush(self) -> Finished | None:
        """Give the last frames; nothing may follow."""
        if not len(self._motion):
            return None
        self._motion = np.concatenate(
            [self._motion, np.repeat(self._motion[-1:], CONTEXT_FRAMES, 0)]
        )
        self._closures = np.concatenate([self._closures, np.zeros(CONTEXT_FRAMES)])
        return self._finished()

    def _finished(self) -> Finished | None:
        count = len(self._motion) - 2 * CONTEXT_FRAMES
        if count <= 0:
            return None
        first = self._start + CONTEXT_FRAMES
        weights = self._guarded(first, count)
        self._motion = self._motion[count:]
        self._closures = self._closures[count:]
        self._start += count
        self.report.frames += count
        return self._layered(first, weights)

    def _guarded(self, first: int, count: int) -> np.ndarray:
        settings, per_weight_mm = self.settings, self._per_weight_mm
        wide = smoothed(self._motion, settings.smoothing)
        margin = lips.CLOSURE_CONTEXT_FRAMES
        weights = wide[margin : margin + count]
        if per_weight_mm is None:
            return weights
        gap = lips.gap_mm(wide, per_weight_mm)
        inner = gap[margin : margin + count]
        if settings.closure > 0.0:
            closures = self._closures[SMOOTHING_CONTEXT_FRAMES:][: len(gap)]
            pull, centres = lips.closure_pull(gap, closures, settings.near_mm)
            target = _towards(inner, settings.closed_mm, settings.closure * pull)
            weights = lips.closed_lips(weights, per_weight_mm, target, jaw_stays=True)
            self.report.closures += int(centres.sum())
            self.report.closures_tightened += int((centres & (inner - target > 0.05)).sum())
        after = lips.gap_mm(weights, per_weight_mm)
        if settings.silence > 0.0:
            pull = lips.silence_pull(first, count, self._speech)
            target = _towards(after, settings.silent_mm, settings.silence * pull)
            weights = lips.closed_lips(weights, per_weight_mm, target, jaw_stays=False)
            self.report.silent_frames_shut += int((after - target > 0.05).sum())
        after = lips.gap_mm(weights, per_weight_mm)
        largest = float(np.max(inner - after, initial=0.0))
        self.report.largest_change_mm = max(self.report.largest_change_mm, largest)
        raw = self._motion[CONTEXT_FRAMES : CONTEXT_FRAMES + count]
        self._count_jitter(lips.gap_mm(raw, per_weight_mm), after)
        return weights

    def _layered(self, first: int, weights: np.ndarray) -> Finished:
        settings, seed, speech, count = self.settings, self._seed, self._speech, len(weights)
        extra = layers(settings, seed, first, count, speech)
        if settings.breathing > 0.0:
            weights[:, _SNEER] += _NOSTRILS * extra.breath[:, None]
        if settings.gaze > 0.0:
            for name, look in gaze.look_weights(extra.eyes_rad).items():
                weights[:, ARKIT_NAMES.index(name)] += look
        if settings.blinks > 0.0:
            shut = settings.blinks * blinks.blink_closure(seed, first, count, speech)[:, None]
            weights[:, _BLINK] = np.maximum(weights[:, _BLINK], shut)
            weights[:, _WIDE] *= 1.0 - shut
        return Finished(first, np.clip(weights, 0.0, 1.0).astype(np.float32), extra)

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


def finish(
    weights: np.ndarray,
    settings: FinishingSettings,
    seed: int,
    speech: SpeechTrack,
    per_weight_mm: np.ndarray | None,
    closures: np.ndarray | None = None,
) -> tuple[Finished, FinishingReport]:
    """Finish a whole take: ARKit weights [T, 52] -> finished frames [T, ...] and the report."""
    finisher = Finisher(settings, seed, speech, per_weight_mm)
    parts = [part for part in (finisher.push(weights, closures), finisher.flush()) if part]
    return joined(parts), finisher.report


def joined(parts: list[Finished]) -> Finished:
    """Join consecutive parts into one."""
    if not parts:
        nothing = Layers(np.empty((0, 3)), np.empty((0, 2)), np.empty(0))
        return Finished(0, np.empty((0, _N), np.float32), nothing)
    names = [field.name for field in dataclasses.fields(Layers)]
    whole = {name: np.concatenate([getattr(p.layers, name) for p in parts]) for name in names}
    weights = np.concatenate([part.weights for part in parts])
    return Finished(parts[0].first_frame, weights, Layers(**whole))


def _towards(gap: np.ndarray, goal_mm: float, pull: np.ndarray) -> np.ndarray:
    """Gap that is wanted: as it is without pull, at most ``goal_mm`` with full pull."""
    return gap - pull * np.maximum(gap - goal_mm, 0.0)
