# SPDX-License-Identifier: Apache-2.0
"""Finish ARKit weights in chunks: smoothing and guards, then the procedural layers.

Frames come out as late as ``guards`` says; the sound is read ahead by about 6 s. The result depends
on the motion, the seed, the settings and the sound, never on where chunks were cut.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ..face.arkit import ARKIT_NAMES
from . import blinks, gaze, lips
from .guards import FinishingReport, Guarded, Guards
from .layers import Layers, layers
from .settings import FinishingSettings
from .speech import SpeechTrack

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
        self._seed = seed
        self._speech = speech
        face = None if per_weight_mm is None else lips.ArkitLips(per_weight_mm)
        self._guards = Guards(settings, speech, face, limits=(0.0, 1.0))

    @property
    def report(self) -> FinishingReport:
        """What the guards did so far."""
        return self._guards.report

    def push(self, weights: np.ndarray, closures: np.ndarray | None = None) -> Finished | None:
        """Take the next frames [n, 52] (closures [n] 0..1, if known); give what can be finished."""
        if weights.ndim != 2 or weights.shape[1] != _N:
            raise ValueError(f"weights must have the shape [n, {_N}], got {list(weights.shape)}")
        return self._layered(self._guards.push(weights, closures))

    def flush(self) -> Finished | None:
        """Give the last frames; nothing may follow."""
        return self._layered(self._guards.flush())

    def _layered(self, guarded: Guarded | None) -> Finished | None:
        if guarded is None:
            return None
        first, weights = guarded
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
