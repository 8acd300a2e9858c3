# SPDX-License-Identifier: GPL-3.0-or-later
"""Find a map by names: which convention a character follows, and which row moves what. No bpy.

ARKit's names are found in any spelling, word order and side notation, under any prefix or suffix
that a family of keys shares (``!ex-jawOpen``), split into sides (``jaw_open_L`` and ``_R``) or
merged (``eyeBlink``). Then the other conventions are tried; the one that reaches most wins.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

from ..rig.names import ARKIT_NAMES
from . import conventions
from .bone_rows import bone_rows
from .model import MOVES, RetargetMap, Row, Target
from .tokens import plain, split_side, words
from .visemes import VISEMES

# Words that tools put before or after names; any other must be shared by a family of three keys.
_NOISE = frozenset(
    "ex arkit bs blendshape blendshapes shape shapes key morph expr expression face facial head "
    "ctrl expressions cc base body mesh ar kit mh hg genesis p3dm geo".split()
)
_FAMILY = 3
_MOUTH = ("mouth", "jaw", "tongue")

Pairs = dict[str, list[tuple[str, float]]]


@dataclasses.dataclass(frozen=True)
class Character:
    """What an add-on sees of a character: shape keys per mesh, bones per armature (names only)."""

    shape_keys: Mapping[str, tuple[str, ...]]
    bones: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


_CHANNEL_WORDS = {tuple(sorted(words(name))): name for name in ARKIT_NAMES}
_SIDED = {name for name in ARKIT_NAMES if name.endswith(("Left", "Right"))} - {
    *("jawLeft", "jawRight", "mouthLeft", "mouthRight")
}
_MERGED = {
    tuple(sorted(words(name.removesuffix("Left")))): name.removesuffix("Left")
    for name in _SIDED
    if name.endswith("Left")
}
_MOST_WORDS = max(len(key) for key in _CHANNEL_WORDS) + 1


def match_arkit(keys: Iterable[str]) -> Pairs:
    """Keys that are ARKit's shapes: key -> [(ARKit name, gain)]."""
    readings: dict[str, list[tuple[tuple, list[tuple[str, float]]]]] = {}
    families: Counter[tuple] = Counter()
    for key in dict.fromkeys(keys):
        for family, sources in _readings(words(key)):
            readings.setdefault(key, []).append((family, sources))
            families[family] += 1
    found: Pairs = {}
    for key, options in readings.items():
        accepted = [
            (families[family], -len(family[0]) - len(family[1]), sources)
            for family, sources in options
            if not (set(family[0]) | set(family[1])) - _NOISE or families[family] >= _FAMILY
        ]
        if accepted:
            found[key] = max(accepted, key=lambda option: option[:2])[2]
    return found


def match_table(keys: Iterable[str], table: conventions.Rows) -> Pairs:
    """Keys of a convention, in any spelling, also behind a shared prefix: key -> sources."""
    wanted: Pairs = {}
    for source, names in table.items():
        for name, gain in names:
            wanted.setdefault(plain(name), []).append((source, gain))
    found: Pairs = {}
    tails: dict[str, str] = {}
    everything = list(dict.fromkeys(keys))
    for key in everything:
        name = plain(key)
        if name in wanted:
            found[key] = wanted[name]
            continue
        # A prefix such as CTRL_expressions_ or the mesh's name with a dot.
        endings = [end for end in wanted if len(end) > 5 and name.endswith(end)]
        if endings:
            tails[key] = max(endings, key=len)
    for key, tail in tails.items():
        prefix = key[: _tail_start(key, tail)]
        family = sum(1 for other in everything if other.startswith(prefix))
        if set(words(prefix)) <= _NOISE or family >= _FAMILY:
            found[key] = wanted[tail]
    return found


def match_visemes(keys: Iterable[str]) -> tuple[str, Pairs]:
    """The viseme set that the keys follow, or "": the name of the set and key -> sources."""
    keys = list(dict.fromkeys(keys))
    best, best_pairs = "", Pairs()
    for family, visemes in VISEMES.items():
        names = {name: viseme for viseme, (_, spelled) in visemes.items() for name in spelled}
        pairs: Pairs = {}
        for key in keys:
            tail = plain(key.rpartition(".")[2])
            if tail not in names:  # a mesh's name without a dot before a long name
                tail = next((end for end in names if len(end) > 5 and tail.endswith(end)), "")
            if tail:
                pairs[key] = [(f"{family}:{names[tail]}", 1.0)]
        covered = {source for sources in pairs.values() for source, _ in sources}
        enough = len(covered) >= (len(visemes) - 1) * 2 / 3
        if enough and len(pairs) > len(best_pairs):
            best, best_pairs = family, pairs
    return best, best_pairs


def propose(character: Character) -> RetargetMap:
    """Return the map that names suggest; the result is for review, nothing is certain about it."""
    everything = [key for keys in character.shape_keys.values() for key in keys]
    candidates = {"arkit": match_arkit(everything)}
    for name, table in conventions.TABLES.items():
        candidates[name] = match_table(everything, table)
    convention = max(candidates, key=lambda name: len(_reached(candidates[name])))
    pairs = dict(candidates[convention])
    family, visemes = match_visemes(everything)
    mouth = sum(1 for source in _reached(pairs) if source.startswith(("mouth", "jaw")))
    if family and mouth < 6:  # shapes of the mouth itself say more than visemes do
        kept = {key: value for key, value in pairs.items() if not _moves_mouth(value)}
        pairs = {**kept, **visemes}
        convention = family
    pairs |= _fallbacks(everything, _reached(pairs), pairs)
    rows = [
        Row(Target(owner, key), tuple(pairs[key]))
        for owner, keys in character.shape_keys.items()
        for key in dict.fromkeys(keys)
        if key in pairs
    ]
    reached = _reached(pairs)
    if any(":" in source for source in reached):  # visemes are the whole mouth
        reached |= {name for name in ARKIT_NAMES if name.startswith(_MOUTH)}
    rows += bone_rows(character.bones, reached)
    rows = _with_closing(rows)
    if not pairs and rows:
        moved = any(row.target.component in MOVES for row in rows)
        convention = "rigify" if moved else "bones"
    return RetargetMap(tuple(rows), convention if rows else "none")


def _fallbacks(keys: list[str], reached: set[str], taken: Pairs) -> Pairs:
    """Keys that move both sides or the whole mouth, where nothing finer does."""
    found: Pairs = {}
    for key in dict.fromkeys(keys):
        sources = conventions.WHOLE.get(plain(key.rpartition(".")[2]), ())
        visemes = any(":" in name for name in reached)
        if not sources or key in taken or any(name in reached for name, _ in sources):
            continue
        if not (visemes and _moves_mouth(list(sources))):
            found[key] = list(sources)
            reached = reached | {name for name, _ in sources}
    return found


def _with_closing(rows: list[Row]) -> list[Row]:
    """Let mouthClose take the opening back where the target has no such key.

    ARKit's mouthClose closes the lips over an open jaw; without it p, b and m would stay open.
    """
    sources = {name for row in rows for name, _ in row.sources}
    if "mouthClose" in sources or any(":" in name for name in sources):
        return rows
    return [
        dataclasses.replace(row, sources=(*row.sources, ("mouthClose", -gain)))
        if len(row.sources) == 1 and (gain := dict(row.sources).get("jawOpen"))
        else row
        for row in rows
    ]


def _readings(parts: tuple[str, ...]) -> Iterable[tuple[tuple, list[tuple[str, float]]]]:
    """Every way to read words as an ARKit shape between a prefix and a suffix."""
    for start in range(len(parts)):
        for end in range(start + 1, min(len(parts), start + _MOST_WORDS) + 1):
            core, family = parts[start:end], (parts[:start], parts[end:])
            exact = _CHANNEL_WORDS.get(tuple(sorted(core)))
            if exact:
                yield family, [(exact, 1.0)]
                continue
            without, side = split_side(core)
            half = _CHANNEL_WORDS.get(tuple(sorted(without)))
            if side and half:  # one side of a shape that ARKit has whole
                yield family, [(half, 1.0)]
            merged = _MERGED.get(tuple(sorted(core)))
            if merged and not {"left", "right"} & {*family[0], *family[1]}:  # both sides in one
                yield family, [(f"{merged}Left", 0.5), (f"{merged}Right", 0.5)]


def _tail_start(key: str, tail: str) -> int:
    """Where in ``key`` its ending begins that reads ``tail`` without separators."""
    left = len(tail)
    for index in range(len(key) - 1, -1, -1):
        left -= 1 if plain(key[index]) else 0
        if left == 0:
            return index
    return 0


def _reached(pairs: Pairs) -> set[str]:
    return {source for sources in pairs.values() for source, _ in sources}


def _moves_mouth(sources: list[tuple[str, float]]) -> bool:
    return any(name.startswith(_MOUTH) for name, _ in sources)
