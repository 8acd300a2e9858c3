# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, from the first click to exported votes (skipped without Chromium)."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.study.__main__ import main
from training.study.media import data_uri
from training.study.plan import Key
from training.study.votes import collect

from .webdriver import CHROMIUM, DRIVER, Browser, browser

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"
)
Folders = Callable[..., dict[str, Path]]
KEYS = {"A": "\ue012", "tie": "\ue015", "B": "\ue014"}
ENTER, UP = "\ue007", "\ue013"


def make(tmp_path: Path, made: dict[str, Path], *more: str) -> Path:
    others = [part for name in ("alpha", "beta") for part in ("--other", f"{name}={made[name]}")]
    out = tmp_path / "study"
    ours = f"ours={made['ours']}"
    assert main(["make", str(out), "--ours", ours, *others, "--pairs", "4", *more]) == 0
    return out


def side_of_ours(tab: Browser, made: dict[str, Path]) -> str:
    """A or B: where a video of ours plays; in a check the other side is a still."""
    ours = {data_uri(path) for path in made["ours"].iterdir()}
    sources = {side: tab.run(f"return document.getElementById('video{side}').src") for side in "AB"}
    sides = [side for side, source in sources.items() if source in ours]
    assert len(sides) == 1
    return sides[0]


def watch(tab: Browser, by_key: bool) -> None:
    for number, side in enumerate("AB", start=1):
        if by_key:
            tab.press(str(number))
        else:
            tab.click(f"#play{side}")
        tab.wait(f"document.getElementById('video{side}').ended")


def number_of_answers(tab: Browser) -> int:
    return tab.run("return document.getElementById('progress').textContent.match(/\\d+/)[0] - 1")


@pytest.mark.parametrize("suffix", [".webm", pytest.param(".mp4", marks=pytest.mark.slow)])
def test_from_the_first_click_to_exported_votes(
    tmp_path: Path, folders: Folders, suffix: str
) -> None:
    made = folders(2, suffix, 0.24)
    out = make(tmp_path, made, "--checks", "1")
    with browser(tmp_path) as tab:
        tab.open(out / "page.html")
        assert tab.run("return document.getElementById('count').textContent") == "5"
        tab.click("#begin")
        left = []
        for index in range(5):
            tab.wait(f"document.getElementById('progress').textContent == 'Pair {index + 1} of 5'")
            ours = side_of_ours(tab, made)
            left.append(ours)
            other = "B" if ours == "A" else "A"
            by_key = index % 2 == 1
            watch(tab, by_key)
            if by_key:
                tab.press(KEYS[other], UP, KEYS[ours], KEYS["tie"], KEYS[other], ENTER)
            else:
                for name, choice in (("lip_sync", ours), ("realism", "tie"), ("emotion", other)):
                    tab.click(f"label:has(#{name}-{choice})")
                tab.click("#next")
        tab.wait("!document.getElementById('end').hidden")
        tab.click("#download")
        shown = json.loads(tab.run("return document.getElementById('text').value"))
        found = _downloaded(tmp_path / "downloads")
        assert tab.complaints() == []
    assert json.loads(found.read_text()) == shown
    assert found.name == f"votes-{shown['study']}-{shown['voter']}.json"
    collected = collect(Key.load(out / "key.json"), [found])
    assert collected.left_out == () and collected.n_voters == 1
    results = {(vote.criterion, vote.result) for vote in collected.votes}
    assert results == {("lip_sync", 1), ("realism", 0), ("emotion", -1)}
    assert len({(vote.other, vote.pair.clip) for vote in collected.votes}) == 4
    assert all(answer["plays"] == {"x": 1, "y": 1} for answer in shown["answers"])


def test_on_a_phone_it_waits_for_both_videos_and_resumes_after_a_reload(
    tmp_path: Path, folders: Folders
) -> None:
    made = folders(2, ".webm", 0.24)
    page = make(tmp_path, made, "--checks", "0") / "page.html"
    with browser(tmp_path, phone=True) as tab:
        tab.open(page)
        tab.click("#begin")
        for choice in ("lip_sync-A", "realism-A", "emotion-tie"):
            tab.click(f"label:has(#{choice})")
        assert tab.run("return document.getElementById('next').disabled")
        tab.press(ENTER)
        assert number_of_answers(tab) == 0
        assert tab.run("return document.documentElement.scrollWidth <= innerWidth")
        small = "return [...document.querySelectorAll('#trial button, #trial label')].filter("
        assert tab.run(small + "e => e.getBoundingClientRect().height < 43).length") == 0
        tab.click("#playA")
        tab.wait("document.getElementById('videoA').ended")
        tab.wait("document.querySelector('figure.seen')")
        assert tab.run("return document.getElementById('next').disabled")
        watch(tab, by_key=False)
        assert not tab.run("return document.getElementById('next').disabled")
        tab.click("#next")
        assert number_of_answers(tab) == 1
        before = tab.run("return document.getElementById('videoA').src")
        tab.open(page, "#again")
        tab.run("location.reload()")
        tab.wait("document.readyState == 'complete' && document.getElementById('begin')")
        assert tab.run("return document.getElementById('begin').textContent") == "Go on"
        tab.click("#begin")
        assert number_of_answers(tab) == 1
        assert tab.run("return document.getElementById('videoA').src") == before
        for _ in range(3):
            watch(tab, by_key=True)
            tab.press(*3 * [KEYS["tie"]], ENTER)
        tab.wait("!document.getElementById('end').hidden")
        finished = json.loads(tab.run("return document.getElementById('text').value"))
        assert len(finished["answers"]) == 4 and finished["finished"]
        tab.click("#again")
        assert number_of_answers(tab) == 0
        assert tab.complaints() == []


@pytest.mark.slow
def test_order_and_sides_follow_the_seed(tmp_path: Path, folders: Folders) -> None:
    page = make(tmp_path, folders(2, ".webm", 0.2)) / "page.html"
    orders = {}
    with browser(tmp_path) as tab:
        for seed in (*range(1, 9), 1):
            tab.open(page, f"#seed={seed}")
            tab.run("localStorage.clear(); location.reload()")
            tab.wait("document.readyState == 'complete' && document.getElementById('begin')")
            tab.click("#begin")
            shown = tab.run("return ['A', 'B'].map(s => document.getElementById('video' + s).src)")
            assert orders.setdefault(seed, shown) == shown
    assert len({tuple(order) for order in orders.values()}) > 3


def _downloaded(folder: Path) -> Path:
    end = time.monotonic() + 15
    while not (found := list(folder.glob("*.json"))):
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return found[0]
