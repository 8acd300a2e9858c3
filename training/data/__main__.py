# SPDX-License-Identifier: Apache-2.0
"""``python -m training.data prepare SRC OUT`` makes a store of clips; ``show`` tells of one.

``features STORE OUT`` keeps the features of an encoder that training does not change: HuBERT,
emotion2vec, or for both streams the bundled model's front-end.
The exit code is 0 when the store is whole, 2 when something has to be put right first.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lsf_backend.errors import LsfError
from lsf_backend.timing import SAMPLES_PER_FRAME
from training.data.clips import STATED_VERSIONS, BadClip, PrepareConfig, SourceError
from training.data.features import Hear, cache_features, hear_with, weights_digest
from training.data.prepare import prepare
from training.data.splits import PARTS, STAGES, leaked_people, make_split
from training.data.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return {"prepare": _prepare, "show": _show, "features": _features}[options.command](options)
    except BadClip as error:
        print(
            f"data: {error.message} Put it right and run again, or --on-bad skip.", file=sys.stderr
        )
    except (LsfError, SourceError, OSError) as error:
        print(f"data: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("data: stopped; run the same command again to go on", file=sys.stderr)
    return 2


def _prepare(options: argparse.Namespace) -> int:
    config = PrepareConfig(
        layout=options.layout,
        on_bad=options.on_bad,
        betas=options.betas,
        face_space=options.face_space,
        flame_version=options.flame_version,
        audio=options.audio,
        subject=options.subject,
        fps=options.fps,
        tolerance_s=options.tolerance_s,
    )
    report = prepare(options.source, options.out, config, _Counter())
    print(f"{options.out}: {'already there: ' if report.was_there else ''}{report.summary()}")
    if report.notes:
        print(f"{len(report.notes)} notes, the first: {report.notes[0]}")
    print(f"What was left out and why: {options.out / 'report.md'}")
    return 0


def _show(options: argparse.Namespace) -> int:
    store = Store.open(options.store)
    print(f"{len(store)} clips, {store.n_frames / 90_000:.2f} hours, motion of {store.face}")
    if options.verify:
        damaged = store.verify()
        print(f"damaged clips: {', '.join(damaged) or 'none'}")
        if damaged:
            return 2
    split = make_split(options.split, store.clips)
    print(f"split {split.title}: {split.note}")
    for stage in STAGES:
        counts = ", ".join(f"{len(split.parts[stage][part])} {part}" for part in PARTS)
        print(f"  stage {stage}: {counts}")
    for stage, people in leaked_people(split, store.clips).items():
        if people:
            print(f"  test people seen in stage {stage}: {', '.join(people)}")
    return 0


def _features(options: argparse.Namespace) -> int:
    store = Store.open(options.store)
    hear, weights = _both_streams(options) if options.stream == "both" else _one_stream(options)
    encoder = f"{options.stream} {weights_digest(weights)}"
    cache = cache_features(store, options.out, hear, encoder, _Counter())
    print(f"{options.out}: {cache.width} features at 50 Hz for each of {len(store)} clips")
    return 0


def _both_streams(options: argparse.Namespace) -> tuple[Hear, Path]:
    """The bundled model's front-end: Whisper's encoder and prosody."""
    from lsf_backend.engine.compact import FOLDER
    from training.data.cache import Ears

    weights = options.weights or FOLDER / "encoder.onnx"
    ears = Ears(weights)
    return lambda audio: ears.hear(audio)[: 2 * (audio.size // SAMPLES_PER_FRAME)], weights


def _one_stream(options: argparse.Namespace) -> tuple[Hear, Path]:
    """HuBERT or emotion2vec."""
    from lsf_backend.model import weight_folders as places

    names: tuple[str, ...]
    folders = places.weight_folders()
    if options.stream == "emotion":
        from lsf_backend.model.emotion2vec import Emotion2vecEncoder as Encoder

        folder, names = options.weights or folders.emotion2vec, places.EMOTION2VEC_FILES
    else:
        from lsf_backend.model.hubert import HubertEncoder as Encoder

        folder, names = options.weights or folders.hubert, places.HUBERT_FILES
    weights = places.weights_file(folder, names, f"the {options.stream} stream")
    return hear_with(Encoder.load(folder), options.device), weights


class _Counter:
    """Say every hundredth clip."""

    def __call__(self, done: int, total: int) -> None:
        if done % 100 == 0 or done == total:
            print(f"{done} of {total} clips", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("prepare", help="check every clip and write one store")
    make.add_argument("source", type=Path, help="EMOTE's tree, a cache, or own captures")
    make.add_argument("out", type=Path, help="folder that does not exist yet")
    make.add_argument("--layout", default="auto", choices=("auto", "release", "cache", "captures"))
    make.add_argument("--on-bad", default="skip", choices=("skip", "refuse"))
    make.add_argument("--betas", default="first", choices=("first", "mean"), help="of the frames")
    make.add_argument("--audio", type=Path, help="where MEAD's sound is, if not in the source")
    make.add_argument("--face-space", choices=("head", "flame"), help="if the files do not say it")
    make.add_argument("--flame-version", choices=STATED_VERSIONS, help="3DMEAD is of 2020")
    make.add_argument("--subject", help="person of captures whose names do not say it")
    make.add_argument("--fps", type=float, default=25.0, help="of .npy and .npz that do not say it")
    make.add_argument("--tolerance-s", type=float, default=0.2, help="motion against sound")
    show = commands.add_parser("show", help="count the clips of a store and its split")
    show.add_argument("store", type=Path)
    show.add_argument("--split", default="subject", choices=("subject", "sentence", "paper-code"))
    show.add_argument("--verify", action="store_true", help="read every clip's checksum")
    hear = commands.add_parser("features", help="compute an encoder's features once")
    hear.add_argument("store", type=Path)
    hear.add_argument("out", type=Path, help="folder that does not exist yet")
    hear.add_argument("--stream", default="emotion", choices=("emotion", "motion", "both"))
    hear.add_argument(
        "--weights", type=Path, help="folder of emotion2vec or HuBERT, or the bundled encoder.onnx"
    )
    hear.add_argument("--device", default="cpu")
    return parser


if __name__ == "__main__":
    sys.exit(main())
