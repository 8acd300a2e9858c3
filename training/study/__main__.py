# SPDX-License-Identifier: Apache-2.0
"""``python -m training.study make | analyse``: render, build the page, evaluate the votes.

``make`` takes systems as folders of videos, or as folders of trained runs, which it renders.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from training.metrics.face_files import FaceFiles
from training.study.analyse import ALL, preferences, write_tables
from training.study.figure import draw_preferences
from training.study.media import probe, videos_in
from training.study.page import write_study
from training.study.plan import Key, make_plan
from training.study.votes import collect

_LARGE_MB = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return make(options) if options.command == "make" else analyse(options)
    except (ValueError, OSError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2


def make(options: argparse.Namespace) -> int:
    """Write the page and the key."""
    folders = dict(_named(text) for text in (options.ours, *options.other))
    if len(folders) != 1 + len(options.other):
        raise ValueError("every system needs a name of its own")
    ours = _named(options.ours)[0]
    emotions = _emotions(options.emotions) if options.emotions else {}
    emotions = _render(options, folders) | emotions
    videos = {name: videos_in(folder) for name, folder in folders.items()}
    clips = {
        name: {stem: probe(path).duration_s for stem, path in found.items()}
        for name, found in videos.items()
    }
    key = make_plan(
        options.title, clips, ours, emotions, options.pairs, options.checks, options.seed
    )
    page = write_study(key, videos, options.out, options.media_folder)
    size_mb = page.stat().st_size / 1e6
    n_votes = sum(pair.kind == "vote" for pair in key.pairs)
    print(f"{page}: {n_votes} pairs, {key.votes_per_voter} a voter, {size_mb:.1f} MB")
    if size_mb > _LARGE_MB:
        print("Phones may refuse so large a page: use fewer clips, or --media-folder.")
    print(f"Keep {options.out / 'key.json'} to yourself: it says which system is which.")
    return 0


def _render(options: argparse.Namespace, folders: dict[str, Path]) -> dict[str, str]:
    """Put folders of videos in the place of runs; returns the emotions of their clips."""
    # Torch is needed for runs only.
    from training.study.render import is_run, render_run

    emotions: dict[str, str] = {}
    runs = {name: folder for name, folder in folders.items() if is_run(folder)}
    face = FaceFiles(options.flame, options.flame_version).face() if runs else None
    for name, run in runs.items():
        out = options.out / "videos" / name
        done = render_run(run, out, face, options.clips, options.part, options.seed, print)
        folders[name] = done.folder
        emotions |= done.emotions
    return emotions


def analyse(options: argparse.Namespace) -> int:
    """Write tables and figures."""
    key = Key.load(options.key)
    files = [
        file
        for path in options.votes
        for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])
    ]
    collected = collect(key, files)
    for name, reason in collected.left_out:
        print(f"{name} {reason}")
    if not collected.votes:
        raise ValueError("no finished session of this study among the files")
    rows = preferences(collected.votes)
    options.out.mkdir(parents=True, exist_ok=True)
    write_tables(collected, rows, options.out)
    for emotion in dict.fromkeys(row.emotion for row in rows):
        name = "figure5" if emotion == ALL else f"figure5_{emotion}"
        for suffix in (".png", ".svg"):
            draw_preferences(rows, key.ours, options.out / f"{name}{suffix}", emotion)
    print((options.out / "preferences.md").read_text(encoding="utf-8"))
    return 0


def _named(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    if not sign or not name:
        raise ValueError(f"{text!r} must be NAME=FOLDER")
    return name, Path(folder)


def _emotions(path: Path) -> dict[str, str]:
    """Rows ``clip,emotion`` of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"clip", "emotion"} <= set(rows[0]):
        raise ValueError(f"{path.name} needs the columns clip,emotion")
    return {row["clip"]: row["emotion"] for row in rows}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make", help="build page.html and key.json from folders of videos")
    made.add_argument("out", type=Path)
    kinds = "of videos, or of a trained run to render"
    made.add_argument("--ours", required=True, metavar="NAME=FOLDER", help=kinds)
    made.add_argument("--other", required=True, action="append", metavar="NAME=FOLDER", help=kinds)
    made.add_argument("--clips", type=int, default=18, help="clips to render of each run")
    made.add_argument("--part", default="test", help="part of the data to render")
    made.add_argument("--flame", type=Path, help="FLAME's file, for runs of FLAME's motion")
    made.add_argument("--flame-version", default="", help="where no file or name says it: 2020")
    made.add_argument("--emotions", type=Path, help="CSV with the columns clip,emotion")
    made.add_argument("--title", default="Talking faces")
    made.add_argument("--pairs", type=int, default=18, help="pairs a voter sees")
    made.add_argument("--checks", type=int, default=2, help="attention checks among them, on top")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--media-folder", action="store_true", help="videos beside the page")
    told = commands.add_parser("analyse", help="evaluate exported votes")
    told.add_argument("key", type=Path, help="key.json of the study")
    told.add_argument("votes", type=Path, nargs="+", help="exported files, or folders of them")
    told.add_argument("--out", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
