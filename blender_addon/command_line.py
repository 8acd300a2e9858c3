# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless use: ``blender --command lsf animate ...`` and ``python -m blender_addon ...``.

Runs the same take as the button. Exit codes: 0 well, 2 the user's fault, 1 ours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

from . import jobs, runtime
from .batch import Batch
from .output.files import OutputError
from .take import TakeError, TakeSettings

SAMPLE_SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")


def parser(program: str) -> argparse.ArgumentParser:
    """Build the parser of both ways in."""
    top = argparse.ArgumentParser(prog=program, description="Speech in, a keyed face out.")
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("animate", help="animate a head from one sound file")
    one.add_argument("audio", type=Path, help="speech: wav flac mp3 ogg m4a, or an mp4's sound")
    one.add_argument("--render", type=Path, action="append", default=[], metavar="X.mp4")
    one.add_argument(
        "--export", type=Path, action="append", default=[], metavar="X.fbx|.glb|.abc|.usd"
    )
    one.add_argument("--save", type=Path, action="append", default=[], metavar="X.blend")
    one.add_argument("--blend", type=Path, help="the file to work in (else the open one)")
    one.add_argument("--head", default="", help="name of the mesh that speaks")
    one.add_argument("--take", default="", help="name of the new Action")
    one.add_argument("--start-frame", type=float, default=None)
    _options(one)
    many = verbs.add_parser("batch", help="animate every line of a CSV file")
    many.add_argument("csv", type=Path)
    many.add_argument("--out", type=Path, required=True, metavar="DIR")
    many.add_argument("--outputs", nargs="+", default=["blend"], metavar="blend|fbx|mp4|...")
    demo = verbs.add_parser("demo", help="the main job on a sample sentence")
    demo.add_argument("--out", type=Path, default=Path("lsf-demo"), metavar="DIR")
    demo.add_argument("--audio", type=Path, default=None, help="another sentence")
    _options(demo, with_out=False)
    for verb in (one, many, demo):
        verb.add_argument("--overwrite", action="store_true", help="replace files that exist")
        verb.add_argument("--size", type=int, default=480, help="pictures' side in pixels")
        verb.add_argument(
            "--render-engine", choices=("workbench", "cycles", "scene"), default="workbench"
        )
        verb.add_argument("--quiet", action="store_true")
    return top


def _options(verb: argparse.ArgumentParser, with_out: bool = True) -> None:
    if with_out:
        verb.add_argument(
            "--out", type=Path, action="append", default=[], metavar="X", help="by its suffix"
        )
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--temperature", type=float, default=0.0, help="0: no variation, 1: natural")
    verb.add_argument(
        "--raw", action="store_true", help="the engine's own frames: no blinks, gaze or lip guards"
    )
    verb.add_argument("--identity", type=Path, default=None, metavar="BETAS.npy")
    verb.add_argument("--start", type=float, default=0.0, help="seconds to skip")
    verb.add_argument("--end", type=float, default=None, help="second at which to stop")
    verb.add_argument("--engine", default="compact", help="compact or lsf")
    verb.add_argument("--device", default="auto")
    verb.add_argument("--fps", type=float, default=None, help="frame rate of a new scene")


def main(argv: list[str], program: str = "blender --command lsf") -> int:
    """Run one command; gives the exit code."""
    try:
        arguments = parser(program).parse_args(argv)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    progress = None if arguments.quiet else ProgressLine()
    try:
        return VERBS[arguments.verb](arguments, progress)
    except (TakeError, OutputError) as error:
        return _say(jobs.Result(2 if getattr(error, "user_fault", True) else 1, (str(error),)))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 1
    finally:
        runtime.close()


def _animate(arguments: argparse.Namespace, progress: ProgressLine | None) -> int:
    if arguments.blend is not None:
        if not arguments.blend.is_file():
            raise TakeError(f"The file {arguments.blend} does not exist.")
        try:
            bpy.ops.wm.open_mainfile(filepath=str(arguments.blend.resolve()), load_ui=False)
        except RuntimeError as error:
            raise TakeError(f"{arguments.blend} cannot be opened: {error}") from error
    elif not bpy.data.filepath:
        jobs.fresh_scene(arguments.fps or 25.0)  # not Blender's default cube
    if arguments.fps and bpy.data.filepath:
        jobs.set_fps(bpy.context.scene, arguments.fps)
    typed = (
        (arguments.save, (".blend",)),
        (arguments.render, (".mp4",)),
        (arguments.export, jobs.SUFFIXES),
    )
    for paths, suffixes in typed:
        for path in paths:
            if path.suffix.lower() not in suffixes:
                raise OutputError(f"{path.name}: here a name ends in {', '.join(suffixes)}.")
    outputs = [*arguments.save, *arguments.export, *arguments.out, *arguments.render]
    if not outputs:
        raise OutputError("Say what should come out: --save, --export, --render or --out.")
    job = _job(arguments, arguments.audio, outputs, head=arguments.head, take=arguments.take)
    return _say(_finish(jobs.run(job, progress), progress))


def _job(
    arguments: argparse.Namespace,
    audio: Path,
    outputs: list[Path],
    head: str = "",
    take: str = "",
    keep_stage: bool = False,
) -> jobs.Job:
    start = getattr(arguments, "start_frame", None)
    settings = TakeSettings(
        audio=str(audio.expanduser().resolve()),
        start_s=arguments.start,
        end_s=arguments.end,
        engine=arguments.engine,
        device=arguments.device,
        seed=arguments.seed,
        temperature=arguments.temperature,
        finishing=None if arguments.raw else {},
        identity=str(arguments.identity.resolve()) if arguments.identity else "",
        name=take,
        start_frame=1.0 if start is None else start,
    )
    return jobs.Job(
        settings,
        tuple(path.expanduser().resolve() for path in outputs),
        head,
        arguments.overwrite,
        arguments.render_engine,
        arguments.size,
        keep_stage,
    )


def _batch(arguments: argparse.Namespace, progress: ProgressLine | None) -> int:
    batch = Batch(
        arguments.csv.expanduser().resolve(),
        arguments.out.expanduser().resolve(),
        tuple(arguments.outputs),
        arguments.overwrite,
        arguments.size,
        arguments.render_engine,
        bpy.data.filepath,
    )

    def tell(line: str) -> None:
        if progress is not None:
            progress.clear()
        print(line, flush=True)

    return batch.run(tell, progress)


def _demo(arguments: argparse.Namespace, progress: ProgressLine | None) -> int:
    audio = arguments.audio or sample_sound()
    jobs.fresh_scene(arguments.fps or 25.0)
    names = ("demo.blend", "demo.fbx", "demo.abc", "demo.mp4", "contact_sheet.png")
    outputs = [arguments.out / name for name in names]
    if "alembic_export" not in dir(bpy.ops.wm):  # some Linux packages are built without it
        outputs = [path for path in outputs if path.suffix != ".abc"]
    return _say(
        _finish(jobs.run(_job(arguments, audio, outputs, keep_stage=True), progress), progress)
    )


def sample_sound() -> Path:
    """Path of the bundled sample sentence."""
    from lsf_backend.protocol import ASSETS

    found = [path for suffix in SAMPLE_SUFFIXES for path in sorted(ASSETS.glob(f"sample*{suffix}"))]
    if not found:
        raise TakeError("The sample sentence is missing; name one: --audio speech.wav.", False)
    return found[0]


def _finish(result: jobs.Result, progress: ProgressLine | None) -> jobs.Result:
    if progress is not None:
        progress.clear()
    return result


def _say(result: jobs.Result) -> int:
    stream = sys.stdout if result.exit_code == 0 else sys.stderr
    for line in result.report:
        print(line, file=stream)
    for path in result.written:
        print(f"written: {path}", file=stream)
    stream.flush()
    return result.exit_code


class ProgressLine:
    """One line on stderr that is written over; on a file, one line per stage."""

    def __init__(self) -> None:
        self._last: tuple[str, int] = ("", -1)
        self._live = sys.stderr.isatty()

    def __call__(self, stage: str, fraction: float) -> None:
        now = (stage, int(100 * fraction))
        if now == self._last:
            return
        if self._live:
            filled = int(24 * fraction)
            bar = "#" * filled + "." * (24 - filled)
            print(f"\r\033[K[{bar}] {now[1]:3d}% {stage}", end="", file=sys.stderr, flush=True)
        elif stage != self._last[0]:
            print(stage, file=sys.stderr, flush=True)
        self._last = now

    def clear(self) -> None:
        """Remove the line, so that the next output stands alone."""
        if self._live and self._last[0]:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


VERBS = {"animate": _animate, "batch": _batch, "demo": _demo}
