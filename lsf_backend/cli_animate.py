# SPDX-License-Identifier: Apache-2.0
"""``lsf animate`` and ``lsf demo``: files of our own here, Blender's files in a child process.

The add-on is never imported: what needs bpy is handed to ``python -m blender_addon`` with the same
arguments, so that one place knows how a head is keyed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from lsf_backend.cli_progress import FrameProgress
from lsf_backend.engine.registry import create_engine
from lsf_backend.errors import LsfError
from lsf_backend.export import OWN_FORMATS, Take, write_take
from lsf_backend.export.files import check_output
from lsf_backend.export.live_link import check_csv_fps
from lsf_backend.finishing.settings import FinishingSettings
from lsf_backend.job import N_MOTION, Job
from lsf_backend.protocol import ASSETS, AnimateRequest
from lsf_backend.timing import seconds_from_frames

BLENDER_FORMATS = (".blend", ".fbx", ".abc", ".usd", ".glb", ".mp4")
SAMPLE = ASSETS / "sample.wav"
_ROOT = Path(__file__).resolve().parents[1]


def animate(args: argparse.Namespace) -> int:
    """Check every output, then make the take and write it."""
    outputs = checked_outputs(args.out, args.overwrite, args.speech)
    own = [path for path in outputs if path.suffix.lower() in OWN_FORMATS]
    blender = [path for path in outputs if path not in own]
    if any(path.suffix.lower() == ".csv" for path in own):
        check_csv_fps(args.csv_fps)
    if blender:
        check_blender(blender[0].name)
    betas = None if args.identity is None else read_betas(args.identity)
    layers = read_layers(args.layer, args.raw)
    if own:
        request = AnimateRequest(
            audio=str(args.speech),
            start_s=args.start,
            end_s=args.end,
            engine=args.engine,
            device=args.device,
            seed=args.seed,
            temperature=args.temperature,
            output="motion",
            finishing=_finishing(args.engine, args.raw, layers, args.face is not None),
            extra=_extra(layers),
            face=str(args.face) if args.face else "",
            face_space="head" if any(path.suffix.lower() == ".csv" for path in own) else "",
        )
        take = make_take(request, betas)
        for path in own:
            write_take(path, take, args.csv_fps)
            seconds = seconds_from_frames(len(take.motion))
            print(f"{path}  {len(take.motion)} frames, {seconds:.2f} s")
    return run_blender_addon(_animate_arguments(args, blender)) if blender else 0


def demo(args: argparse.Namespace) -> int:
    """Animate the bundled sentence into a folder, with everything that this installation can do."""
    folder: Path = args.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LsfError(
            "output_unwritable", f"The folder {folder} cannot be made: {error.strerror}."
        ) from error
    names = [folder / "demo.npz", folder / "demo.csv"]
    for path in names:
        check_output(path, args.overwrite)
    request = AnimateRequest(audio=str(SAMPLE), output="motion", finishing=_finishing("compact"))
    take = make_take(request, None)
    for path in names:
        write_take(path, take)
        print(path)
    try:
        check_blender("A .blend, .fbx, .abc or .mp4")
    except LsfError as error:
        print(f"lsf: {error}", file=sys.stderr)
        return 0
    overwrite = ["--overwrite"] if args.overwrite else []
    return run_blender_addon(["demo", "--out", str(folder), *overwrite])


def make_take(request: AnimateRequest, betas: np.ndarray | None) -> Take:
    """Run the request with a progress bar; warnings go to stderr."""
    with FrameProgress() as bar:
        job = Job(request, betas, progress=bar.stage)
        bar.start(job.n_frames)
        parts = []
        for chunk in job.chunks():
            parts.append(job.values(chunk))
            bar.add(len(chunk.motion))
    summary = job.summary()
    for sentence in summary["warnings"]:
        print(f"lsf: warning: {sentence}", file=sys.stderr)
    for sentence in summary["notes"]:
        print(sentence)
    values = np.concatenate(parts)
    extra = {name: values[:, i] for i, name in enumerate(job.channels) if i >= N_MOTION}
    return Take(values[:, :N_MOTION], job.face_space, summary["metadata"], extra)


def read_layers(texts: list[str], raw: bool = False) -> dict[str, float]:
    """Strengths of ``NAME=STRENGTH`` texts; raises LsfError for a name or number that is none."""
    layers = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            layers[name.strip()] = float(number)
        except ValueError as error:
            raise LsfError(
                "request_invalid", f"The layer {text!r} has no strength.", "Write blinks=0.5."
            ) from error
    if layers and raw:
        raise LsfError("request_invalid", "--raw leaves all layers out.", "Drop it, or --layer.")
    FinishingSettings.from_dict(layers)
    return layers


def _extra(layers: dict[str, float]) -> list[str]:
    """What the layers that were asked for add beside the face."""
    breathes = layers.get("breathing", 0.0) > 0.0
    turns = breathes or layers.get("head", 0.0) > 0.0  # a breath lifts the head a little
    return ["head"] * turns + ["breath"] * breathes


def read_betas(path: Path) -> np.ndarray:
    """Identity coefficients from a .npy file, or from ``betas`` in a .npz; nothing is unpickled."""
    hint = "Give a .npy file with up to 300 numbers."
    try:
        loaded = np.load(path, allow_pickle=False)
        return np.asarray(loaded["betas"] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded)
    except FileNotFoundError as error:
        raise LsfError("identity_invalid", f"There is no file {path}.", hint) from error
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise LsfError(
            "identity_invalid", f"{path.name} does not hold identity coefficients.", hint
        ) from error


def run_blender_addon(arguments: list[str]) -> int:
    """Run ``python -m blender_addon`` with our own folder on its path; its exit code."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-P", "-m", "blender_addon", *arguments]
    sys.stdout.flush()
    child = subprocess.Popen(command, env=environment)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        # Ctrl-C reached the child as well; it leaves complete files or none.
        child.wait()
        raise
    if code < 0:
        raise LsfError("internal", f"Blender ended with signal {-code}.", "Please report it.")
    return code


def _finishing(
    engine: str,
    raw: bool = False,
    layers: dict[str, float] | None = None,
    with_face: bool = False,
) -> dict[str, float] | None:
    """Layers by default where the face has them; None asks for the engine's own frames."""
    if layers:
        return layers
    if raw:
        return None
    return {} if with_face or create_engine(engine).info().face_space == "head" else None


def checked_outputs(paths: list[Path], overwrite: bool, source: Path) -> list[Path]:
    """Outputs that can be written, each once; raises LsfError before any work."""
    known = (*OWN_FORMATS, *BLENDER_FORMATS)
    for index, path in enumerate(paths):
        if path.suffix.lower() not in known:
            raise LsfError(
                "request_invalid",
                f"{path.name} does not end in a format that can be written.",
                f"Known: {' '.join(known)}.",
            )
        if path.absolute() in [other.absolute() for other in paths[:index]]:
            raise LsfError("request_invalid", f"{path} is given twice.", "Name each file once.")
        check_output(path, overwrite, source)
    return paths


def check_blender(what: str) -> None:
    """Raise where ``what`` needs Blender and it is not installed here."""
    missing = [name for name in ("bpy", "blender_addon") if importlib.util.find_spec(name) is None]
    if missing:
        raise LsfError(
            "output_unwritable",
            f"{what} needs Blender, and the Python module {missing[0]} is not installed here.",
            'Install it with: pip install "lsf-animation[blender]"',
        )


def _animate_arguments(args: argparse.Namespace, outputs: list[Path]) -> list[str]:
    arguments = ["animate", str(args.speech)]
    for path in outputs:
        arguments += ["--out", str(path)]
    arguments += ["--seed", str(args.seed), "--temperature", repr(args.temperature)]
    arguments += ["--start", repr(args.start), "--engine", args.engine, "--device", args.device]
    if args.end is not None:
        arguments += ["--end", repr(args.end)]
    if args.identity is not None:
        arguments += ["--identity", str(args.identity)]
    if args.face is not None:
        arguments += ["--face", str(args.face)]
    arguments += ["--rig", args.rig]
    arguments += character_arguments(args)
    for layer in args.layer:
        arguments += ["--layer", layer]
    if args.raw:
        arguments.append("--raw")
    return arguments + (["--overwrite"] if args.overwrite else [])


def character_arguments(args: argparse.Namespace) -> list[str]:
    """What Blender's part is told about the character, for ``animate`` and ``convert``."""
    arguments = []
    for name in ("blend", "head", "map", "preset"):
        if getattr(args, name):
            arguments += [f"--{name}", str(getattr(args, name))]
    return arguments + (["--check"] if args.check else [])
