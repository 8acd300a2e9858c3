# SPDX-License-Identifier: Apache-2.0
"""Sounds with their times -> the face that makes them, by co-articulation rules.

Each sound pulls the lips and jaw towards its gesture with a dominance that rises before it and
falls after it (Cohen & Massaro 1993); p, b, m and silence close the lips whatever their neighbours
want, as JALI's hard constraints do (Edwards et al. 2016). Loudness scales the opening; brows, lids
and cheeks follow pitch accents and energy. Synthetic by rule: nobody's captured motion is used.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from lsf_backend.engine.features import SpeechReference, prosody, raw_prosody
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.head_space import motion_from_arkit
from training.corpus.geometry import LipTables, lip_tables
from training.corpus.phones import CHANNELS, GESTURES

FPS = 25
_FINE_HZ = 100
# Reach of a gesture before and after its core, seconds: rounding is planned earliest.
_REACH_S = {"gap_mm": (0.060, 0.055), "jaw": (0.085, 0.085), "round": (0.115, 0.085)}
_FIRMNESS = {"gap_mm": "firm_gap", "jaw": "firm_jaw"}
# Lips are shut from this long after a pause begins until this long before it ends.
_SHUT_AFTER_S, _SHUT_BEFORE_S = 0.08, 0.06
_SHORTEST_SHUT_PAUSE_S = 0.18
_RAMP_S = 0.06
# p, b and m press the lips a little, so that a small error still leaves them closed.
_PRESSED_GAP_MM = -0.5

Gestures = tuple[tuple[str, float, float], ...]


@dataclasses.dataclass(frozen=True)
class Teacher:
    """Makes motion on one head; ``tables`` say how its lips answer to weights and identity."""

    tables: LipTables

    @classmethod
    def load(cls) -> Teacher:
        """The teacher of the bundled head."""
        return cls(lip_tables())

    def motion(
        self, audio: np.ndarray, gestures: Gestures, betas: np.ndarray, seed: int
    ) -> np.ndarray:
        """Audio [N] 16 kHz, gestures (name, start_s, end_s), betas [300] -> motion [T, 53]."""
        return motion_from_arkit(self.weights(audio, gestures, betas, seed))

    def weights(
        self, audio: np.ndarray, gestures: Gestures, betas: np.ndarray, seed: int
    ) -> np.ndarray:
        """ARKit weights [T, 52] at 25 fps, T = floor(N / 640); arguments as in :meth:`motion`."""
        n_frames = audio.size // 640
        raw = raw_prosody(audio)
        reference = SpeechReference()
        reference.hear(raw)
        voice = prosody(raw, reference)
        curves = lip_curves(gestures, voice[:, 3], n_frames)
        rng = np.random.default_rng([seed, 4])
        weights = np.zeros((n_frames, len(ARKIT_NAMES)))
        upper_face(weights, voice[: 2 * n_frames], rng)
        self._mouth(weights, curves, betas)
        return np.clip(weights, 0.0, 1.0).astype(np.float32)

    def _mouth(self, weights: np.ndarray, curves: dict[str, np.ndarray], betas: np.ndarray) -> None:
        """Fill the mouth's weights in place so that the lip gap on this face is the wanted one."""
        size = self.tables.size(betas)
        spread = curves["spread"]
        both(weights, "mouthStretch", 0.42 * spread)
        add(weights, "mouthPucker", 0.75 * curves["pucker"])
        add(weights, "mouthFunnel", 0.62 * curves["funnel"])
        add(weights, "jawForward", 0.10 * curves["funnel"] + 0.08 * curves["tuck"])
        both(weights, "mouthSmile", 0.18 * spread * (1.0 - curves["press"]))
        both(weights, "mouthPress", 0.45 * curves["press"])
        add(weights, "mouthRollUpper", 0.18 * curves["press"])
        add(weights, "mouthRollLower", 0.18 * curves["press"] + 0.55 * curves["tuck"])
        both(weights, "mouthUpperUp", 0.30 * curves["tuck"])
        add(weights, "jawOpen", np.maximum(curves["jaw"], 0.0) * size)
        wanted = curves["gap_mm"] * size * (1.0 - curves["shut"]) * (1.0 - curves["still"])
        self._meet_gap(weights, wanted + _PRESSED_GAP_MM * curves["shut"])

    def _meet_gap(self, weights: np.ndarray, wanted_mm: np.ndarray) -> None:
        """Close with mouthClose or part the lips with the lip raisers, then mend with the jaw."""
        effect = self.tables.gap_per_weight_mm

        def column(name: str) -> int:
            return ARKIT_NAMES.index(name)

        def push(names: tuple[str, ...], most: float) -> None:
            missing = wanted_mm - self.tables.gap_mm(weights)
            columns = [column(name) for name in names]
            per_unit = float(effect[columns].sum())
            if abs(per_unit) < 1e-3:
                return
            step = missing / per_unit
            now = weights[:, columns[0]]
            weights[:, columns] += (np.clip(now + step, 0.0, most) - now)[:, None]

        parting = tuple(
            name + side for name in ("mouthLowerDown", "mouthUpperUp") for side in ("Left", "Right")
        )
        push(("mouthClose",), 1.0)
        push(parting, 0.45)
        push(("jawOpen",), 1.0)


def lip_curves(gestures: Gestures, energy: np.ndarray, n_frames: int) -> dict[str, np.ndarray]:
    """Gestures, energy [T50] -> a curve [T] per channel; ``shut`` (p, b, m) and ``still`` 0..1."""
    fine = np.arange(n_frames * _FINE_HZ // FPS) / _FINE_HZ
    table = [GESTURES[name] for name, _, _ in gestures]
    starts = np.array([start for _, start, _ in gestures])
    ends = np.array([end for _, _, end in gestures])
    loud = _loudness(gestures, energy)
    curves = {}
    for channel in CHANNELS:
        kind = channel if channel in _FIRMNESS else "round"
        targets = np.array([getattr(gesture, channel) for gesture in table])
        if channel in ("gap_mm", "jaw"):
            targets = targets * loud
        firmness = np.array([getattr(g, _FIRMNESS.get(channel, "firm_round")) for g in table])
        if channel in ("tuck", "press"):
            firmness = np.ones(len(table))
        pull = _dominance(fine, starts, ends, _REACH_S[kind]) * firmness
        blended = (pull @ targets) / (pull.sum(1) + 1e-9)
        curves[channel] = _blur(blended, 0.012 * _FINE_HZ)[:: _FINE_HZ // FPS]
    frames = np.arange(n_frames) / FPS
    curves["shut"], curves["still"] = _closures(gestures, frames)
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


def _closures(gestures: Gestures, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hard closures at frame times [T]: by p, b, m and by pauses, 1 while the lips must touch."""
    shut, still = np.zeros(frames.size), np.zeros(frames.size)
    for index, (name, start, end) in enumerate(gestures):
        ramp_s = _RAMP_S
        if GESTURES[name].closed:
            # Released before the sound ends: a stop's burst is made by parting lips.
            middle = start + 0.42 * (end - start)
            half = max(0.5 * 0.8 * (end - start), 0.026)
            first, last = middle - half, middle + half
        elif name == "sil" and end - start >= _SHORTEST_SHUT_PAUSE_S:
            first, last, ramp_s = start + _SHUT_AFTER_S, end - _SHUT_BEFORE_S, 0.10
            first = -1.0 if index == 0 else first
            last = frames[-1] + 1.0 if index == len(gestures) - 1 else last
        else:
            continue
        away = np.maximum(np.maximum(first - frames, frames - last), 0.0) / ramp_s
        curve = shut if GESTURES[name].closed else still
        np.maximum(curve, 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0.0, 1.0)), out=curve)
    return shut, still


def upper_face(weights: np.ndarray, voice: np.ndarray, rng: np.random.Generator) -> None:
    """Brows, lids, cheeks and nose from prosody [2T, 6] (50 Hz), into weights [T, 52] in place."""
    _, accent, voiced, energy, _, slow = voice.T
    speaking = _blur(np.clip((energy + 1.6) * 1.5, 0.0, 1.0), 8.0)
    weight = _blur(voiced, 7.0) + 0.15
    rising = _blur(np.maximum(accent, 0.0) * voiced, 7.0) / weight
    falling = _blur(np.maximum(-accent, 0.0) * voiced, 10.0) / weight
    force = _blur(np.maximum(slow + 0.35, 0.0), 6.0)
    push = _blur(np.maximum(energy - slow, 0.0) * voiced, 4.0)
    raised = (0.75 * rising + 0.22 * force + 0.10 * push) * speaking
    # A face that knows its next word moves its brows a little before it.
    ahead = 3
    raised = np.concatenate([raised[ahead:], np.repeat(raised[-1:], ahead)])
    lowered = (0.22 * falling + 0.18 * force) * speaking
    tone = {
        "browInnerUp": 0.85 * raised,
        "browOuterUp": 0.60 * raised,
        "browDown": 0.8 * lowered,
        "eyeWide": 0.45 * np.maximum(raised - 0.18, 0.0),
        "eyeSquint": 0.28 * lowered + 0.15 * push * speaking,
        "cheekSquint": (0.10 * force + 0.12 * rising) * speaking,
        "noseSneer": 0.12 * force * speaking,
        "mouthSmile": (0.05 + 0.12 * rising) * speaking,
    }
    for name, curve in tone.items():
        drift = 0.012 * _blur(rng.standard_normal(curve.size), 18.0) * 8.0
        curve = np.clip(curve + drift * (name != "mouthSmile"), 0.0, 1.0)[::2]
        if name == "browInnerUp":
            add(weights, name, curve)
        else:
            both(weights, name, curve)


def add(weights: np.ndarray, name: str, curve: np.ndarray) -> None:
    """Add a curve [T] to one ARKit shape, in place."""
    if name in ARKIT_NAMES:
        weights[:, ARKIT_NAMES.index(name)] += curve
    else:
        both(weights, name, curve)


def both(weights: np.ndarray, name: str, curve: np.ndarray) -> None:
    """Add a curve [T] to the left and right ARKit shapes of ``name``, in place."""
    for side in ("Left", "Right"):
        weights[:, ARKIT_NAMES.index(name + side)] += curve


def _blur(curve: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian smoothing with ``sigma`` samples, ends held: [T] -> [T]."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(curve, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
