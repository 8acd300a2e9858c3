# SPDX-License-Identifier: Apache-2.0
"""What the bundled model's training adds to the paper's losses; all of it off by default."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

# What a model can be trained without: a stream or the identity set to zero, the quantiser skipped.
Part = Literal["emotion", "identity", "codes"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclasses.dataclass(frozen=True)
class Extras:
    """``lip_weight`` of the lip loss (mm, head space), whose gap counts 1 + ``shut_weight`` times
    where lips are shut; ``motion_weight`` times both L1s; ``direct_weight`` of L1(latent, zq*).

    ``start_without_codes``: first steps of stage 1 without quantiser. ``revive_every``: steps after
    which unused codes move onto real tokens, until ``revive_until`` of the run. ``feature_noise``:
    share of each feature's spread, in stage 2. ``margin_weight``: of the lip gap on the wrong side
    of shut or parted, both ways alike (:class:`training.losses.LipLoss`). ``without``: parts
    that an ablation does not have.
    """

    lip_weight: float = 0.0
    shut_weight: float = 3.0
    margin_weight: float = 0.0
    motion_weight: float = 1.0
    direct_weight: float = 0.0
    start_without_codes: int = 0
    revive_every: int = 0
    revive_until: float = 0.8
    feature_noise: float = 0.0
    without: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers below zero and parts that do not exist."""
        if unknown := set(self.without) - set(PARTS):
            raise ValueError(f"without {sorted(unknown)} is none of {', '.join(PARTS)}")
        for field in dataclasses.fields(self):
            if field.name != "without" and getattr(self, field.name) < 0:
                raise ValueError(f"{field.name} is at least 0, not {getattr(self, field.name)}")
