# SPDX-License-Identifier: Apache-2.0
"""Table 1 as the paper prints it, in true units, and which of its numbers cannot be compared.

Values are those of the LSF-Animation paper on 3DMEAD, m and m^2. Its CE column says x1e-5; read so,
a deterministic system would not have LVE = CE, so it is taken as x1e-4 here.
"""

from __future__ import annotations

from training.metrics.definitions import METRICS, PUBLISHED

# mve, lve, fdd, mee, ce, diversity, in the units of the column heads.
_ROWS: dict[str, tuple[float, ...]] = {
    "faceformer": (2.6139, 2.3471, 1.6145),
    "codetalker": (2.2207, 2.1045, 3.0540),
    "emote": (1.3395, 1.2936, 0.7327, 1.2101, 1.0544),
    "facediffuser_ddpm": (1.6762, 1.3463, 1.7015, 1.3463, 1.3462, 0.0005),
    "facediffuser_ddim": (1.5901, 1.1315, 0.8243, 1.0615, 1.0610, 0.0144),
    "probtalk3d": (1.2933, 1.2708, 0.4845, 1.1852, 1.0691, 0.4310),
    "lsf": (1.2244, 1.0985, 0.4724, 1.0177, 0.9225, 0.4223),
}


def _true_units(values: tuple[float, ...]) -> dict[str, float]:
    return {
        name: value * (METRICS[name].printed_scale or 1.0)
        for name, value in zip(PUBLISHED, values, strict=False)
    }


TABLE1_PRINTED = {system: _true_units(values) for system, values in _ROWS.items()}

# Two rows of Table 2 are rows of Table 1; what it prints for the others is not at hand.
TABLE2_PRINTED = {"baseline": TABLE1_PRINTED["probtalk3d"], "hifb": TABLE1_PRINTED["lsf"]}

# (system, metric) -> why the printed number is no target.
NOT_COMPARABLE: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        (("emote", "lve"), ("emote", "mee"), ("emote", "ce")),
        "EMOTE is deterministic, so its LVE, MEE and CE must be equal; printed, they differ.",
    ),
    ("facediffuser_ddim", "lve"): "It contradicts the definition: MEE and CE are far below it at "
    "a Diversity near zero.",
}
