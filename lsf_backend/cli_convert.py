# SPDX-License-Identifier: Apache-2.0
"""``lsf convert``: a recorded performance into other formats, without the model.

What needs Blender is handed to ``python -m blender_addon import``, as ``lsf animate`` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lsf_backend.cli_animate import (
    character_arguments,
    check_blender,
    checked_outputs,
    run_blender_addon,
)
from lsf_backend.errors import LsfError
from lsf_backend.exchange import FORMATS, Performance, read_performance, write_arkit_json
from lsf_backend.exchange.live_link_out import write_live_link
from lsf_backend.exchange.npz_in import read_take
from lsf_backend.export import OWN_FORMATS, Take, write_take
from lsf_backend.export.live_link import CSV_FPS, check_csv_fps


def convert(args: argparse.Namespace) -> int:
    """Read, then write every output, or complain before the first."""
    source: Path = args.performance
    if source.suffix.lower() not in FORMATS:
        raise LsfError(
            "request_invalid", f"{source.name} is none of {', '.join(FORMATS)}.", "Choose such one."
        )
    if args.out_fps is not None:
        check_csv_fps(args.out_fps)
    outputs = checked_outputs(args.out, args.overwrite, source)
    own = [path for path in outputs if path.suffix.lower() in OWN_FORMATS]
    blender = [path for path in outputs if path not in own]
    if blender:
        check_blender(blender[0].name)
    take = read_take(source) if source.suffix.lower() == ".npz" else None
    if own:
        performance = None if take is not None else read_performance(source, args.fps)
        for warning in performance.warnings if performance else ():
            print(f"lsf: {warning}")
        for path in own:
            _write(path, take, performance, args.out_fps)
            print(path)
    if not blender:
        return 0
    arguments = ["import", str(source)]
    for path in blender:
        arguments += ["--out", str(path)]
    if args.audio is not None:
        arguments += ["--audio", str(args.audio)]
    arguments += character_arguments(args)
    if args.fps is not None:
        arguments += ["--performance-fps", repr(args.fps)]
    return run_blender_addon(arguments + (["--overwrite"] if args.overwrite else []))


def _write(
    path: Path, take: Take | None, performance: Performance | None, fps: float | None
) -> None:
    """Write one of our formats; .npz is always at 25 fps, the others at ``fps`` or as it is."""
    if path.suffix.lower() == ".npz":
        write_take(path, take if take is not None else performance.to_take())  # type: ignore[union-attr]
        return
    metadata = take.metadata if take is not None else {}
    if performance is None:
        assert take is not None
        performance = Performance.from_take(take)
    if path.suffix.lower() == ".json":
        write_arkit_json(path, performance.resampled(fps or performance.fps), metadata)
    else:
        own_fps = CSV_FPS if take is not None else performance.fps
        write_live_link(path, performance, fps or own_fps)
