# SPDX-License-Identifier: Apache-2.0
"""Random adult faces as weights of MakeHuman targets.

Sex, ancestry, age, muscle and weight mix the macro targets as MakeHuman's own sliders do; about 300
detail targets (head, forehead, brows, eyes, nose, cheeks, mouth, chin, ears, neck, asymmetry) vary
around zero, left and right together with some difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

import numpy as np

from .source import AnnyData

_RACES = ("african", "asian", "caucasian")
_SEXES = ("female", "male")
_AGES = ("young", "old")  # 25 and 90 years; children are left out
_LEVELS = ("min", "average", "max")

# Spread of a slider (1 is MakeHuman's own limit) by folder.
_SPREAD = {
    "head": 0.13,
    "forehead": 0.18,
    "eyebrows": 0.22,
    "eyes": 0.18,
    "nose": 0.18,
    "cheek": 0.22,
    "mouth": 0.17,
    "chin": 0.19,
    "ears": 0.20,
    "neck": 0.12,
    "asym": 0.13,
}
_DIFFERENCE = 0.25  # of left and right, as a share of the spread
# Sliders that only place or turn the head, or that no adult neutral face shows.
_LEFT_OUT = re.compile(r"head-(trans|angle)|neck-trans|measure-neck|asymm|shape-pointed")
# Sliders that push the middle of the face aside, and by how much less they vary.
_ASIDE = re.compile(r"(nose|mouth)-trans-(in|out)$")
_ASIDE_FACTOR = 0.4

_OPPOSITES = (
    ("decr", "incr"),
    ("in", "out"),
    ("down", "up"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)


@dataclass(frozen=True)
class Slider:
    """One random number that drives targets: ``low`` where it is negative, ``high`` where positive.

    Sides: one pair of names for the middle of the face, two (left, right) for paired sliders.
    """

    low: tuple[str, ...]
    high: tuple[str, ...]
    spread: float


@dataclass(frozen=True)
class Phenotypes:
    """names [n] of the targets; weights [N, n] of N random people."""

    names: tuple[str, ...]
    weights: np.ndarray


def sample(source: AnnyData, count: int, seed: int) -> Phenotypes:
    """Draw ``count`` people."""
    rng = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    _add_macros(columns, source, rng, count)
    for slider in find_sliders(source):
        common = rng.standard_normal(count)
        share = 1.0 / np.hypot(1.0, _DIFFERENCE)
        for side in range(len(slider.high)):
            value = common
            if len(slider.high) > 1:
                value = share * (common + _DIFFERENCE * rng.standard_normal(count))
            value = np.clip(slider.spread * value, -1.0, 1.0)
            if slider.low:
                columns[slider.low[side]] = np.maximum(-value, 0.0)
            columns[slider.high[side]] = np.maximum(value, 0.0)
    names = tuple(sorted(columns))
    return Phenotypes(names, np.column_stack([columns[name] for name in names]))


def mean_face(source: AnnyData, people: Phenotypes, targets: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mean person over base.obj [19158, 3] dm, made exactly symmetric."""
    share = dict(zip(people.names, people.weights.mean(axis=0), strict=True))
    face = source.mesh.vertices.copy()
    for name in people.names:
        face += 0.5 * (share[name] + share[_other_side(name)]) * targets[name]
    return face


def _other_side(name: str) -> str:
    """Return the name of the mirrored target; most are their own mirror image."""
    if name.startswith("asym/"):
        return name[:-1] + {"l": "r", "r": "l"}[name[-1]]
    if _ASIDE.search(name):
        stem, _, last = name.rpartition("-")
        return f"{stem}-" + {"in": "out", "out": "in"}[last]
    for here, there in (("/l-", "/r-"), ("/r-", "/l-")):
        if here in name:
            return name.replace(here, there)
    return name


def find_sliders(source: AnnyData) -> list[Slider]:
    """Return the sliders of all detail targets, opposite targets and sides joined."""
    names = [
        name
        for folder in _SPREAD
        for name in source.target_names(folder)
        if not _LEFT_OUT.search(name)
    ]
    known, used, sliders = set(names), set(), []
    for name in names:
        if name in used:
            continue
        folder = name.partition("/")[0]
        high, low = name, None
        for down, up in _OPPOSITES:
            if name.endswith(f"-{down}") and f"{name[: -len(down)]}{up}" in known:
                low, high = name, f"{name[: -len(down)]}{up}"
            elif name.endswith(f"-{up}") and f"{name[: -len(up)]}{down}" in known:
                low = f"{name[: -len(up)]}{down}"
        sides = [high]
        if f"{folder}/l-" in high:
            sides.append(high.replace("/l-", "/r-"))
        lows = [] if low is None else [low, *(s for s in [low.replace("/l-", "/r-")] if s != low)]
        used.update(sides, lows)
        spread = _SPREAD[folder] * (_ASIDE_FACTOR if _ASIDE.search(high) else 1.0)
        sliders.append(Slider(tuple(lows), tuple(sides), spread))
    return sliders


def _add_macros(
    columns: dict[str, np.ndarray], source: AnnyData, rng: np.random.Generator, count: int
) -> None:
    race = dict(zip(_RACES, rng.dirichlet([0.6] * 3, count).T, strict=True))
    male = rng.beta(0.6, 0.6, count)
    old = rng.beta(0.9, 2.6, count)
    sex = {"female": 1.0 - male, "male": male}
    age = {"young": 1.0 - old, "old": old}
    muscle = _levels(np.clip(0.35 * rng.standard_normal(count), -1.0, 1.0))
    weight = _levels(np.clip(0.35 * rng.standard_normal(count), -1.0, 1.0))
    available = set(source.target_names("macrodetails"))
    for r, s, a in product(_RACES, _SEXES, _AGES):
        columns[f"macrodetails/{r}-{s}-{a}"] = race[r] * sex[s] * age[a]
    for s, a, m, w in product(_SEXES, _AGES, _LEVELS, _LEVELS):
        name = f"macrodetails/universal-{s}-{a}-{m}muscle-{w}weight"
        if name in available:
            columns[name] = sex[s] * age[a] * muscle[m] * weight[w]


def _levels(value: np.ndarray) -> dict[str, np.ndarray]:
    """Split a slider in -1..1 into the weights of MakeHuman's min, average and max targets."""
    return {
        "min": np.maximum(-value, 0.0),
        "average": 1.0 - np.abs(value),
        "max": np.maximum(value, 0.0),
    }
