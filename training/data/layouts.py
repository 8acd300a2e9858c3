# SPDX-License-Identifier: Apache-2.0
"""Tell which of the three layouts a folder has, and list it."""

from __future__ import annotations

from pathlib import Path

from training.data.clips import Listing, PrepareConfig, SourceError
from training.data.read_cache import is_cache, list_cache
from training.data.read_captures import is_captures, list_captures
from training.data.read_release import list_release, trees_of

_READERS = {"release": list_release, "cache": list_cache, "captures": list_captures}


def layout_of(source: Path) -> str:
    """Name of the layout, or SourceError with what was looked for."""
    if trees_of(source):
        return "release"
    if is_cache(source):
        return "cache"
    if is_captures(source):
        return "captures"
    raise SourceError(
        f"{source} is none of: EMOTE's tree (EMICA-MEAD_flame2020/<subject>/front/...), a cache "
        "(param/*.npy and wav/), or a folder of sound and motion files (.npy, .npz, .csv)"
    )


def list_source(source: Path, config: PrepareConfig) -> Listing:
    """List the clips of a source in the layout that it has, or that is stated."""
    if not source.is_dir():
        raise SourceError(f"there is no folder {source}")
    if config.audio is not None and not config.audio.is_dir():
        raise SourceError(f"there is no folder {config.audio}")
    layout = layout_of(source) if config.layout == "auto" else config.layout
    listing = _READERS[layout](source, config)
    if not listing.clips:
        raise SourceError(f"{source} has no clips in the layout {layout!r}")
    stems = [found.stem for found in listing.clips]
    if len(set(stems)) != len(stems):
        doubled = next(stem for stem in stems if stems.count(stem) > 1)
        raise SourceError(f"{source} holds {doubled} twice")
    return listing
