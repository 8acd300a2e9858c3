# SPDX-License-Identifier: Apache-2.0
"""Who may be seen when: the whole of 3DMEAD by its names."""

from pathlib import Path

import pytest

from training.data.clips import ClipName, PrepareConfig, SourceError
from training.data.prepare import prepare
from training.data.splits import PARTS, STAGES, leaked_people, make_split
from training.data.store import Store
from training.data.subjects import CODE_TEST, CODE_TRAIN, MEAD, TEST, TRAIN, VALIDATION

from .conftest import add_cache_clip

CLIPS = [
    ClipName(subject, f"{sentence:03d}", emotion, intensity)
    for subject in MEAD
    for emotion in (0, 3)
    for intensity in range(1 if emotion == 0 else 3)
    for sentence in range(1, 41 if emotion == 0 else 31)
]


def people(name: str, stage: int, part: str) -> set[str]:
    return {CLIPS[i].subject for i in make_split(name, CLIPS).numbers(stage, part)}


def test_the_lists_have_the_published_lengths() -> None:
    assert [len(s) for s in (TRAIN, VALIDATION, TEST, MEAD, CODE_TRAIN)] == [32, 7, 8, 47, 22]
    assert len(set(MEAD)) == 47


@pytest.mark.parametrize("stage", STAGES)
def test_no_test_person_is_in_any_stage_of_the_default_split(stage: int) -> None:
    split = make_split("subject", CLIPS)
    tested = people("subject", 2, "test")
    assert tested == set("M037 M039 M040 M041 M042 W037 W038 W040".split())
    seen = people("subject", stage, "train") | people("subject", stage, "validation")
    assert not tested & seen and len(seen) == 39
    assert not split.leaky and leaked_people(split, CLIPS) == {1: (), 2: ()}
    assert split.title == "subject"


def test_the_papers_code_has_trained_on_its_test_people_and_is_marked() -> None:
    split = make_split("paper-code", CLIPS)
    tested = people("paper-code", 2, "test")
    assert tested == set("W011 W014 W015 W016 W018".split())
    assert tested <= people("paper-code", 1, "train")
    assert not tested & (people("paper-code", 2, "train") | people("paper-code", 2, "validation"))
    assert leaked_people(split, CLIPS) == {1: tuple(sorted(tested)), 2: ()}
    assert split.leaky and "leaky" in split.title


def test_sentences_of_the_sentence_split_never_meet() -> None:
    split = make_split("sentence", CLIPS)
    for emotion, counts in ((0, (32, 4, 4)), (3, (24, 3, 3))):
        said = [
            {CLIPS[i].sentence for i in split.numbers(1, part) if CLIPS[i].emotion == emotion}
            for part in PARTS
        ]
        assert tuple(map(len, said)) == counts and len(set.union(*said)) == sum(counts)
    assert "known" in split.note


@pytest.mark.parametrize("name", ["subject", "sentence", "paper-code"])
@pytest.mark.parametrize("stage", STAGES)
def test_no_clip_is_in_two_parts(name: str, stage: int) -> None:
    numbers = [i for part in PARTS for i in make_split(name, CLIPS).numbers(stage, part)]
    assert len(numbers) == len(set(numbers))


def test_other_people_are_split_whole_by_name() -> None:
    clips = [ClipName(f"S{n:03d}", "001", 0, 0) for n in range(1, 21) for _ in range(2)]
    split = make_split("subject", clips)
    assert [len(split.numbers(2, part)) for part in PARTS] == [28, 6, 6]
    assert leaked_people(split, clips) == {1: (), 2: ()}


def test_a_prepared_store_of_all_people_is_split_by_its_own_clips(tmp_path: Path) -> None:
    for subject in MEAD:
        add_cache_clip(tmp_path / "data", f"{subject}_001_0_0", 6)
    prepare(tmp_path / "data", tmp_path / "store", PrepareConfig())
    store = Store.open(tmp_path / "store")
    split = make_split("subject", store.clips)
    assert [len(split.numbers(1, part)) for part in PARTS] == [32, 7, 8]
    assert {store.clips[i].subject for i in split.numbers(2, "test")} == set(TEST)
    assert leaked_people(split, store.clips) == {1: (), 2: ()}
    assert leaked_people(make_split("paper-code", store.clips), store.clips)[1] == CODE_TEST


def test_what_cannot_be_split_is_said() -> None:
    actor = [ClipName("actor", f"take_{n}") for n in range(9)]
    with pytest.raises(SourceError, match="1 people cannot be split in three"):
        make_split("subject", actor)
    assert [len(make_split("sentence", actor).numbers(1, part)) for part in PARTS] == [7, 1, 1]
    with pytest.raises(SourceError, match="only of 3DMEAD"):
        make_split("paper-code", actor)
    with pytest.raises(SourceError, match="3DMEAD and others"):
        make_split("subject", [*CLIPS[:3], *actor])
    with pytest.raises(SourceError, match="no test clips"):
        make_split("subject", CLIPS[:3]).numbers(1, "test")
    with pytest.raises(SourceError, match="'random'"):
        make_split("random", CLIPS)
