# SPDX-License-Identifier: Apache-2.0
"""``python -m training.corpus make OUT --hours H``: speak the corpus and teach it the face.

Resumes where it was cut off; ``--jobs`` processes change nothing but the time it takes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from training.corpus.make import make, teach
from training.corpus.report import report


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.corpus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tasks = {"make": "sound, times and motion", "speak": "sound and times", "teach": "motion again"}
    for name, what in tasks.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("out", type=Path)
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
        if name != "teach":
            command.add_argument("--hours", type=float, default=1.0)
    told = commands.add_parser("report", help="hours by kind, and how the emotions sound")
    told.add_argument("out", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.command == "report":
        sys.stdout.write(json.dumps(report(options.out), indent=1, ensure_ascii=False) + "\n")
        return
    if options.command != "teach":
        hours = make(options.out, options.hours, options.seed, options.jobs)
        logging.info("%.2f hours of sound", hours)
    if options.command != "speak":
        logging.info("%d clips with motion", teach(options.out, options.seed, options.jobs))


if __name__ == "__main__":
    main()
