# SPDX-License-Identifier: Apache-2.0
"""Gestures with their times -> what the lips should do at each frame, in mm.

Each sound pulls every channel towards its target with a dominance that rises before it and falls
after it (Cohen & Massaro 1993); p, b, m and pauses close the lips whatever their neighbours want
(hard constraints of JALI, Edwards et al. 2016); sounds made behind the lips keep them a little
open. Loudness scales the opening.
"""

from __future__ import annotations

import numpy as np

from training.corpus.phones import CHANNELS, GESTURES, Gestures

FPS = 25
_FINE_HZ = 100
# Reach of a gesture before and after its core, seconds: rounding is planned earliest.
_REACH_S = {"gap": (0.060, 0.055), "jaw": (0.085, 0.085), "tuck": (0.055, 0.050),
            "tongue": (0.050, 0.045), "thin": (0.060, 0.060)}  # fmt: skip
_ROUND_REACH_S = (0.115, 0.085)
_FIRMNESS = {"gap": "firm_gap", "jaw": "firm_jaw", "width": "firm_round", "out": "firm_round"}
# Lips are shut from this long after a pause begins until this long before it ends.
_SHUT_AFTER_S, _SHUT_BEFORE_S = 0.08, 0.06
_SHORTEST_SHUT_PAUSE_S = 0.18
_RAMP_S = 0.06


def lip_curves(gestures: Gestures, energy: np.ndarray, n_frames: int) -> dict[str, np.ndarray]:
    """Gestures, energy [T50] -> a curve [T] in mm per channel; ``shut`` and ``still`` 0..1.

    ``shut`` is 1 where p, b, m press the lips, ``still`` in pauses.
    """
    fine = np.arange(n_frames * _FINE_HZ // FPS) / _FINE_HZ
    table = [GESTURES[name] for name, _, _ in gestures]
    starts = np.array([start for _, start, _ in gestures])
    ends = np.array([end for _, _, end in gestures])
    loud = _loudness(gestures, energy)
    pulls: dict[tuple[float, float], np.ndarray] = {}
    curves = {}
    for channel in CHANNELS:
        reach = _REACH_S.get(channel, _ROUND_REACH_S)
        if reach not in pulls:
            pulls[reach] = _dominance(fine, starts, ends, reach)
        targets = np.array([getattr(gesture, channel) for gesture in table])
        if channel in ("gap", "jaw"):
            targets = targets * loud
        firm = _FIRMNESS.get(channel)
        firmness = np.array([getattr(g, firm) if firm else 1.0 for g in table])
        pull = pulls[reach] * firmness
        blended = (pull @ targets) / (pull.sum(1) + 1e-9)
        curves[channel] = blur(blended, 0.012 * _FINE_HZ)[:: _FINE_HZ // FPS]
    frames = np.arange(n_frames) / FPS
    curves["shut"], curves["still"] = _closures(gestures, frames)
    least = _least(table, starts, ends, frames)
    curves["gap"] = np.maximum(curves["gap"], least)
    return curves


def _loudness(gestures: Gestures, energy: np.ndarray) -> np.ndarray:
    """How much further than usual each sound opens: [S], 0.5..1.35, 1 at the usual level."""
    factors = np.ones(len(gestures))
    for index, (name, start, end) in enumerate(gestures):
        first = int(start * 50)
        heard = energy[first : max(first + 1, int(end * 50))]
        if heard.size and name != "sil":
            level = float(np.max(heard))
            factors[index] = np.clip(0.95 + 0.55 * level, 0.5, 1.35)
    return factors


def _dominance(
    times: np.ndarray, starts: np.ndarray, ends: np.ndarray, reach_s: tuple[float, float]
) -> np.ndarray:
    """How strongly each sound pulls at each time: [T], [S], [S] -> [T, S], 1 inside its core."""
    inset = np.minimum(0.3 * (ends - starts), 0.06)
    before = np.maximum(0.0, (starts + inset)[None, :] - times[:, None])
    after = np.maximum(0.0, times[:, None] - (ends - inset)[None, :])
    return np.exp(-((before / reach_s[0]) ** 1.5) - (after / reach_s[1]) ** 1.5)


def _swell(frames: np.ndarray, first: float, last: float, ramp_s: float) -> np.ndarray:
    """1 from ``first`` to ``last`` seconds with cosine ramps outside: times [T] -> [T]."""
    away = np.maximum(np.maximum(first - frames, frames - last), 0.0) / ramp_s
    return 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0))


def _closures(gestures: Gestures, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hard closures at frame times [T]: by p, b, m and by pauses, 1 while the lips must touch."""
    shut, still = np.zeros(frames.size), np.zeros(frames.size)
    for index, (name, start, end) in enumerate(gestures):
        if GESTURES[name].closed:
            # Released before the sound ends: a stop's burst is made by parting lips.
            middle = start + 0.42 * (end - start)
            half = max(0.5 * 0.8 * (end - start), 0.026)
            swell = _swell(frames, middle - half, middle + half, _RAMP_S)
            np.maximum(shut, swell, out=shut)
        elif name == "sil" and end - start >= _SHORTEST_SHUT_PAUSE_S:
            first = -1.0 if index == 0 else start + _SHUT_AFTER_S
            last = end - _SHUT_BEFORE_S
            if index == len(gestures) - 1:
                last = frames[-1] + 1.0 if frames.size else last
            np.maximum(still, _swell(frames, first, last, 0.10), out=still)
    return shut, still


def _least(table: list, starts: np.ndarray, ends: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The gap [T] mm that sounds made behind the lips keep in their middles."""
    least = np.zeros(frames.size)
    for gesture, start, end in zip(table, starts, ends, strict=True):
        if gesture.least > 0.0 and end - start > 0.02:
            inset = 0.3 * (end - start)
            # A frame may miss a very short sound: it is held for a frame's length at least.
            half = max(0.5 * (end - start) - inset, 0.5 / FPS)
            middle = 0.5 * (start + end)
            swell = _swell(frames, middle - half, middle + half, 0.05)
            np.maximum(least, gesture.least * swell, out=least)
    return least


def blur(curve: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing with ``sigma`` samples, ends held: [T] -> [T]."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(curve, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
