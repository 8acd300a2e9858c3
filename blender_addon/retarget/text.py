# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of a row as a person types them: ``jawOpen, mouthClose -1``. No bpy."""

from __future__ import annotations

import math

from .channels import is_channel
from .model import LARGEST, MapError

Sources = tuple[tuple[str, float], ...]


def sources_from_text(text: str, gain: float = 1.0) -> Sources:
    """Read ``name gain, name gain`` (a missing gain is 1), each times ``gain``."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.replace("+", ",").split(","))):
        name, _, number = part.partition(" ")
        if not is_channel(name):
            raise MapError(f"'{name}' is no source; write ARKit's names, such as jawOpen.")
        try:
            value = float(number or 1.0) * gain
        except ValueError as error:
            raise MapError(f"'{number.strip()}' after '{name}' is no number.") from error
        if not math.isfinite(value) or abs(value) > LARGEST:
            raise MapError(f"The gain of '{name}' must be within -{LARGEST:g}..{LARGEST:g}.")
        found[name] = found.get(name, 0.0) + value
    return tuple(found.items())


def sources_to_text(sources: Sources) -> tuple[str, float]:
    """Text and the common gain for it: the first source's size, so that texts are simple."""
    if not sources:
        return "", 1.0
    common = abs(sources[0][1]) or 1.0
    parts = [
        name if math.isclose(gain, common) else f"{name} {gain / common:.6g}"
        for name, gain in sources
    ]
    return ", ".join(parts), common
