# SPDX-License-Identifier: Apache-2.0
"""``python -m training.corpus make OUT --hours H``: speak the corpus and teach it the face."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from training.corpus.make import make, teach


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.corpus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("make", "sound, times and motion"), ("teach", "motion again")):
        command = commands.add_parser(name, help=what)
        command.add_argument("out", type=Path)
        command.add_argument("--seed", type=int, default=1)
        if name == "make":
            command.add_argument("--hours", type=float, default=1.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.command == "make":
        hours = make(options.out, options.hours, options.seed)
        logging.info("%.2f hours of sound", hours)
    logging.info("%d clips with motion", teach(options.out, options.seed))


if __name__ == "__main__":
    main()
