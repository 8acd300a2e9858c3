# SPDX-License-Identifier: Apache-2.0
"""``python -m lsf_backend.model``: extract, convert and calibrate weights."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint_info import FLAME_VERSIONS, CheckpointInfo
from lsf_backend.model.config import PRESETS, ModelConfig


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0, or 2 with a sentence on stderr."""
    args = _parser().parse_args(arguments)
    try:
        args.run(args)
    except LsfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.user_fault else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lsf_backend.model", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    extract = commands.add_parser("extract", help="copy the tensors of any checkpoint, run nothing")
    extract.add_argument("source", type=Path)
    extract.add_argument("target", type=Path, help="a .safetensors file")
    extract.set_defaults(run=_extract)

    released = commands.add_parser("convert-released", help="a checkpoint of the released code")
    released.add_argument("source", type=Path)
    released.add_argument("folder", type=Path)
    released.add_argument("--flame-version", choices=FLAME_VERSIONS, default="2020")
    released.add_argument("--data", default="3DMEAD", help="what it was trained on")
    released.add_argument("--key-map", type=Path, help="JSON, their name -> ours, goes first")
    released.set_defaults(run=_released)

    lightning = commands.add_parser("convert", help="a checkpoint of this repository's training")
    lightning.add_argument("source", type=Path)
    lightning.add_argument("folder", type=Path)
    lightning.add_argument("--config", required=True, help="a preset's name or a JSON file")
    lightning.add_argument("--flame-version", choices=FLAME_VERSIONS)
    lightning.add_argument("--data", required=True, help="what it was trained on")
    lightning.add_argument("--licence", required=True)
    lightning.set_defaults(run=_lightning)

    calibrate = commands.add_parser(
        "calibrate", help="fit the sampling unit of a checkpoint on held-out clips"
    )
    calibrate.add_argument("folder", type=Path, help="a checkpoint folder, changed in place")
    calibrate.add_argument("clips", type=Path, help="*.npz with features, betas and motion")
    calibrate.set_defaults(run=_calibrate)
    return parser


def _extract(args: argparse.Namespace) -> None:
    from lsf_backend.model.convert import extract_file

    print(f"{extract_file(args.source, args.target)} tensors written to {args.target}")


def _released(args: argparse.Namespace) -> None:
    from lsf_backend.model.convert import convert_released

    key_map = json.loads(args.key_map.read_text(encoding="utf-8")) if args.key_map else None
    info = convert_released(args.source, args.folder, args.flame_version, args.data, key_map)
    print(f"{args.folder}: released model, {info.licence}; sha256 {info.digest}")


def _lightning(args: argparse.Namespace) -> None:
    from lsf_backend.model.convert import convert_lightning

    preset = PRESETS.get(args.config)
    config = preset() if preset else ModelConfig.load(Path(args.config))
    info = CheckpointInfo(config, args.flame_version, args.data, args.licence)
    info = convert_lightning(args.source, args.folder, info)
    print(f"{args.folder}: {config.name} model; sha256 {info.digest}")


def _calibrate(args: argparse.Namespace) -> None:
    from lsf_backend.model.calibrate import calibrate, read_clips
    from lsf_backend.model.checkpoint import load_checkpoint, save_checkpoint

    loaded = load_checkpoint(args.folder)
    taus = calibrate(loaded.model, read_clips(args.clips))
    info = dataclasses.replace(loaded.info, tau_calibrated=True)
    save_checkpoint(args.folder, loaded.model, info, loaded.hubert)
    print("tau per level: " + ", ".join(f"{tau:.4g}" for tau in taus))


if __name__ == "__main__":
    sys.exit(main())
