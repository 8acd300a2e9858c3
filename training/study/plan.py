# SPDX-License-Identifier: Apache-2.0
"""Which videos meet: pairs of ours against each other system, and pairs that check attention.

The page only sees opaque names; the key, which stays with the researcher, says what they are. Which
pairs a voter gets, their order and their sides are drawn in the page, anew for each voter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from lsf_backend.timing import MOTION_FPS

CRITERIA = ("lip_sync", "realism", "emotion")
KEY_VERSION = 1
# Two renderings of one clip may differ by a frame or two of the container, not by more.
_MAX_DIFFERENCE_S = 4 / MOTION_FPS


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two videos of one clip. ``x`` and ``y`` are systems in random order; checks have a still."""

    id: str
    kind: Literal["vote", "check"]
    clip: str
    emotion: str
    x: str
    y: str
    group: int


@dataclasses.dataclass(frozen=True)
class Key:
    """What the names in votes mean; not shown to voters."""

    study: str
    title: str
    ours: str
    others: tuple[str, ...]
    pairs: tuple[Pair, ...]
    votes_per_voter: int
    checks_per_voter: int

    def save(self, path: Path) -> None:
        """Write as JSON."""
        values = {"version": KEY_VERSION, **dataclasses.asdict(self)}
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Key:
        """Read what :meth:`save` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version", None) != KEY_VERSION:
            raise ValueError(f"{path.name} is not a study key of version {KEY_VERSION}")
        values["pairs"] = tuple(Pair(**pair) for pair in values["pairs"])
        values["others"] = tuple(values["others"])
        return cls(**values)


# The system name of the still picture in a check.
STILL = "still"


def make_plan(
    title: str,
    clips: Mapping[str, Mapping[str, float]],
    ours: str,
    emotions: Mapping[str, str],
    votes_per_voter: int = 18,
    checks_per_voter: int = 2,
    seed: int = 0,
) -> Key:
    """``clips[system][stem]`` is a length in s -> pairs of ``ours`` against every other system.

    A clip that only one of the two systems has makes no pair.
    """
    others = tuple(name for name in clips if name != ours)
    if ours not in clips or not others:
        raise ValueError("a study needs our system and at least one other")
    if STILL in clips:
        raise ValueError(f"no system may be called {STILL!r}")
    rng = np.random.default_rng(seed)
    pairs: list[Pair] = []
    for group, other in enumerate(others):
        common = sorted(set(clips[ours]) & set(clips[other]))
        if not common:
            raise ValueError(f"{ours} and {other} have no clip in common")
        _check_lengths(clips, ours, other, common)
        pairs += _paired(rng, "vote", common, emotions, ours, other, group)
    stems = sorted(clips[ours])
    n_checks = min(len(stems), 2 * checks_per_voter)
    chosen = sorted(rng.choice(stems, size=n_checks, replace=False)) if n_checks else []
    pairs += _paired(rng, "check", [str(stem) for stem in chosen], emotions, ours, STILL, -1)
    n_votes = sum(pair.kind == "vote" for pair in pairs)
    names = rng.permutation(len(pairs))
    pairs = [
        dataclasses.replace(pair, id=f"p{name:03d}")
        for pair, name in zip(pairs, names, strict=True)
    ]
    pairs.sort(key=lambda pair: pair.id)
    content = json.dumps([dataclasses.asdict(pair) for pair in pairs] + [title, seed])
    return Key(
        hashlib.sha256(content.encode()).hexdigest()[:12],
        title,
        ours,
        others,
        tuple(pairs),
        min(votes_per_voter, n_votes),
        min(checks_per_voter, n_checks),
    )


def _paired(
    rng: np.random.Generator,
    kind: Literal["vote", "check"],
    stems: Sequence[str],
    emotions: Mapping[str, str],
    ours: str,
    other: str,
    group: int,
) -> list[Pair]:
    pairs = []
    for stem in stems:
        x, y = (ours, other) if rng.random() < 0.5 else (other, ours)
        pairs.append(Pair("", kind, stem, emotions.get(stem, "unknown"), x, y, group))
    return pairs


def _check_lengths(
    clips: Mapping[str, Mapping[str, float]], ours: str, other: str, common: Sequence[str]
) -> None:
    for stem in common:
        lengths = clips[ours][stem], clips[other][stem]
        if abs(lengths[0] - lengths[1]) > _MAX_DIFFERENCE_S:
            raise ValueError(
                f"{stem} lasts {lengths[0]:.2f} s in {ours} and {lengths[1]:.2f} s in {other}"
            )
