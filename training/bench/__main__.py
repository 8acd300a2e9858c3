# SPDX-License-Identifier: Apache-2.0
"""``python -m training.bench``: measure, print a table, write JSON; a GPU with ``--device cuda``.

Parts: fusion, stages, training, compact, memory, metrics, skinning. Machines differ and are shared,
so the ratios of one run are what to compare; every time is the best of several.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from lsf_backend.model.config import PRESETS
from training.bench.compare import measure_compact_engine
from training.bench.fusion import measure_fusion
from training.bench.memory import LENGTHS_S, measure_memory
from training.bench.metrics import measure_metrics
from training.bench.skinning import measure_skinning
from training.bench.stages import measure_network, measure_whole
from training.bench.train import measure_training, training_sizes

PARTS = ("fusion", "stages", "training", "compact", "memory", "metrics", "skinning")


def main() -> None:
    """Run the parts that were asked for."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    results: dict[str, Any] = {"machine": _machine(args)}
    for part in args.parts:
        start = time.perf_counter()
        results[part] = _PART[part](args)
        print(f"\n{part} ({time.perf_counter() - start:.0f} s)")
        for row in results[part]:
            print("  " + "  ".join(f"{k}={_shown(v)}" for k, v in _flat(row).items()))
    results["targets"] = _targets(results)
    print("\ntargets")
    for name, (value, limit, met) in results["targets"].items():
        print(f"  {'met   ' if met else 'MISSED'} {name}: {_shown(value)} (target {limit})")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        print(f"\nwritten to {args.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART", help=str(PARTS))
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    parser.add_argument("--precision", default="float32", help="of the encoders: float32 int8 half")
    parser.add_argument(
        "--threads", type=int, default=1, help="one by default: on a busy machine more only wait"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of sound, for the stages")
    parser.add_argument("--lengths", type=float, nargs="+", default=list(LENGTHS_S), help="memory")
    parser.add_argument(
        "--scored", type=int, nargs=3, default=[1000, 10, 100], help="clips, samples, frames"
    )
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    if unknown := sorted(set(args.parts) - set(PARTS)):
        parser.error(f"no part {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    return args


def _fusion(args: argparse.Namespace) -> list[dict[str, Any]]:
    return [measure_fusion(PRESETS[name](), args.device) for name in ("released", "paper")]


def _stages(args: argparse.Namespace) -> list[dict[str, Any]]:
    whole = [
        measure_whole(PRESETS[name](), args.seconds, args.device, args.precision)
        for name in ("paper", "released")
    ]
    return [*whole, measure_network(PRESETS["compact"](), args.seconds, args.device)]


def _training(args: argparse.Namespace) -> list[dict[str, Any]]:
    return [measure_training(config, args.device) for config in training_sizes()]


def _compact(args: argparse.Namespace) -> list[dict[str, Any]]:
    return [measure_compact_engine(args.seconds)]


def _memory(args: argparse.Namespace) -> list[dict[str, Any]]:
    lengths = tuple(args.lengths)
    return measure_memory("paper", lengths, args.precision, args.device, args.threads)


def _metrics(args: argparse.Namespace) -> list[dict[str, Any]]:
    return [measure_metrics(*args.scored)]


def _skinning(args: argparse.Namespace) -> list[dict[str, Any]]:
    return measure_skinning()


_PART = {
    "fusion": _fusion,
    "stages": _stages,
    "training": _training,
    "compact": _compact,
    "memory": _memory,
    "metrics": _metrics,
    "skinning": _skinning,
}


def _targets(results: dict[str, Any]) -> dict[str, tuple[float, str, bool]]:
    """What was promised for two CPU cores, with what was measured."""
    found: dict[str, tuple[float, str, bool]] = {}

    def at_most(name: str, value: float, limit: float) -> None:
        found[name] = (value, f"at most {limit:g}", value <= limit)

    for row in results.get("fusion", []):
        at_most(f"time exponent, {row['preset']}", row["factorised_seconds_exponent"], 1.1)
        at_most(f"memory exponent, {row['preset']}", row["factorised_bytes_exponent"], 1.1)
        ratio = row["ratio_seconds"]
        found[f"times faster at T=500, {row['preset']}"] = (ratio, "at least 300", ratio >= 300)
    for row in results.get("stages", []):
        if "network_share" in row:
            at_most(f"share beside the encoders, {row['preset']}", row["network_share"], 0.2)
            name = f"ten samples over one, {row['preset']}"
            at_most(name, row["ten_samples_over_one"], 1.3)
    if rows := results.get("memory"):
        longest = max(rows, key=lambda row: row["seconds_of_sound"])
        name = f"peak MB for {longest['seconds_of_sound']:g} s"
        at_most(name, longest["peak_mb"], 2500)
    for row in results.get("metrics", []):
        at_most(f"peak MB for {row['clips']} scored clips", row["peak_mb"], 2048)
    for row in results.get("skinning", []):
        at_most(f"seconds of skinning, {row['pose']}", row["ours_s"], 0.1)
        if "ratio" in row:
            name = f"times faster than smplx, {row['pose']}"
            found[name] = (row["ratio"], "above 1", row["ratio"] > 1)
    return found


def _machine(args: argparse.Namespace) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if args.device == "cuda" else None
    return {
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": args.threads,
        "device": args.device,
        "gpu": gpu,
    }


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row for the table: inner tables go to the JSON only, stages are spread out."""
    stages = row.get("stages", {})
    plain = {k: v for k, v in row.items() if not isinstance(v, dict | list)}
    return {**plain, **stages}


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
