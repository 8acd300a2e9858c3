# SPDX-License-Identifier: Apache-2.0
"""Votes as the page exports them: read with care, checked against the key, one session a voter.

A session counts when it is finished and every attention check in it chose the moving face for lip
sync. Everything left out is named with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from training.study.plan import CRITERIA, STILL, Key, Pair

_CHOICES = {"x", "y", "tie"}


class Vote(NamedTuple):
    """One answer: ``result`` is +1 for ours, 0 for a tie, -1 for the other system."""

    voter: str
    pair: Pair
    other: str
    criterion: str
    result: int


class Collected(NamedTuple):
    """Votes that count, how many voters gave them, and (file, reason) of what does not."""

    votes: tuple[Vote, ...]
    n_voters: int
    left_out: tuple[tuple[str, str], ...]


def collect(key: Key, files: Iterable[Path]) -> Collected:
    """Read all exported files of a study."""
    left_out: list[tuple[str, str]] = []
    sessions: dict[str, list[Vote]] = {}
    for path in sorted(files):
        try:
            session = _checked(key, json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            left_out.append((path.name, f"is not a vote of this study: {error}"))
            continue
        if session["voter"] in sessions:
            left_out.append((path.name, "is the same session as another file"))
        elif not session["finished"]:
            left_out.append((path.name, "was not finished"))
        elif failed := _failed_checks(key, session):
            left_out.append((path.name, f"failed {failed} attention check(s)"))
        else:
            sessions[session["voter"]] = _votes(key, session)
    votes = tuple(vote for session in sessions.values() for vote in session)
    return Collected(votes, len(sessions), tuple(left_out))


def _checked(key: Key, session: dict[str, Any]) -> dict[str, Any]:
    """The session itself, when all of it can be understood."""
    if session.get("version") != 1 or session.get("study") != key.study:
        raise ValueError(f"study {session.get('study')!r}, expected {key.study!r}")
    if not isinstance(session["voter"], str) or not session["voter"]:
        raise ValueError("it has no voter")
    known = {pair.id for pair in key.pairs}
    met = set()
    for answer in session["answers"]:
        if answer["pair"] not in known or answer["pair"] in met:
            raise ValueError(f"pair {answer['pair']!r} is unknown or twice there")
        met.add(answer["pair"])
        choices = answer["choices"]
        if set(choices) != set(CRITERIA) or not set(choices.values()) <= _CHOICES:
            raise ValueError(f"answers of pair {answer['pair']!r} are not complete")
    expected = key.votes_per_voter + key.checks_per_voter
    if session["finished"] and len(met) != expected:
        raise ValueError(f"it has {len(met)} answers, a whole session has {expected}")
    return session


def _failed_checks(key: Key, session: dict[str, Any]) -> int:
    pairs = {pair.id: pair for pair in key.pairs}
    failed = 0
    for answer in session["answers"]:
        pair = pairs[answer["pair"]]
        if pair.kind == "check":
            moving = "x" if pair.y == STILL else "y"
            failed += answer["choices"]["lip_sync"] != moving
    return failed


def _votes(key: Key, session: dict[str, Any]) -> list[Vote]:
    pairs = {pair.id: pair for pair in key.pairs}
    votes = []
    for answer in session["answers"]:
        pair = pairs[answer["pair"]]
        if pair.kind == "check":
            continue
        ours = "x" if pair.x == key.ours else "y"
        other = pair.y if ours == "x" else pair.x
        for criterion in CRITERIA:
            choice = answer["choices"][criterion]
            result = 0 if choice == "tie" else 1 if choice == ours else -1
            votes.append(Vote(session["voter"], pair, other, criterion, result))
    return votes
