# SPDX-License-Identifier: Apache-2.0
"""``python -m training.reproduce table1|table2|figure4 CONFIG``: the paper's tables and heat map.

Trains what is missing, goes on where it was cut off, scores, and writes ``table1.md`` and ``.csv``
(or ``figure4.png``) into the configuration's ``out``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lsf_backend.errors import LsfError
from training.data.clips import SourceError
from training.evaluate import Evaluation
from training.metrics.heat_map import draw_movement
from training.reproduce.config import TABLES, ReproduceConfig
from training.reproduce.pipeline import evaluate_all
from training.reproduce.tables import titles, write_table

FIGURE4 = ("lsf", "probtalk3d", "facediffuser_ddim", "emote", "codetalker", "faceformer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one table or figure; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        config = ReproduceConfig.load(options.config)
        found = evaluate_all(config, TABLES.get(options.what, FIGURE4))
        config.out.mkdir(parents=True, exist_ok=True)
        if options.what == "figure4":
            print(_figure4(config, found))
        else:
            print(write_table(options.what, found, config.about, config.out))
    except (LsfError, SourceError, ValueError, OSError) as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("reproduce: stopped; run the same command again to go on", file=sys.stderr)
        return 2
    return 0


def _figure4(config: ReproduceConfig, found: dict[str, Evaluation]) -> str:
    systems = [name for name in FIGURE4 if name in found]
    maps = {"ground truth": found[systems[0]].true_movement}
    maps |= {
        title: found[name].movement for title, name in zip(titles(systems), systems, strict=True)
    }
    path = config.out / "figure4.png"
    draw_movement(config.evaluate.face.open()[0], maps, path)
    return str(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.reproduce", description=__doc__)
    parser.add_argument("what", choices=(*TABLES, "figure4"))
    parser.add_argument("config", type=Path, help="such as training/configs/tables_small.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
