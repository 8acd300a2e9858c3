# SPDX-License-Identifier: Apache-2.0
"""When each sound is said, from files beside the clips: the corpus's JSON, or aligned TextGrids.

A folder holds ``<stem>.json`` (``training.corpus`` writes them) or ``<stem>.TextGrid`` (Montreal
Forced Aligner and Praat; the tier named ``phones``). Clips without a file have no bilabials.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from training.corpus.phones import gestures_of

Phones = list[tuple[str, float, float]]
_TIER = re.compile(r'name\s*=\s*"([^"]*)"')
_INTERVAL = re.compile(
    r'xmin\s*=\s*([-+.\deE]+)\s*xmax\s*=\s*([-+.\deE]+)\s*text\s*=\s*"((?:[^"]|"")*)"'
)


def phones_of(folder: Path, stem: str) -> Phones | None:
    """Sounds (name, start s, end s) of a clip, or None where the folder has no file for it."""
    for suffix, read in ((".json", _from_corpus), (".TextGrid", _from_text_grid)):
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            try:
                return read(path)
            except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
                raise ValueError(
                    f"{path.name} does not tell the times of sounds: {error}"
                ) from None
    return None


def _from_corpus(path: Path) -> Phones:
    """The corpus's gestures: what the lips do for each sound, whatever the engine calls it."""
    described = json.loads(path.read_text(encoding="utf-8"))
    return [
        (gesture, float(start), float(end))
        for line in described["lines"]
        for symbol, start, end in line["phones"]
        for gesture in gestures_of(symbol, line["notation"])[:1]
    ]


def _from_text_grid(path: Path) -> Phones:
    """Intervals of the tier ``phones`` of a TextGrid in Praat's long form."""
    raw = path.read_bytes()
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    names = list(_TIER.finditer(text))
    for this, following in zip(names, [*names[1:], None], strict=True):
        # One aligned speaker has the tier "phones", several have "<speaker> - phones".
        if this[1].rsplit(" - ")[-1].lower() in ("phones", "phone"):
            tier = text[this.end() : following.start() if following else None]
            return [(m[3], float(m[1]), float(m[2])) for m in _INTERVAL.finditer(tier) if m[3]]
    raise ValueError(f"it has no tier phones, only {', '.join(m[1] for m in names) or 'none'}")
