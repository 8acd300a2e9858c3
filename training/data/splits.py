# SPDX-License-Identifier: Apache-2.0
"""Which clips each training stage learns from, stops by and is scored on.

``subject`` (default): new people, in both stages; EMOTE's lists for 3DMEAD. ``sentence``: known
people, new sentences, as ProbTalk3D. ``paper-code``: what the paper's released code does; leaky,
because its test people were in stage 1. Its stage 1 is taken to split those people by sentence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from training.data import subjects
from training.data.clips import SourceError

PARTS = ("train", "validation", "test")
STAGES = (1, 2)
# ProbTalk3D's last sentence of train, validation and test.
_NEUTRAL_ENDS, _EMOTION_ENDS = (32, 36, 40), (24, 27, 30)


class Named(Protocol):
    """A clip as far as a split looks at it."""

    @property
    def subject(self) -> str:
        """Who speaks."""

    @property
    def sentence(self) -> str:
        """What is said."""

    @property
    def emotion(self) -> int:
        """How; 0 is neutral."""


PartOf = Callable[[Named], str | None]


@dataclasses.dataclass(frozen=True)
class Split:
    """Clip numbers per stage and part; ``leaky`` where test people were seen in training."""

    name: str
    leaky: bool
    note: str
    parts: dict[int, dict[str, tuple[int, ...]]]

    def numbers(self, stage: int, part: str) -> tuple[int, ...]:
        """Clip numbers of a part; raises SourceError where the store has none for it."""
        found = self.parts[stage][part]
        if not found:
            raise SourceError(f"the split {self.name!r} has no {part} clips of this data")
        return found

    @property
    def title(self) -> str:
        """Name for tables and logs, never without its flaw."""
        return f"{self.name} (leaky)" if self.leaky else self.name


def make_split(name: str, clips: Sequence[Named]) -> Split:
    """Split the clips of a store; raises SourceError where this data cannot be split so."""
    people = {clip.subject for clip in clips}
    is_mead = people <= set(subjects.MEAD)
    if not is_mead and people & set(subjects.MEAD):
        raise SourceError(
            f"people of 3DMEAD and others ({min(people - set(subjects.MEAD))}) are in one store: "
            "its published split says nothing of them"
        )
    if name == "subject":
        by_subject = _mead_subject if is_mead else _subject_rule(people)
        note = "EMOTE's 32/7/8 people" if is_mead else "70/15/15 of the people, by name"
        return _built(name, note, clips, by_subject, by_subject)
    if name == "sentence":
        by_sentence = _mead_sentence if is_mead else _sentence_rule({c.sentence for c in clips})
        note = "ProbTalk3D's sentences" if is_mead else "80/10/10 of the sentences, by name"
        return _built(name, f"{note}; test people are known", clips, by_sentence, by_sentence)
    if name == "paper-code":
        if not is_mead:
            raise SourceError("the split 'paper-code' is only of 3DMEAD")
        note = "22/5/5 of EMOTE's training people; all 32 were in stage 1"
        return _built(name, note, clips, _code_stage1, _code_stage2)
    raise SourceError(f"a split is subject, sentence or paper-code, not {name!r}")


def leaked_people(split: Split, clips: Sequence[Named]) -> dict[int, tuple[str, ...]]:
    """People of the test part of stage 2 whom each stage was trained or stopped on."""
    tested = {clips[i].subject for i in split.parts[2]["test"]}
    leaked = {}
    for stage in STAGES:
        used = (*split.parts[stage]["train"], *split.parts[stage]["validation"])
        leaked[stage] = tuple(sorted(tested & {clips[i].subject for i in used}))
    return leaked


def _built(name: str, note: str, clips: Sequence[Named], stage1: PartOf, stage2: PartOf) -> Split:
    parts = {}
    for stage, rule in zip(STAGES, (stage1, stage2), strict=True):
        told = [rule(clip) for clip in clips]
        parts[stage] = {
            part: tuple(i for i, own in enumerate(told) if own == part) for part in PARTS
        }
    # By its definition, not by chance: a small store may happen to lack the people that leak.
    return Split(name, name == "paper-code", note, parts)


def _mead_subject(clip: Named) -> str | None:
    if clip.subject in subjects.TRAIN:
        return "train"
    return "validation" if clip.subject in subjects.VALIDATION else "test"


def _mead_sentence(clip: Named) -> str | None:
    ends = _NEUTRAL_ENDS if clip.emotion == 0 else _EMOTION_ENDS
    return next(
        (part for part, end in zip(PARTS, ends, strict=True) if int(clip.sentence) <= end), None
    )


def _code_stage1(clip: Named) -> str | None:
    return _mead_sentence(clip) if clip.subject in subjects.TRAIN else None


def _code_stage2(clip: Named) -> str | None:
    if clip.subject in subjects.CODE_TRAIN:
        return "train"
    if clip.subject in subjects.CODE_VALIDATION:
        return "validation"
    return "test" if clip.subject in subjects.CODE_TEST else None


def _subject_rule(people: set[str]) -> PartOf:
    part_of = _by_name(people, 0.15, "people", "--split sentence")
    return lambda clip: part_of[clip.subject]


def _sentence_rule(sentences: set[str]) -> PartOf:
    part_of = _by_name(sentences, 0.1, "sentences", "more takes")
    return lambda clip: part_of[clip.sentence]


def _by_name(names: set[str], share: float, what: str, instead: str) -> dict[str, str]:
    """Give the last of the names to test, those before to validation, at least one to each."""
    ordered = sorted(names)
    if len(ordered) < 3:
        raise SourceError(f"{len(ordered)} {what} cannot be split in three; use {instead}")
    held = max(1, round(share * len(ordered)))
    first_test = len(ordered) - held
    return {
        name: PARTS[(i >= first_test - held) + (i >= first_test)] for i, name in enumerate(ordered)
    }
