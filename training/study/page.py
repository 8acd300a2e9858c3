# SPDX-License-Identifier: Apache-2.0
"""Puts page, style, script, plan and videos into one HTML file that needs nothing else.

With a media folder the videos lie beside the page instead; that suits studies over about 60 MB.
"""

from __future__ import annotations

import hashlib
import html
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.study.media import data_uri, freeze
from training.study.plan import CRITERIA, STILL, Key

_HERE = Path(__file__).parent
QUESTIONS = {
    "lip_sync": "Whose lips fit the speech better?",
    "realism": "Which face moves more like a real one?",
    "emotion": "Whose emotion fits the voice better?",
}
Videos = Mapping[str, Mapping[str, Path]]


def write_study(key: Key, videos: Videos, out: Path, media_folder: bool = False) -> Path:
    """Write ``page.html`` (for voters) and ``key.json`` (not for voters); returns the page.

    ``videos[system][stem]`` are files; the stills of the checks are made here. A video that several
    pairs show is in the page once.
    """
    out.mkdir(parents=True, exist_ok=True)
    shown = sorted(
        {(system, pair.clip) for pair in key.pairs for system in (pair.x, pair.y)},
        key=lambda video: _shuffled(key.study, *video),
    )
    names = {video: f"v{number:03d}" for number, video in enumerate(shown)}
    links: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for (system, clip), name in names.items():
            path = videos[key.ours if system == STILL else system][clip]
            if system == STILL:
                still = Path(scratch) / f"{name}{path.suffix}"
                freeze(path, still)
                path = still
            if media_folder:
                target = out / "media" / f"{name}{path.suffix.lower()}"
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
                links[name] = f"media/{target.name}"
            else:
                links[name] = data_uri(path)
    page = out / "page.html"
    part = out / "page.html.part"
    part.write_text(_html(key, names, links), encoding="utf-8")
    key.save(out / "key.json")
    part.replace(page)
    return page


def _html(key: Key, names: Mapping[tuple[str, str], str], links: Mapping[str, str]) -> str:
    """The page; nothing in it names a system."""
    groups: dict[int, list[dict[str, str]]] = {}
    for pair in key.pairs:
        sides = {"x": names[pair.x, pair.clip], "y": names[pair.y, pair.clip]}
        groups.setdefault(pair.group, []).append({"id": pair.id, **sides})
    checks = groups.pop(-1, [])
    study: dict[str, Any] = {
        "study": key.study,
        "votes": key.votes_per_voter,
        "checks": key.checks_per_voter,
        "groups": list(groups.values()),
        "fixed": checks,
        "criteria": [{"name": name, "question": QUESTIONS[name]} for name in CRITERIA],
        "media": dict(links),
    }
    # A "</script>" inside the data would end it.
    data = json.dumps(study).replace("</", "<\\/")
    text = (_HERE / "page.html").read_text(encoding="utf-8")
    for mark, value in (
        ("%TITLE%", html.escape(key.title)),
        ("%STYLE%", (_HERE / "page.css").read_text(encoding="utf-8")),
        ("%SCRIPT%", (_HERE / "page.js").read_text(encoding="utf-8")),
        ("%STUDY%", data),
    ):
        text = text.replace(mark, value)
    return text


def _shuffled(*parts: str) -> str:
    """A sort key that tells nothing about the parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
