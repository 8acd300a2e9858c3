# SPDX-License-Identifier: Apache-2.0
"""``python -m training.data prepare SRC OUT`` makes a store of clips; ``show`` tells of one.

The exit code is 0 when the store is whole, 2 when something has to be put right first.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training.data.clips import STATED_VERSIONS, BadClip, PrepareConfig, SourceError
from training.data.prepare import prepare
from training.data.splits import PARTS, STAGES, leaked_people, make_split
from training.data.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return _prepare(options) if options.command == "prepare" else _show(options)
    except BadClip as error:
        print(
            f"data: {error.message} Put it right and run again, or --on-bad skip.", file=sys.stderr
        )
    except (SourceError, OSError) as error:
        print(f"data: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("data: stopped; run the same command again to go on", file=sys.stderr)
    return 2


def _prepare(options: argparse.Namespace) -> int:
    config = PrepareConfig(
        layout=options.layout,
        on_bad=options.on_bad,
        betas=options.betas,
        face_space=options.face_space,
        flame_version=options.flame_version,
        audio=options.audio,
        subject=options.subject,
        fps=options.fps,
        tolerance_s=options.tolerance_s,
    )
    report = prepare(options.source, options.out, config, _Counter())
    print(f"{options.out}: {'already there: ' if report.was_there else ''}{report.summary()}")
    if report.notes:
        print(f"{len(report.notes)} notes, the first: {report.notes[0]}")
    print(f"What was left out and why: {options.out / 'report.md'}")
    return 0


def _show(options: argparse.Namespace) -> int:
    store = Store.open(options.store)
    print(f"{len(store)} clips, {store.n_frames / 90_000:.2f} hours, motion of {store.face}")
    split = make_split(options.split, store.clips)
    print(f"split {split.title}: {split.note}")
    for stage in STAGES:
        counts = ", ".join(f"{len(split.parts[stage][part])} {part}" for part in PARTS)
        print(f"  stage {stage}: {counts}")
    for stage, people in leaked_people(split, store.clips).items():
        if people:
            print(f"  test people seen in stage {stage}: {', '.join(people)}")
    if options.verify:
        damaged = store.verify()
        print(f"damaged clips: {', '.join(damaged) or 'none'}")
        return 2 if damaged else 0
    return 0


class _Counter:
    """Say every hundredth clip."""

    def __call__(self, done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f"{done} of {total} clips", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("prepare", help="check every clip and write one store")
    make.add_argument("source", type=Path, help="EMOTE's tree, a cache, or own captures")
    make.add_argument("out", type=Path, help="folder that does not exist yet")
    make.add_argument("--layout", default="auto", choices=("auto", "release", "cache", "captures"))
    make.add_argument("--on-bad", default="skip", choices=("skip", "refuse"))
    make.add_argument("--betas", default="first", choices=("first", "mean"), help="of the frames")
    make.add_argument("--audio", type=Path, help="where MEAD's sound is, if not in the source")
    make.add_argument("--face-space", choices=("head", "flame"), help="if the files do not say it")
    make.add_argument("--flame-version", choices=STATED_VERSIONS, help="3DMEAD is of 2020")
    make.add_argument("--subject", help="person of captures whose names do not say it")
    make.add_argument("--fps", type=float, default=25.0, help="of .npy and .npz without fps")
    make.add_argument("--tolerance-s", type=float, default=0.2, help="motion against sound")
    show = commands.add_parser("show", help="count the clips of a store and its split")
    show.add_argument("store", type=Path)
    show.add_argument("--split", default="subject", choices=("subject", "sentence", "paper-code"))
    show.add_argument("--verify", action="store_true", help="read every clip's checksum")
    return parser


if __name__ == "__main__":
    sys.exit(main())
