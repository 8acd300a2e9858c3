# SPDX-License-Identifier: Apache-2.0
"""Sentences to speak: small grammars and word lists written for this corpus, seeded.

``texts/<language>.txt`` hold parts of clauses, whole sentences and words, one list of alternatives
below each ``#`` heading. Variety of sound sequences matters here, not sense: statements, questions,
exclamations, numbers, names, spelling, lists with pauses, shuffled words. Mandarin is in pinyin.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

_FOLDER = Path(__file__).with_name("texts")
LANGUAGES = tuple(sorted(path.stem for path in _FOLDER.glob("*.txt")))
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CONJUNCTION = {"en": "but", "es": "pero", "fr": "mais", "it": "ma", "de": "aber", "ru": "но",
                "pt": "mas", "pl": "ale", "nl": "maar", "sv": "men"}  # fmt: skip
# Engines read digits in these languages as people would.
_COUNTED = frozenset("en es fr it de ru pt pl nl sv tr hu uk el id hi".split())


@functools.cache
def lists(language: str) -> dict[str, list[str]]:
    """Alternatives by heading (who, did, what, where, whole, words; order: parts of a clause)."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in (_FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:]
        elif line:
            found[heading] = line.split("|") if heading not in ("order", "words") else line.split()
    return found


def sentence(language: str, rng: np.random.Generator) -> str:
    """One sentence (or a few short ones) of ``language``, drawn with ``rng``."""
    known, kind = lists(language), rng.random()
    if kind < 0.46:
        return _statement(language, rng)
    if kind < 0.66:
        return " ".join(rng.choice(known["whole"], size=2, replace=False))
    if kind < 0.74 and language in _COUNTED:
        return _numbers(language, rng)
    if kind < 0.80 and language == "en":
        names = rng.choice(known["names"], size=3, replace=False)
        if rng.random() < 0.4:
            return f"{names[0]}, this is {names[1]}. Have you met {names[2]}?"
        return f"{names[0]}, {names[1]}, and {names[2]}."
    if kind < 0.83 and language == "en":
        return ". ".join(rng.choice(_LETTERS, size=6)) + "."
    if kind < 0.90:
        return ". ".join(rng.choice(known["words"], size=4)).capitalize() + "."
    # Shuffled words give sound sequences that sentences lack.
    return " ".join(rng.choice(known["words"], size=7)).capitalize() + "."


def _statement(language: str, rng: np.random.Generator) -> str:
    line = _clause(language, rng, whole=rng.random() < 0.7)
    if rng.random() < 0.25:
        joint = f", {_CONJUNCTION[language]} " if language in _CONJUNCTION else ", "
        line += joint + _clause(language, rng, whole=False)
    return line[0].upper() + line[1:] + str(rng.choice([".", ".", ".", "?", "!"]))


def _clause(language: str, rng: np.random.Generator, whole: bool) -> str:
    known = lists(language)
    parts = [part for part in known["order"] if whole or part != "where"]
    return " ".join(str(rng.choice(known[part])) for part in parts)


def _numbers(language: str, rng: np.random.Generator) -> str:
    kind = rng.random()
    if language == "en" and kind < 0.4:
        return f"Call {rng.integers(100, 1000)}, {rng.integers(1000, 10_000)}, thank you."
    if kind < 0.7:
        return ", ".join(str(n) for n in rng.integers(1, 100, size=4)) + "."
    return f"{rng.integers(100, 100_000)}, {rng.integers(1900, 2030)}."
