# SPDX-License-Identifier: Apache-2.0
"""Recorded speech with its text -> sound times, by pocketsphinx forced alignment (English).

Times are on a 10 ms grid and run about 10 ms early, which is put right here.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

SAMPLE_RATE_HZ = 16_000
_EARLY_S = 0.010

Phones = list[tuple[str, float, float]]


def _decoder() -> Any:
    # A new one for every clip: a used one may crash on the next alignment.
    from pocketsphinx import Decoder

    return Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL")


_SPOKEN = dict(
    zip("0123456789#*", "zero one two three four five six seven eight nine pound star".split(),
        strict=True)
)  # fmt: skip


def words_of(text: str) -> list[str]:
    """Words as they are spoken; digits and keys one by one."""
    spoken = "".join(f" {_SPOKEN[c]} " if c in _SPOKEN else c for c in text.lower())
    return re.sub(r"[^a-z' ]", " ", spoken.replace("-", " ")).split()


def align(audio: np.ndarray, text: str) -> Phones | None:
    """Phones (ARPAbet or "SIL", start_s, end_s); None where a word is unknown or nothing fits."""
    decoder = _decoder()
    words = words_of(text)
    if not words or any(decoder.lookup_word(word) is None for word in words):
        return None
    samples = (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(words))
        for whole in ("words", "phones"):
            if whole == "phones":
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(samples, full_utt=True)
            decoder.end_utt()
            if whole == "words" and not list(decoder.seg() or []):
                return None
        alignment = decoder.get_alignment()
    except RuntimeError:
        return None
    phones: Phones = []
    for word in alignment:
        for phone in word:
            start = phone.start * 0.01 + _EARLY_S
            phones.append((phone.name, start, start + phone.duration * 0.01))
    return phones
