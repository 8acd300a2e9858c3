# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless use: ``blender --command lsf animate ...`` and ``python -m blender_addon ...``.

Runs the same take as the button. Exit codes: 0 well, 2 the user's fault, 1 ours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

from . import character_files, jobs, runtime
from .batch import Batch
from .faces import BONES, N_EXPRESSION, SHAPES, FaceChoice
from .output import files
from .output.files import OutputError
from .retarget.model import MapError
from .take_settings import TakeError, TakeSettings, read_layers

SAMPLE_SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")


def parser(program: str) -> argparse.ArgumentParser:
    """Build the parser of both ways in."""
    top = argparse.ArgumentParser(prog=program, description="Speech in, a keyed face out.")
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("animate", help="animate a head from one sound file")
    one.add_argument("audio", type=Path, help="speech: wav flac mp3 ogg m4a, or an mp4's sound")
    _options(one)
    recorded = verbs.add_parser("import", help="key a recorded performance, without the engine")
    recorded.add_argument("performance", type=Path, help="Live Link .csv, ARKit .json, .npz")
    recorded.add_argument("--performance-fps", type=float, default=None, help="rate of the file")
    recorded.add_argument("--audio", type=Path, default=None, help="sound to put under it")
    again = verbs.add_parser("apply", help="key a take's frames once more, through another map")
    again.add_argument("--from-take", default="*", metavar="NAME", help="(else the one shown)")
    for verb in (one, recorded, again):
        _outputs(verb)
    mapping = verbs.add_parser("map", help="propose a character's map, say what it reaches")
    mapping.add_argument("--out", type=Path, default=None, metavar="X.json", help="write it")
    mapping.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    mapping.add_argument("--quiet", action="store_true")
    for verb in (one, recorded, again, mapping):
        verb.add_argument("--blend", type=Path, help="the file to work in (else the open one)")
        verb.add_argument("--head", default="", help="name of the mesh that speaks")
        verb.add_argument("--map", type=Path, default=None, metavar="X.json", help="map for it")
    many = verbs.add_parser("batch", help="animate every line of a CSV file")
    many.add_argument("csv", type=Path)
    many.add_argument("--out", type=Path, required=True, metavar="DIR")
    many.add_argument("--outputs", nargs="+", default=["blend"], metavar="blend|fbx|mp4|...")
    demo = verbs.add_parser("demo", help="the main job on a sample sentence")
    demo.add_argument("--out", type=Path, default=Path("lsf-demo"), metavar="DIR")
    demo.add_argument("--audio", type=Path, default=None, help="another sentence")
    demo.add_argument("--fps", type=float, default=None, help="frame rate of the scene")
    _options(demo)
    for verb in (one, recorded, again, many, demo):
        verb.add_argument("--overwrite", action="store_true", help="replace files that exist")
        verb.add_argument("--size", type=int, default=480, help="pictures' side in pixels")
        verb.add_argument(
            "--render-engine", choices=("workbench", "cycles", "scene"), default="workbench"
        )
        verb.add_argument("--quiet", action="store_true")
    return top


def _outputs(verb: argparse.ArgumentParser) -> None:
    names = {"--render": "X.mp4", "--export": "X.fbx|.glb|.abc|.usd", "--save": "X.blend"}
    for name, metavar in names.items():
        verb.add_argument(name, type=Path, action="append", default=[], metavar=metavar)
    verb.add_argument(
        "--out", type=Path, action="append", default=[], metavar="X", help="by its suffix"
    )
    verb.add_argument("--take", default="", help="name of the new Action")
    verb.add_argument("--preset", default="", help="who reads exports: unreal, unity or godot")
    verb.add_argument(
        "--check", action="store_true", help="read exports back and say how many mm they are off"
    )
    verb.add_argument("--start-frame", type=float, default=None)
    verb.add_argument("--fps", type=float, default=None, help="frame rate of a new scene")


def _options(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--temperature", type=float, default=0.0, help="0: no variation, 1: natural")
    verb.add_argument(
        "--raw", action="store_true", help="the engine's own frames: no blinks, gaze or lip guards"
    )
    verb.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME=STRENGTH",
        help="smoothing closure silence blinks gaze head breathing, or a threshold in mm: "
        "closed_mm near_mm silent_mm",
    )
    verb.add_argument("--identity", type=Path, default=None, metavar="BETAS.npy")
    verb.add_argument(
        "--face", type=Path, default=None, metavar="FLAME", help="a new head of your FLAME file"
    )
    verb.add_argument("--rig", choices=(SHAPES, BONES), default=SHAPES, help="of a new head")
    verb.add_argument("--expressions", type=int, default=N_EXPRESSION, help="of a FLAME head")
    verb.add_argument("--start", type=float, default=0.0, help="seconds to skip")
    verb.add_argument("--end", type=float, default=None, help="second at which to stop")
    verb.add_argument("--engine", default="compact", help="compact or lsf")
    verb.add_argument("--device", default="auto")


def main(argv: list[str], program: str = "blender --command lsf") -> int:
    """Run one command; gives the exit code."""
    try:
        arguments = parser(program).parse_args(argv)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    progress = None if arguments.quiet else ProgressLine()
    try:
        return VERBS[arguments.verb](arguments, progress)
    except (TakeError, OutputError, MapError) as error:
        return _say(jobs.Result(2 if getattr(error, "user_fault", True) else 1, (str(error),)))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 1
    finally:
        runtime.close()


def _open(arguments: argparse.Namespace) -> None:
    """Open the file to work in, or begin with an empty scene."""
    fps = getattr(arguments, "fps", None)
    if arguments.blend is not None:
        if not arguments.blend.is_file():
            raise TakeError(f"The file {arguments.blend} does not exist.")
        try:
            bpy.ops.wm.open_mainfile(filepath=str(arguments.blend.resolve()), load_ui=False)
        except RuntimeError as error:
            raise TakeError(f"{arguments.blend} cannot be opened: {error}") from error
    elif not bpy.data.filepath:
        jobs.fresh_scene(fps or 25.0)  # not Blender's default cube
    if fps and bpy.data.filepath:
        jobs.set_fps(bpy.context.scene, fps)


def _animate(arguments: argparse.Namespace, progress: ProgressLine | None) -> int:
    """Make a take from a sound, a performance, or the frames of an earlier take."""
    _open(arguments)
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
    return _say(_finish(jobs.run(_job(arguments, outputs), progress), progress))


def _map(arguments: argparse.Namespace, progress: ProgressLine | None) -> int:
    """Say what a character's map reaches; write it where that is asked for."""
    _open(arguments)
    scene = bpy.context.scene
    jobs.choose_head(scene, arguments.head)
    if scene.lsf.head is None:
        raise TakeError("There is no character in this file: say which mesh, --head NAME.")
    if arguments.map is not None:
        sentences = character_files.load(scene.lsf.head, arguments.map)
    else:
        sentences = character_files.proposal(scene.lsf.head)
    written = []
    if arguments.out is not None:
        path = arguments.out.expanduser().resolve()
        files.check(path, arguments.overwrite)
        character_files.save(scene.lsf.head, path)
        written.append(str(path))
    return _say(jobs.Result(0, tuple(sentences), tuple(written)))


def _job(arguments: argparse.Namespace, outputs: list[Path], keep_stage: bool = False) -> jobs.Job:
    told = vars(arguments)

    def path(name: str) -> str:
        return str(told[name].expanduser().resolve()) if told.get(name) else ""

    usual = TakeSettings(audio="")
    layers = None if told.get("raw") else read_layers(told.get("layer") or [])
    performance = path("performance")
    settings = TakeSettings(
        audio=path("audio"),
        start_s=told.get("start", usual.start_s),
        end_s=told.get("end"),
        engine=told.get("engine", usual.engine),
        device=told.get("device", usual.device),
        seed=told.get("seed", usual.seed),
        temperature=told.get("temperature", usual.temperature),
        finishing={"head": 1.0} if performance else layers,
        identity=path("identity"),
        face=FaceChoice(
            path("face"), told.get("rig", SHAPES), told.get("expressions", N_EXPRESSION)
        ),
        flame=path("face"),
        performance=performance,
        performance_fps=told.get("performance_fps"),
        name=told.get("take", ""),
        start_frame=1.0 if told.get("start_frame") is None else told["start_frame"],
    )
    return jobs.Job(
        settings,
        tuple(output.expanduser().resolve() for output in outputs),
        told.get("head", ""),
        told["map"].expanduser().resolve() if told.get("map") else None,
        told.get("from_take", ""),
        arguments.overwrite,
        arguments.render_engine,
        arguments.size,
        keep_stage,
        told.get("preset", ""),
        told.get("check", False),
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
    arguments.audio = arguments.audio or sample_sound()
    jobs.fresh_scene(arguments.fps or 25.0)
    names = ("demo.blend", "demo.fbx", "demo.abc", "demo.mp4", "contact_sheet.png")
    outputs = [arguments.out / name for name in names]
    if "alembic_export" not in dir(bpy.ops.wm):  # some Linux packages are built without it
        outputs = [path for path in outputs if path.suffix != ".abc"]
    job = _job(arguments, outputs, keep_stage=True)
    return _say(_finish(jobs.run(job, progress), progress))


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


VERBS = {
    "animate": _animate,
    "import": _animate,
    "apply": _animate,
    "map": _map,
    "batch": _batch,
    "demo": _demo,
}
