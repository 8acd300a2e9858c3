# SPDX-License-Identifier: Apache-2.0
"""The ``lsf`` command: animate, convert, demo, info, serve, fetch-models.

Exit codes: 0 done, 2 something that the user can put right, 1 our fault, 130 stopped with Ctrl-C.
Each command's code is imported when it runs, so that ``lsf serve`` starts quickly.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from lsf_backend.cli_face import add_commands as add_face_commands
from lsf_backend.errors import LsfError
from lsf_backend.versions import own_version

_FORMATS = """\
formats of --out:
  .npz   expression, jaw_pose, arkit, arkit_names, fps, face_space, metadata (JSON)
  .csv   Apple Live Link Face: 52 ARKit weights, 60 rows per second (--csv-fps)
  .json  ARKit weights by name, 25 per second (Audio2Face's keys)
  .blend .fbx .abc .usd .glb .mp4
         keyed head, caches, video; these need Blender: pip install "lsf-animation[blender]"

Existing files are kept unless --overwrite is given.
"""


def build_parser() -> argparse.ArgumentParser:
    """Everything that the command understands."""
    parser = argparse.ArgumentParser(prog="lsf", description="Speech in, facial animation out.")
    parser.add_argument("--version", action="version", version=f"lsf-animation {own_version()}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show logs and tracebacks")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    animate = commands.add_parser(
        "animate",
        parents=[common],
        help="turn a sound into animation files",
        epilog=_FORMATS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_animate_arguments(animate)

    convert = commands.add_parser(
        "convert", parents=[common], help="turn a recorded performance into other formats"
    )
    convert.add_argument("performance", type=Path, metavar="IN", help=".csv, .json or .npz")
    convert.add_argument(
        "--out", type=Path, action="append", required=True, metavar="FILE", help="by its ending"
    )
    convert.add_argument(
        "--fps", type=float, help="frames per second of IN, where the file does not say it"
    )
    convert.add_argument(
        "--out-fps", type=float, metavar="FPS", help="rate of .csv and .json (default: as in IN)"
    )
    convert.add_argument("--audio", type=Path, help="sound to put under it (Blender's files)")
    _add_character_arguments(convert)
    convert.add_argument("--overwrite", action="store_true", help="replace files that exist")

    add_face_commands(commands, common)
    demo = commands.add_parser("demo", parents=[common], help="animate the bundled sentence")
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("lsf-demo"),
        metavar="DIR",
        help="folder for the results (default: %(default)s)",
    )
    demo.add_argument("--overwrite", action="store_true", help="replace files that exist")

    info = commands.add_parser("info", parents=[common], help="what is here, what is missing, why")
    info.add_argument("--json", action="store_true", help="the same for programs")

    commands.add_parser("serve", parents=[common], help="backend process on stdin and stdout")

    fetch = commands.add_parser(
        "fetch-models", parents=[common], help="download speech models for the engine 'lsf'"
    )
    fetch.add_argument("--folder", type=Path, help="models folder (default: LSF_MODELS or yours)")
    fetch.add_argument("--digest", action="append", default=[], metavar="NAME=SHA256")
    fetch.add_argument("--accept-unverified", action="store_true", help="take what has no digest")
    return parser


def _add_animate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("speech", type=Path, metavar="SPEECH", help="a sound of somebody speaking")
    parser.add_argument(
        "--out",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="result; may be given several times",
    )
    parser.add_argument("--seed", type=int, default=0, help="which variation (default: 0)")
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.0,
        help="0: always the same (default), 1: natural variation",
    )
    parser.add_argument(
        "--identity", type=Path, metavar="BETAS.npy", help="up to 300 identity coefficients"
    )
    parser.add_argument(
        "--face",
        type=Path,
        metavar="FLAME",
        help="your FLAME file: Blender's files show its face; between FLAME and ARKit it is needed",
    )
    parser.add_argument(
        "--rig", choices=("shapes", "bones"), default="shapes", help="how Blender's face is made"
    )
    parser.add_argument("--start", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--end", type=float, metavar="SECONDS")
    parser.add_argument("--engine", default="compact", help="compact (default) or lsf")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda ...")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="the engine's own frames: no blinks, gaze, lip and silence guards",
    )
    _add_character_arguments(parser)
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME=STRENGTH",
        help="smoothing closure silence blinks gaze (on, 0 leaves out), head breathing (off); "
        "thresholds closed_mm near_mm silent_mm; may be given several times",
    )
    parser.add_argument(
        "--csv-fps",
        type=float,
        default=60.0,
        metavar="FPS",
        help="rows per second of a .csv (default: 60, as the app writes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _add_character_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose face Blender's files show: your own character, through its map."""
    group = parser.add_argument_group("your own character, in Blender's files")
    group.add_argument("--blend", type=Path, help="the file with your character")
    group.add_argument("--head", default="", metavar="NAME", help="its face, where it has several")
    group.add_argument("--map", type=Path, metavar="X.json", help="retarget map (else by names)")
    group.add_argument("--preset", default="", help="who reads exports: unreal, unity or godot")
    group.add_argument("--check", action="store_true", help="read exports back and measure them")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name must not end the program
    args = build_parser().parse_args(argv)
    if args.command == "serve":
        from lsf_backend import serve

        serve.main()
    level = logging.DEBUG if args.debug else logging.CRITICAL
    logging.basicConfig(level=level, stream=sys.stderr)
    try:
        code = _run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nlsf: stopped; no half-written file was left.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except LsfError as error:
        _complain(error, args.debug)
        return 2 if error.user_fault else 1
    except Exception as error:  # people get a sentence; --debug shows the rest
        _complain(
            LsfError(
                "internal",
                f"Something went wrong ({type(error).__name__}: {error}).",
                "Run again with --debug and please report it.",
            ),
            args.debug,
        )
        return 1


def _run(args: argparse.Namespace) -> int:
    if args.command == "info":
        from lsf_backend.cli_info import info

        return info(args.json)
    if args.command == "fetch-models":
        from lsf_backend.cli_info import fetch_models

        return fetch_models(args.folder, args.digest, args.accept_unverified)
    if args.command == "convert":
        from lsf_backend.cli_convert import convert

        return convert(args)
    if args.command in ("identity", "convert-face"):
        from lsf_backend import cli_face

        return cli_face.identity(args) if args.command == "identity" else cli_face.convert(args)
    from lsf_backend import cli_animate

    return cli_animate.demo(args) if args.command == "demo" else cli_animate.animate(args)


def _complain(error: LsfError, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"lsf: {error}", file=sys.stderr)
