# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of a map: the 52 ARKit weights and the visemes that are mixed from them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..rig.names import ARKIT_NAMES
from .solve import solve_weights
from .visemes import VISEMES

_PLACES = {name: index for index, name in enumerate(ARKIT_NAMES)}
# How much a viseme may change from frame to frame for nothing; keeps neighbours from taking turns.
_CALM = 0.01
# A little against mixing many visemes where few will do.
_SPARSE = 0.001


def is_channel(name: str) -> bool:
    """Whether a map may use ``name`` as a source."""
    family, _, viseme = name.partition(":")
    return name in _PLACES or viseme in VISEMES.get(family, {})


def channel_curves(weights: np.ndarray, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Curves [T] float64 of the named sources for ARKit weights [T, 52]."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[1] != len(ARKIT_NAMES):
        raise ValueError(f"weights must be [T, {len(ARKIT_NAMES)}], got {list(weights.shape)}")
    names = list(dict.fromkeys(names))
    found = {name: weights[:, _PLACES[name]] for name in names if name in _PLACES}
    for family in VISEMES:
        if any(name.startswith(f"{family}:") for name in names):
            curves = viseme_curves(weights, family)
            found |= {f"{family}:{viseme}": curve for viseme, curve in curves.items()}
    return {name: found[name] for name in names}


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
    mouth[:, _PLACES["jawOpen"]] -= np.maximum(closed - 0.08, 0.0)
    mouth[:, _PLACES["mouthClose"]] = np.minimum(closed, 0.08)
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
