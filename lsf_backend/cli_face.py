# SPDX-License-Identifier: Apache-2.0
"""``lsf identity`` and ``lsf convert-face``: faces that people bring."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.exchange.mesh_in import read_mesh
from lsf_backend.export.files import check_output, replace_when_written
from lsf_backend.face_requests import convert_face, find_identity, read_landmarks


def identity(args: argparse.Namespace) -> int:
    """Find the identity of a neutral mesh and write its betas [300]."""
    if args.out.suffix.lower() != ".npy":
        raise LsfError("request_invalid", f"{args.out.name} has to end in .npy.")
    check_output(args.out, args.overwrite, args.mesh)
    landmarks = read_landmarks(args.landmarks) if args.landmarks else None
    face = str(args.face) if args.face else ""
    found = find_identity(read_mesh(args.mesh), face, landmarks)
    with replace_when_written(args.out) as path, path.open("wb") as stream:
        np.save(stream, found.betas)
    print(found.sentence)
    print(f"{args.out}  300 betas of the {found.space!r} space")
    return 0


def convert(args: argparse.Namespace) -> int:
    """Convert a FLAME file to the safe copy in the user's cache; say what it is and where."""
    found = convert_face(str(args.face), args.version_of_face)
    print(found["sentence"])
    print(found["path"])
    return 0


def add_commands(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:
    """Add both commands to the parser."""
    one = commands.add_parser(
        "identity", parents=[common], help="betas of a neutral mesh (.obj, .npy, .npz)"
    )
    one.add_argument("mesh", type=Path, metavar="MESH")
    one.add_argument("--out", type=Path, required=True, metavar="BETAS.npy")
    one.add_argument("--face", type=Path, metavar="FLAME", help="your FLAME file, else our head")
    one.add_argument(
        "--landmarks",
        type=Path,
        metavar="X.json",
        help='for another topology: {"nose_tip": [x, y, z], ...} on the mesh, four or more',
    )
    one.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    other = commands.add_parser(
        "convert-face", parents=[common], help="check a FLAME file and keep a safe copy of it"
    )
    other.add_argument("face", type=Path, metavar="FLAME", help=".pkl or .npz")
    other.add_argument(
        "--flame-version",
        dest="version_of_face",
        default="",
        metavar="V",
        help="2020, 2023, 2023-no-jaw or 2023-open, where the file does not say it",
    )
