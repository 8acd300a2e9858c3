# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of a map: the 52 ARKit weights, the visemes that are mixed from them, head and breath."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lsf_backend.protocol import EXTRA_CHANNELS

from ..rig.names import ARKIT_NAMES
from .solve import solve_weights
from .visemes import VISEMES

_PLACES = {name: index for index, name in enumerate(ARKIT_NAMES)}
# Beside the face: in a take only where their layers are on, in radians (breath 0..1).
EXTRAS = tuple(name for names in EXTRA_CHANNELS.values() for name in names)
# How much a viseme may change from frame to frame for nothing; keeps neighbours from taking turns.
_CALM = 0.01
# A little against mixing many visemes where few will do.
_SPARSE = 0.001
_SHUT = 0.08  # how far the jaw is open behind the lips in the pose of p, b and m


def is_channel(name: str) -> bool:
    """Whether a map may use ``name`` as a source."""
    family, _, viseme = name.partition(":")
    return name in _PLACES or name in EXTRAS or viseme in VISEMES.get(family, {})


def all_channels() -> list[str]:
    """Every name that a map may use as a source."""
    visemes = [f"{family}:{viseme}" for family, poses in VISEMES.items() for viseme in poses]
    return [*ARKIT_NAMES, *EXTRAS, *visemes]


def channel_curves(
    values: np.ndarray, names: Iterable[str], channels: tuple[str, ...] = ARKIT_NAMES
) -> dict[str, np.ndarray]:
    """Curves [T] float64 of the named sources, for values [T, C] of ``channels``.

    An ARKit shape that is not among them is 0; an extra that is not has no curve.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(channels):
        raise ValueError(f"values must be [T, {len(channels)}], got {list(values.shape)}")
    names = list(dict.fromkeys(names))
    weights = np.zeros((len(values), len(ARKIT_NAMES)))
    found = {}
    for column, channel in enumerate(channels):
        if channel in _PLACES:
            weights[:, _PLACES[channel]] = values[:, column]
        elif channel in EXTRAS:
            found[channel] = values[:, column]
    found |= {name: weights[:, _PLACES[name]] for name in names if name in _PLACES}
    for family in VISEMES:
        if any(name.startswith(f"{family}:") for name in names):
            curves = viseme_curves(weights, family)
            found |= {f"{family}:{viseme}": curve for viseme, curve in curves.items()}
    return {name: found[name] for name in names if name in found}


def viseme_curves(weights: np.ndarray, family: str) -> dict[str, np.ndarray]:
    """Visemes [T] in 0..1, at most 1 together, whose mixture is closest to weights [T, 52].

    What is left to 1 is silence.
    """
    names = [viseme for viseme, (pose, _) in VISEMES[family].items() if pose]
    used = sorted({key for name in names for key in VISEMES[family][name][0]})
    poses = np.array([[VISEMES[family][name][0].get(key, 0.0) for key in used] for name in names])
    # Lips over an open jaw: mouthClose takes the opening back, which no pose but p, b, m has.
    mouth = np.array(weights, dtype=np.float64)
    closed = np.minimum(mouth[:, _PLACES["jawOpen"]], mouth[:, _PLACES["mouthClose"]])
    kept = _SHUT if "mouthClose" in used else 0.0  # without p, b, m silence shuts the lips
    mouth[:, _PLACES["jawOpen"]] -= np.maximum(closed - kept, 0.0)
    mouth[:, _PLACES["mouthClose"]] = np.minimum(closed, kept)
    wanted = mouth[:, [_PLACES[key] for key in used]]
    scale = np.array([_IMPORTANCE.get(key, 1.0) for key in used])
    found = solve_weights(
        (poses * scale) @ (poses * scale).T,
        (wanted * scale) @ (poses * scale).T - _SPARSE,
        calm=_CALM,
    )
    total = found.sum(axis=1, keepdims=True)
    found = found / np.maximum(total, 1.0)
    curves = dict(zip(names, found.T, strict=True))
    silent = next(name for name, (pose, _) in VISEMES[family].items() if not pose)
    curves[silent] = np.maximum(1.0 - found.sum(axis=1), 0.0)
    return curves


# What the eye looks for first, so what must not be lost in the mixture.
_IMPORTANCE = {
    "mouthClose": 6.0,
    "jawOpen": 2.0,
    "mouthPucker": 1.2,
    "mouthRollLower": 1.5,
    "mouthPressLeft": 1.5,
    "mouthPressRight": 1.5,
}
