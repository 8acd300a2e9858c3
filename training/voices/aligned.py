# SPDX-License-Identifier: Apache-2.0
"""Recorded sentences with their sound times, kept on disk: aligning takes longer than measuring."""

from __future__ import annotations

import json
from pathlib import Path

from training.voices.align import Phones, align
from training.voices.recordings import Recording, librivox, prompts


def aligned_prompts(folder: Path, most: int = 254) -> list[tuple[Recording, Phones]]:
    """The first ``most`` English prompts that align, in the fixed order."""
    return _aligned(folder, prompts("en"), most)


def aligned_librivox(folder: Path) -> list[tuple[Recording, Phones]]:
    """LibriVox sentences that align."""
    return _aligned(folder, librivox(), 100)


def _aligned(
    folder: Path, recordings: list[Recording], most: int
) -> list[tuple[Recording, Phones]]:
    """Align what ``folder/aligned.json`` does not hold yet."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "aligned.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    result: list[tuple[Recording, Phones]] = []
    for recording in recordings:
        if len(result) == most:
            break
        if recording.name not in known:
            known[recording.name] = align(recording.audio(), recording.text)
            kept.write_text(json.dumps(known))
        if known[recording.name]:
            phones = [(name, start, stop) for name, start, stop in known[recording.name]]
            result.append((recording, phones))
    return result
