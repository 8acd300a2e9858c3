# SPDX-License-Identifier: Apache-2.0
"""What a corpus holds (hours by language, engine, emotion) and how its emotions sound."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.engine.features import raw_prosody
from training.corpus.make import clip_stems, read_clip

# In the order of training.data.clips.EMOTIONS.
_NAMES = ("neutral", "happy", "sad", "surprised", "fear", "disgusted", "angry", "contempt")
MEASURES = ("pitch, semitones", "pitch spread, semitones", "level, dB", "brightness, dB",
            "sounds per second")  # fmt: skip


def report(out: Path, most: int = 40) -> dict[str, Any]:
    """Hours of every kind; and of ``most`` spoken clips per emotion the means of MEASURES.

    Only clips of the strongest intensity are measured, and against neutral clips of all speakers,
    so a difference is of manner, not of one voice.
    """
    hours: dict[str, defaultdict[str, float]] = {
        kind: defaultdict(float) for kind in ("language", "engine", "emotion", "vocoder")
    }
    sounds: defaultdict[str, list[str]] = defaultdict(list)
    voices: set[str] = set()
    stems = clip_stems(out)
    for stem in stems:
        described = json.loads((out / "phones" / f"{stem}.json").read_text(encoding="utf-8"))
        voice, emotion = described["voice"], _NAMES[int(stem.split("_")[2])]
        share = described["seconds"] / 3600.0
        voices.add(voice["name"])
        hours["language"][voice["language"]] += share
        hours["engine"][voice["engine"]] += share
        hours["emotion"][emotion] += share
        hours["vocoder"]["changed" if described["vocoder"] else "as the engine speaks"] += share
        if described["lines"] and stem.endswith(("_0_0", "_2")):
            sounds[emotion].append(stem)
    rng = np.random.default_rng(0)
    measured = {}
    for emotion in (name for name in _NAMES if name in sounds):
        picked = rng.permutation(sounds[emotion])[:most]
        means = np.mean([_measures(out, str(stem)) for stem in picked], axis=0)
        measured[emotion] = {k: round(float(v), 2) for k, v in zip(MEASURES, means, strict=True)}
    return {
        "clips": len(stems),
        "hours": round(sum(hours["engine"].values()), 2),
        "engine_voices": len(voices),
        "speakers": len({stem.split("_")[0] for stem in stems}),
        **{f"hours_by_{kind}": _rounded(values) for kind, values in hours.items()},
        "prosody": measured,
    }


def _measures(out: Path, stem: str) -> tuple[float, float, float, float, float]:
    clip = read_clip(out, stem)
    pitch, voicing, level, tilt = raw_prosody(clip.audio).T
    voiced = (voicing > 0.6) & (level > level.max() - 25.0)
    if not voiced.any():
        voiced = level > level.max() - 25.0
    spoken = [(a, b) for name, a, b in clip.gestures if name != "sil"]
    rate = len(spoken) / sum(b - a for a, b in spoken)
    semitones = 12.0 * pitch[voiced]
    return (
        float(semitones.mean()), float(semitones.std()), float(level[voiced].mean()),
        float(-tilt[voiced].mean()), rate,
    )  # fmt: skip


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {k: round(v, 2) for k, v in sorted(values.items(), key=lambda item: -item[1])}
