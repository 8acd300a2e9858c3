# SPDX-License-Identifier: Apache-2.0
"""Recorded speech with its text, for evaluation alone: nothing here may ever be trained on.

Debian's ``asterisk-core-sounds-{en,es,fr,it,ru}-g722`` (CC-BY-SA or CC-BY) and, of the package
``pocketsphinx-testdata``, five sentences of LibriVox (public domain). Read where apt puts them.
"""

from __future__ import annotations

import dataclasses
import gzip
import re
import subprocess
from pathlib import Path

import numpy as np

SOUNDS = Path("/usr/share/asterisk/sounds")
_TEXTS = "/usr/share/doc/asterisk-core-sounds-{0}/core-sounds-{0}.txt.gz"
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
# The first of the shuffled English prompts, which makers of the model looked at.
SEEN_PROMPTS = 137


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording; ``name`` is unique, ``language`` an ISO 639-1 code."""

    name: str
    language: str
    path: Path
    text: str

    def audio(self) -> np.ndarray:
        """The sound [N] float32, 16 kHz, decoded by ffmpeg."""
        kind = ["-f", "g722"] if self.path.suffix == ".g722" else []
        command = ["ffmpeg", "-v", "error", *kind, "-i", str(self.path), "-f", "f32le", "-ac", "1"]
        done = subprocess.run([*command, "-ar", "16000", "-"], check=True, capture_output=True)
        return np.frombuffer(done.stdout, "<f4").copy()


def prompts(language: str, least_words: int = 4) -> list[Recording]:
    """Prompts of Debian's asterisk-core-sounds with their texts, shuffled (always alike)."""
    found = []
    with gzip.open(_TEXTS.format(language), "rt", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, text = line.partition(":")
            path = SOUNDS / language / f"{key.strip()}.g722"
            spoken = re.sub(r"\[.*?\]|\(.*?\)", " ", text).strip()
            if not key.startswith(";") and path.exists() and len(spoken.split()) >= least_words:
                found.append(Recording(f"{language}/{path.stem}", language, path, spoken))
    # Sorted names would put the same few words side by side.
    found.sort(key=lambda recording: (recording.path, recording.text))
    return [found[n] for n in np.random.default_rng(0).permutation(len(found))]


def librivox() -> list[Recording]:
    """Five read sentences of one LibriVox reader."""
    found = []
    for line in (LIBRIVOX / "transcription").read_text().splitlines():
        matched = re.fullmatch(r"<s>\s*(.*?)\s*</s>\s*\((.*)\)", line.strip())
        if matched:
            path = LIBRIVOX / f"{matched[2]}.wav"
            found.append(Recording(f"librivox/{path.stem[-4:]}", "en", path, matched[1]))
    return found
