# SPDX-License-Identifier: Apache-2.0
"""One JSON file for a whole table: what every system shares, and what one system changes.

``run`` has the keys of a run (``training.settings``) but those that differ by system; ``systems``
changes keys of ``run`` by the name of a system; ``evaluate`` says how all are scored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.baselines.registry import TABLE1, TABLE2, prior_of, weights_of
from training.evaluate import EvaluateConfig
from training.settings import RunConfig

TABLES: dict[str, tuple[str, ...]] = {"table1": tuple(TABLE1), "table2": tuple(TABLE2)}
# All rows of Table 2 decode with one stage 1: that of the paper's own system.
PRIOR_OWNER = weights_of("lsf")
_SET_HERE = ("system", "out", "first_stage")


@dataclasses.dataclass(frozen=True)
class ReproduceConfig:
    """Where everything goes, and how systems are trained and scored."""

    out: Path
    run: Mapping[str, Any]
    systems: Mapping[str, Mapping[str, Any]]
    evaluate: EvaluateConfig
    about: str = ""

    @classmethod
    def load(cls, path: Path) -> ReproduceConfig:
        """Read a file such as ``training/configs/tables_small.json``; raises ValueError."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            config = cls(
                Path(values.pop("out")).expanduser(),
                values.pop("run"),
                values.pop("systems", {}),
                EvaluateConfig.from_dict(values.pop("evaluate", {})),
                values.pop("about", ""),
            )
        except KeyError as error:
            raise ValueError(f"{path.name} has no {error}") from None
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path.name} is not a configuration of tables: {error}") from None
        if values:
            raise ValueError(f"{path.name} has keys that nobody knows: {', '.join(values)}")
        if wrong := sorted(set(_SET_HERE) & set(config.run)):
            raise ValueError(f"{path.name}: run sets {', '.join(wrong)}, which every table sets")
        names = {weights_of(name) for table in TABLES.values() for name in table}
        if wrong := sorted(set(config.systems) - names):
            raise ValueError(
                f"{path.name}: systems has {', '.join(wrong)}; weights are of {', '.join(names)}"
            )
        for name in sorted(names):
            config.run_of(name)
        return config

    def run_of(self, name: str) -> RunConfig:
        """The run that trains the weights of a system."""
        weights = weights_of(name)
        values = merged(self.run, self.systems.get(weights, {}))
        values |= {"system": weights, "out": str(self.run_folder(name))}
        if prior_of(weights) == prior_of(PRIOR_OWNER) and weights != PRIOR_OWNER:
            values["first_stage"] = str(self.run_folder(PRIOR_OWNER))
        return RunConfig.from_dict(values)

    def run_folder(self, name: str) -> Path:
        """Folder of the run with the weights of a system."""
        return self.out / "runs" / weights_of(name)

    def evaluation_folder(self, name: str) -> Path:
        """Folder of a system's scores; two samplers of one run have two."""
        return self.out / "evaluation" / name


def training_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Weights to train for these systems, the owner of the shared prior first."""
    weights = list(dict.fromkeys(weights_of(name) for name in names))
    if any(prior_of(name) == prior_of(PRIOR_OWNER) for name in weights):
        weights = [PRIOR_OWNER, *(name for name in weights if name != PRIOR_OWNER)]
    return tuple(weights)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` over ``base``, table by table."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        out[key] = merged(old, value) if both else value
    return out
