# SPDX-License-Identifier: GPL-3.0-or-later
"""What a map reaches and what it does not, in numbers and sentences, before baking. No bpy."""

from __future__ import annotations

import dataclasses

from ..rig.names import ARKIT_NAMES
from .matching import Character
from .model import BONE, RetargetMap
from .visemes import VISEMES

# Without these people see at once that something is wrong; each with what will be missing.
IMPORTANT = {
    "jawOpen": "the mouth will not open",
    "mouthClose": "the lips will not close on p, b and m",
    "mouthPucker": "u and w will not be round",
    "mouthFunnel": "o and sh will not be round",
    "mouthSmileLeft": "no smile on the left",
    "mouthSmileRight": "no smile on the right",
    "eyeBlinkLeft": "the left eye will not blink",
    "eyeBlinkRight": "the right eye will not blink",
}


@dataclasses.dataclass(frozen=True)
class FitReport:
    """``driven`` and ``missing`` ARKit shapes, ``unused`` keys and ``lost`` targets per object."""

    convention: str
    driven: tuple[str, ...]
    missing: tuple[str, ...]
    important: tuple[str, ...]
    per_owner: dict[str, int]
    unused: dict[str, tuple[str, ...]]
    lost: tuple[tuple[str, str], ...]

    def sentences(self) -> list[str]:
        """What a person must know before baking, the worst first; empty where all is well."""
        found = [f"Nothing drives {name}: {IMPORTANT[name]}." for name in self.important]
        for owner, name in self.lost[:5]:
            found.append(f"The map moves {name!r} of {owner!r}, which does not exist.")
        if len(self.lost) > 5:
            found.append(f"{len(self.lost) - 5} more targets of the map do not exist.")
        rest = [name for name in self.missing if name not in self.important]
        if rest:
            some = ", ".join(rest[:4]) + (", ..." if len(rest) > 4 else "")
            found.append(f"{len(rest)} other shapes are not driven: {some}.")
        return found

    def headline(self) -> str:
        """One line for the panel: ``cc4: 49 of 52 shapes on 3 objects.``."""
        if not self.per_owner:
            return "No name of this character is known; add rows by hand."
        objects = f"{len(self.per_owner)} object{'s' if len(self.per_owner) != 1 else ''}"
        return f"{self.convention}: {len(self.driven)} of {len(ARKIT_NAMES)} shapes on {objects}."


def report(retarget: RetargetMap, character: Character) -> FitReport:
    """Compare a map with the character that it is for."""
    rows = [row for row in retarget.rows if row.enabled]
    driven: set[str] = set()
    for row in rows:
        for source, gain in row.sources:
            family, _, viseme = source.partition(":")
            if viseme:
                # A set of visemes shows the mouth as a whole, as far as its poses do.
                driven |= set(VISEMES[family][viseme][0]) & set(ARKIT_NAMES)
            elif gain:
                driven.add(source)
    existing = {
        *((owner, key) for owner, keys in character.shape_keys.items() for key in keys),
        *((owner, bone) for owner, bones in character.bones.items() for bone in bones),
    }
    places = [(row.target.owner, row.target.name) for row in rows]
    used = set(places)
    missing = tuple(name for name in ARKIT_NAMES if name not in driven)
    per_owner: dict[str, int] = {}
    for owner, _ in dict.fromkeys(place for place in places if place in existing):
        per_owner[owner] = per_owner.get(owner, 0) + 1
    return FitReport(
        convention=retarget.convention,
        driven=tuple(name for name in ARKIT_NAMES if name in driven),
        missing=missing,
        important=tuple(name for name in IMPORTANT if name in missing),
        per_owner=per_owner,
        unused={
            owner: tuple(key for key in keys if (owner, key) not in used)
            for owner, keys in character.shape_keys.items()
        },
        lost=tuple(dict.fromkeys(place for place in places if place not in existing)),
    )


def moves_bones(retarget: RetargetMap) -> bool:
    """Whether any row turns a bone, so that an armature takes part."""
    return any(row.target.kind == BONE and row.enabled for row in retarget.rows)
