# SPDX-License-Identifier: Apache-2.0
"""Closures of recorded Spanish, French, Italian and Russian voices, by their transcripts.

Times come from :mod:`training.voices.warp`; what that method is worth is measured on English
prompts against pocketsphinx. Chance is the same motion half a clip later.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.engine.compact_files import FOLDER
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from training.data.cache import D_WHISPER, Ears
from training.voices.align import Phones
from training.voices.aligned import aligned_prompts
from training.voices.measures import CLOSED_MM, LIPS, PAUSE, Counts, SoundFrames
from training.voices.recordings import Recording, prompts
from training.voices.warp import WarpedPhones, transcript_phones

LANGUAGES = ("es", "fr", "it", "ru")
# Room for the aligned time (40 ms) and for the warp's own error.
WITHIN_S = (0.040, 0.080)
# Prompts over half a minute take minutes to warp.
LONGEST_S = 15.0


@functools.cache
def _ears() -> Ears:
    return Ears(FOLDER / "encoder.onnx")


def hear(audio: np.ndarray) -> np.ndarray:
    """The bundled encoder's upper layer: audio [N] -> [T50, width]."""
    return _ears().hear(audio)[:, :D_WHISPER]


class Warps:
    """Estimated sound times, kept in ``folder/warped.json``."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "warped.json"
        self._known = json.loads(self._kept.read_text()) if self._kept.exists() else {}

    def phones(self, recording: Recording, audio: np.ndarray) -> WarpedPhones:
        """Estimate, or what was estimated before."""
        if recording.name not in self._known:
            found = transcript_phones(audio, recording.text, recording.language, hear)
            self._known[recording.name] = [found.phones, found.spread_s, found.cost]
            self._kept.write_text(json.dumps(self._known, ensure_ascii=False))
        phones, spread_s, cost = self._known[recording.name]
        return WarpedPhones([(n, a, b) for n, a, b in phones], spread_s, cost)


def as_closures(phones: list[tuple[str, float, float]]) -> Phones:
    """IPA sounds as the measures know them: P for every p, b, m, SIL for pauses."""
    found: Phones = []
    for name, start, stop in phones:
        if name == "sil":
            found.append((PAUSE, start, stop))
        else:
            found.append(("P" if name[:1] in ("p", "b", "m") else name or "-", start, stop))
    return found


def warp_error(folder: Path, most: int) -> dict[str, float]:
    """How far warped p, b, m are from the aligned ones on English prompts, seconds."""
    warps, errors, spreads = Warps(folder), [], []
    for recording, phones in aligned_prompts(folder, most):
        audio = recording.audio()
        if audio.size > LONGEST_S * 16_000:
            continue
        found = warps.phones(recording, audio)
        spreads.append(found.spread_s)
        guess = np.array([0.5 * (a + b) for n, a, b in as_closures(found.phones) if n == "P"])
        for name, start, stop in phones:
            if name in LIPS and guess.size:
                difference = guess - 0.5 * (start + stop)
                errors.append(difference[np.abs(difference).argmin()])
    away = np.abs(errors)
    return {
        "sounds": len(errors),
        "median_s": round(float(np.median(errors)), 4),
        "median_distance_s": round(float(np.median(away)), 4),
        "within_40_ms": round(float((away <= 0.040).mean()), 3),
        "within_80_ms": round(float((away <= 0.080).mean()), 3),
        "voices_differ_s": round(float(np.median(spreads)), 4),
    }


def measure_languages(folder: Path, animate: Any, most: int) -> dict[str, Any]:
    """Recall and precision of closures by language; ``animate(recording, audio)`` -> motion."""
    face, warps, found = FaceModel.load(), Warps(folder), {}
    for language in LANGUAGES:
        counts, seconds, clips = Counts(), 0.0, 0
        for recording in prompts(language):
            if clips == most:
                break
            audio = recording.audio()
            if audio.size > LONGEST_S * 16_000:
                continue
            phones = warps.phones(recording, audio)
            clips, seconds = clips + 1, seconds + audio.size / 16_000
            gap = lip_gap_mm(face, arkit_from_motion(animate(recording, audio)))
            _note(gap < CLOSED_MM, as_closures(phones.phones), audio, counts)
        found[language] = {
            "clips": clips, "seconds": round(seconds, 1), "measures": counts.summary(),
        }  # fmt: skip
    return found


def _note(shut: np.ndarray, phones: Phones, audio: np.ndarray, counts: Counts) -> None:
    later = np.roll(shut, len(shut) // 2)
    for within_s in WITHIN_S:
        sounds = SoundFrames(len(shut), phones, audio, within_s)
        for label, flags in (("", shut), (", chance", later)):
            met, right = sounds.closures(flags)
            counts.note_all(f"recall at {1000 * within_s:.0f} ms{label}", met)
            counts.note_all(f"precision at {1000 * within_s:.0f} ms{label}", right)
