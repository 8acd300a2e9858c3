# SPDX-License-Identifier: Apache-2.0
"""The study without a browser: pairs, the page's text, still pictures, votes and what they say."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from training.study.__main__ import main
from training.study.analyse import ALL, preferences
from training.study.media import freeze, probe
from training.study.plan import CRITERIA, STILL, Key, make_plan
from training.study.votes import collect

from .conftest import write_video

Folders = Callable[..., dict[str, Path]]
CLIPS = {name: {f"clip{i}": 2.0 for i in range(8)} for name in ("ours", "alpha", "beta")}
EMOTIONS = {f"clip{i}": ("happy", "sad")[i % 2] for i in range(8)}


def key(**options: Any) -> Key:
    return make_plan("Faces", CLIPS, "ours", EMOTIONS, **options)


def session(plan: Key, voter: str, choose: Callable[[str, str], str], **changes: Any) -> dict:
    """A finished session; ``choose(other, criterion)`` gives ours, other or tie."""
    pairs = [pair for pair in plan.pairs if pair.kind == "vote"][: plan.votes_per_voter]
    pairs += [pair for pair in plan.pairs if pair.kind == "check"][: plan.checks_per_voter]
    answers = []
    for pair in pairs:
        ours, other = ("x", pair.y) if pair.x == plan.ours else ("y", pair.x)
        sides = {"ours": ours, "other": "y" if ours == "x" else "x", "tie": "tie"}
        choices = {name: sides[choose(other, name)] for name in CRITERIA}
        answers.append({"pair": pair.id, "left": "x", "choices": choices})
    return {
        "version": 1,
        "study": plan.study,
        "voter": voter,
        "answers": answers,
        "finished": "2026-01-01T10:00:00Z",
        **changes,
    }


def saved(folder: Path, *sessions: dict) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, values in enumerate(sessions):
        paths.append(folder / f"votes{number}.json")
        paths[-1].write_text(json.dumps(values))
    return paths


def always_ours(other: str, criterion: str) -> str:
    return "ours"


def test_every_clip_meets_every_other_system_once_in_random_order() -> None:
    plan = key()
    votes = [pair for pair in plan.pairs if pair.kind == "vote"]
    met = Counter((pair.clip, pair.x if pair.y == "ours" else pair.y) for pair in votes)
    assert len(met) == 16 and set(met.values()) == {1}
    assert {pair.x == "ours" for pair in votes} == {True, False}
    assert len({pair.id for pair in plan.pairs}) == len(plan.pairs) == 16 + 4
    checks = [pair for pair in plan.pairs if pair.kind == "check"]
    assert all({pair.x, pair.y} == {"ours", STILL} for pair in checks)
    assert plan.votes_per_voter == 16 and plan.checks_per_voter == 2
    assert key() == plan and key(seed=1).study != plan.study
    # Names in the page must not follow the order of systems or kinds.
    assert [pair.group for pair in plan.pairs] != sorted(pair.group for pair in plan.pairs)


def test_key_survives_a_file(tmp_path: Path) -> None:
    key().save(tmp_path / "key.json")
    assert Key.load(tmp_path / "key.json") == key()
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(ValueError, match="not a study key"):
        Key.load(tmp_path / "key.json")


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ({"ours": {"a": 1.0}}, "at least one other"),
        ({"ours": {"a": 1.0}, "alpha": {"b": 1.0}}, "no clip in common"),
        ({"ours": {"a": 1.0}, "alpha": {"a": 1.5}}, r"a lasts 1\.00 s in ours and 1\.50 s"),
        ({"ours": {"a": 1.0}, "still": {"a": 1.0}}, "may be called"),
    ],
)
def test_pairs_that_cannot_be_are_refused(clips: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plan("Faces", clips, "ours", {})


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_still_keeps_the_sound_and_stops_the_picture(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"still{suffix}"
    write_video(source, 1.0)
    freeze(source, target)
    assert probe(target).duration_s == pytest.approx(probe(source).duration_s, abs=0.1)

    def pictures(path: Path) -> np.ndarray:
        with av.open(str(path)) as opened:
            frames = [frame.to_ndarray(format="gray") for frame in opened.decode(video=0)]
        return np.stack(frames).astype(int)

    def sound(path: Path) -> np.ndarray:
        with av.open(str(path)) as opened:
            return np.concatenate([f.to_ndarray().ravel() for f in opened.decode(audio=0)])

    assert np.abs(np.diff(pictures(source), axis=0)).max() > 30
    assert np.abs(np.diff(pictures(target), axis=0)).max() < 12
    before, after = sound(source), sound(target)
    n = min(before.size, after.size)
    assert n > 0.9 * before.size
    assert np.allclose(before[:n], after[:n], atol=1e-3)


def test_what_browsers_cannot_play_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"broken\.mp4 cannot be read"):
        probe(tmp_path / "broken.mp4")
    write_video(tmp_path / "mute.webm", sound=False)
    with pytest.raises(ValueError, match=r"mute\.webm needs a picture and a sound"):
        probe(tmp_path / "mute.webm")


def make(folders: dict[str, Path], out: Path, *more: str) -> int:
    others = [part for name in ("alpha", "beta") for part in ("--other", f"{name}={folders[name]}")]
    return main(["make", str(out), "--ours", f"ours={folders['ours']}", *others, *more])


def test_page_is_one_file_that_needs_nothing_and_names_no_system(
    tmp_path: Path, folders: Folders
) -> None:
    assert make(folders(), tmp_path / "study", "--title", "Faces </script><b>&") == 0
    page = (tmp_path / "study" / "page.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == ["key.json", "page.html"]
    assert "<title>Faces &lt;/script&gt;&lt;b&gt;&amp;</title>" in page
    assert not re.search(r"https?://|//cdn|<link|import\(|fetch\(|XMLHttp", page)
    found = re.search(r'<script type="application/json" id="study">(.*?)</script>', page, re.S)
    assert found is not None
    study = json.loads(found.group(1))
    assert len(study["media"]) == 9 + 3 and study["votes"] == 6 and study["checks"] == 2
    plain = page.replace(found.group(1), "") + json.dumps({**study, "media": None})
    assert not re.search(r"alpha|beta|ours|clip\d|render", plain.replace("yours", ""))
    plan = Key.load(tmp_path / "study" / "key.json")
    listed = {pair["id"] for group in (*study["groups"], study["fixed"]) for pair in group}
    assert listed == {pair.id for pair in plan.pairs}


def test_videos_may_lie_beside_the_page(tmp_path: Path, folders: Folders) -> None:
    assert make(folders(2), tmp_path / "study", "--media-folder") == 0
    page = (tmp_path / "study" / "page.html").read_text(encoding="utf-8")
    media = sorted((tmp_path / "study" / "media").iterdir())
    assert len(media) == 6 + 2 and "base64" not in page
    assert all(f"media/{path.name}" in page for path in media)


def test_bad_arguments_are_one_sentence(
    tmp_path: Path, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    made = folders(1)
    assert main(["make", str(tmp_path / "s"), "--ours", "ours", "--other", "a=b"]) == 2
    assert "NAME=FOLDER" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    made["beta"] = tmp_path / "empty"
    assert make(made, tmp_path / "s") == 2
    assert "holds no .mp4 or .webm" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_votes_are_turned_back_by_the_key(tmp_path: Path) -> None:
    plan = key()

    def choose(other: str, criterion: str) -> str:
        if other == STILL:
            return "ours"
        return {"lip_sync": "ours", "realism": "tie", "emotion": "other"}[criterion]

    collected = collect(plan, saved(tmp_path / "v", session(plan, "v1", choose)))
    assert collected.n_voters == 1 and len(collected.votes) == 16 * 3
    results = {vote.criterion: vote.result for vote in collected.votes}
    assert results == {"lip_sync": 1, "realism": 0, "emotion": -1}
    assert {vote.other for vote in collected.votes} == {"alpha", "beta"}
    assert all(
        len({v.result for v in collected.votes if v.criterion == name}) == 1 for name in CRITERIA
    )


def test_sessions_that_do_not_count_are_named(tmp_path: Path) -> None:
    plan = key()
    good = session(plan, "v1", always_ours)
    careless = session(plan, "v2", lambda other, _: "tie" if other == STILL else "ours")
    halves = session(plan, "v5", always_ours)
    halves["answers"] = halves["answers"][:3]
    odd = session(plan, "v6", always_ours)
    odd["answers"][0]["choices"]["realism"] = "z"
    paths = saved(
        tmp_path / "v",
        good,
        good,
        careless,
        session(plan, "v3", always_ours, finished=None),
        session(plan, "v4", always_ours, study="other"),
        halves,
        odd,
        [],  # type: ignore[arg-type]
    )
    (tmp_path / "v" / "votes9.json").write_text("{")
    collected = collect(plan, [*paths, tmp_path / "v" / "votes9.json"])
    assert collected.n_voters == 1
    reasons = dict(collected.left_out)
    assert len(reasons) == 8
    for number, words in enumerate(
        (
            "same session",
            "failed 2 attention",
            "not finished",
            "study 'other'",
            "3 answers",
            "not complete",
            "not a vote",
        ),
        start=1,
    ):
        assert words in reasons[f"votes{number}.json"]


def test_preference_and_its_interval_by_hand(tmp_path: Path) -> None:
    """Eight of ten voters prefer ours against alpha in everything; all tie against beta."""
    plan = key(votes_per_voter=16)

    def voter(number: int) -> dict:
        alpha = "ours" if number < 8 else "other"
        answers = {STILL: "ours", "alpha": alpha, "beta": "tie"}
        return session(plan, f"v{number}", lambda other, _: answers[other])

    collected = collect(plan, saved(tmp_path / "v", *(voter(n) for n in range(10))))
    rows = {(r.other, r.criterion, r.emotion): r for r in preferences(collected.votes)}
    row = rows["alpha", "lip_sync", ALL]
    assert (row.wins, row.ties, row.losses) == (64, 0, 16)
    assert row.preference == 0.8 and row.shares == (0.8, 0.0, 0.2)
    # Wilson for 64 of 80: (0.8 + z^2/160 -+ z sqrt(0.16/80 + z^2/25600)) / (1 + z^2/80).
    assert (row.low, row.high) == (pytest.approx(0.6995, abs=2e-4), pytest.approx(0.8730, abs=2e-4))
    assert row.p_value < 1e-6
    # Votes of a person agree fully: ten people are no eighty.
    assert row.low_voters < row.low and row.high_voters >= row.high
    assert rows["alpha", "realism", "sad"].wins == 32
    tied = rows["beta", "emotion", ALL]
    assert tied.ties == 80 and np.isnan(tied.preference) and tied.p_value == 1.0


def test_analyse_writes_tables_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = key()
    plan.save(tmp_path / "key.json")
    saved(tmp_path / "v", *(session(plan, f"v{n}", always_ours) for n in range(3)))
    out = tmp_path / "out"
    arguments = ["analyse", str(tmp_path / "key.json"), str(tmp_path / "v"), "--out", str(out)]
    assert main(arguments) == 0
    with (out / "preferences.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 3 and {row["emotion"] for row in rows} == {"all", "happy", "sad"}
    assert "| alpha | lip_sync | all | 24 | 0 | 0 | 100 % |" in (out / "preferences.md").read_text()
    assert (out / "figure5.png").stat().st_size > 5000 and (out / "figure5_sad.svg").exists()
    assert "3 voters, 144 answers" in capsys.readouterr().out
    arguments[2] = str(tmp_path / "out")
    assert main(arguments) == 2
    assert "no finished session" in capsys.readouterr().err
