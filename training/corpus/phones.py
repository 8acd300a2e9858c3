# SPDX-License-Identifier: Apache-2.0
"""What the lips and jaw do for each sound, stated in millimetres and shares of a gesture.

Symbols of all engines (ARPAbet, IPA) are mapped to a few dozen gestures. Values are for an average
adult face; they follow published lip measurements in order and rough size (Cohen & Massaro 1993 for
the dominance form, JALI, Edwards et al. 2016, for which sounds are hard constraints).
"""

from __future__ import annotations

import dataclasses
import unicodedata

CHANNELS = ("gap_mm", "jaw", "spread", "pucker", "funnel", "tuck", "press")


@dataclasses.dataclass(frozen=True)
class Gesture:
    """Targets of one sound: lip gap in mm, others as shares of a full gesture (0..1)."""

    gap_mm: float
    jaw: float
    spread: float = 0.0
    pucker: float = 0.0
    funnel: float = 0.0
    tuck: float = 0.0
    press: float = 0.0
    # How firmly the sound holds its lip gap, jaw and rounding against its neighbours.
    firm_gap: float = 1.0
    firm_jaw: float = 1.0
    firm_round: float = 1.0
    vowel: bool = False
    closed: bool = False


GESTURES = {
    "sil": Gesture(0.0, 0, firm_gap=1.5, firm_jaw=1.2, firm_round=1.2),
    "P": Gesture(0.0, 0.064, press=0.4, firm_gap=4.0, firm_jaw=0.9, firm_round=0.25, closed=True),
    "M": Gesture(0.0, 0.077, press=0.3, firm_gap=4.0, firm_jaw=0.8, firm_round=0.25, closed=True),
    "F": Gesture(2.0, 0.051, tuck=1.0, firm_gap=3.0, firm_jaw=1.2, firm_round=0.4),
    "TH": Gesture(4.5, 0.115, firm_gap=0.9, firm_jaw=0.9, firm_round=0.3),
    "T": Gesture(4.0, 0.09, spread=0.1, firm_gap=0.7, firm_jaw=0.9, firm_round=0.2),
    "L": Gesture(5.5, 0.154, spread=0.1, firm_gap=0.6, firm_jaw=0.5, firm_round=0.2),
    "S": Gesture(3.8, 0.045, spread=0.35, firm_gap=1.4, firm_jaw=1.8, firm_round=0.5),
    "SH": Gesture(5.5, 0.064, pucker=0.35, funnel=0.6, firm_gap=1.4, firm_jaw=1.6, firm_round=1.4),
    "R": Gesture(4.2, 0.102, pucker=0.35, funnel=0.25, firm_gap=0.8, firm_jaw=0.6, firm_round=0.7),
    "K": Gesture(5.0, 0.141, firm_gap=0.4, firm_jaw=0.35, firm_round=0.15),
    "H": Gesture(5.5, 0.166, firm_gap=0.25, firm_jaw=0.25, firm_round=0.1),
    "W": Gesture(2.4, 0.064, pucker=1.0, funnel=0.15, firm_gap=1.8, firm_jaw=0.9, firm_round=2.0),
    "Y": Gesture(4.0, 0.077, spread=0.5, firm_gap=0.8, firm_jaw=0.8, firm_round=0.6),
    "IY": Gesture(5.0, 0.102, spread=0.75, firm_round=1.1, vowel=True),
    "IH": Gesture(6.3, 0.154, spread=0.4, firm_round=0.8, vowel=True),
    "EH": Gesture(9.0, 0.256, spread=0.4, firm_round=0.8, vowel=True),
    "AE": Gesture(12.0, 0.371, spread=0.4, firm_gap=1.2, firm_jaw=1.2, firm_round=0.8, vowel=True),
    "AA": Gesture(13.5, 0.435, firm_gap=1.3, firm_jaw=1.3, firm_round=0.8, vowel=True),
    "AH": Gesture(9.0, 0.269, firm_round=0.6, vowel=True),
    "AX": Gesture(6.0, 0.166, firm_gap=0.6, firm_jaw=0.6, firm_round=0.3, vowel=True),
    "AO": Gesture(11.5, 0.371, pucker=0.25, funnel=0.45, firm_gap=1.2, firm_round=1.3, vowel=True),
    "OW": Gesture(7.5, 0.218, pucker=0.6, funnel=0.4, firm_round=1.6, vowel=True),
    "UH": Gesture(5.8, 0.154, pucker=0.5, funnel=0.25, firm_round=1.1, vowel=True),
    "UW": Gesture(3.6, 0.102, pucker=0.95, funnel=0.25, firm_gap=1.2, firm_round=2.0, vowel=True),
    "ER": Gesture(5.8, 0.154, pucker=0.3, funnel=0.3, firm_round=1.0, vowel=True),
    "UE": Gesture(4.2, 0.102, pucker=0.85, funnel=0.2, firm_gap=1.1, firm_round=1.9, vowel=True),
    "OE": Gesture(7.0, 0.205, pucker=0.6, funnel=0.35, firm_round=1.5, vowel=True),
}
NAMES = tuple(GESTURES)

_ARPABET = {
    "p": "P", "b": "P", "m": "M", "em": "M", "f": "F", "v": "F", "th": "TH", "dh": "TH",
    "t": "T", "d": "T", "n": "T", "en": "T", "dx": "T", "nx": "T", "l": "L", "el": "L",
    "s": "S", "z": "S", "sh": "SH", "zh": "SH", "ch": "SH", "jh": "SH", "r": "R",
    "k": "K", "g": "K", "ng": "K", "hh": "H", "hv": "H", "w": "W", "y": "Y",
    "iy": "IY", "ih": "IH", "ix": "IH", "eh": "EH", "ey": "EH IY", "ae": "AE", "aa": "AA",
    "ah": "AH", "ax": "AX", "axr": "ER", "er": "ER", "ao": "AO", "ow": "OW UW", "uh": "UH",
    "uw": "UW", "ay": "AA IH", "aw": "AA UH", "oy": "AO IH",
    "pau": "sil", "h#": "sil", "#": "sil", "sil": "sil", "brth": "sil", "ssil": "sil",
}  # fmt: skip
_IPA = {
    "p": "P", "b": "P", "m": "M", "ɱ": "F", "f": "F", "v": "F", "ʋ": "F", "β": "W", "ɸ": "F",
    "θ": "TH", "ð": "TH", "t": "T", "d": "T", "n": "T", "ɾ": "T", "ʈ": "T", "ɖ": "T", "ɗ": "T",
    "l": "L", "ɫ": "L", "ɭ": "L", "ʎ": "Y", "s": "S", "z": "S", "ʃ": "SH", "ʒ": "SH", "ʂ": "SH",
    "ʐ": "SH", "ɕ": "SH", "ʑ": "SH", "r": "T", "ɹ": "R", "ʁ": "K", "ʀ": "K", "ɻ": "R",
    "k": "K", "ɡ": "K", "g": "K", "ŋ": "K", "x": "K", "ɣ": "K", "χ": "K", "ç": "Y", "ɲ": "Y",
    "h": "H", "ɦ": "H", "ʔ": "H", "w": "W", "ʍ": "W", "ɥ": "W", "j": "Y", "ʝ": "Y", "c": "Y",
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AA",
    "ɐ": "AH", "ɑ": "AA", "ʌ": "AH", "ə": "AX", "ɚ": "ER", "ɜ": "ER", "ɝ": "ER", "ɔ": "AO",
    "ɒ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "ʉ": "UW", "y": "UE", "ʏ": "UE", "ø": "OE",
    "œ": "OE",
}  # fmt: skip


def gestures_of(symbol: str, notation: str) -> list[str]:
    """Gestures of one engine symbol, in order (two for a diphthong); [] for a mark without sound.

    ``notation`` is "arpabet" (either case, stress digits ignored) or "ipa"; an unknown sound counts
    as "K", which hardly moves the lips.
    """
    plain = symbol.lower().rstrip("0123456789")
    if plain in ("sil", "pau"):
        return ["sil"]
    if notation == "arpabet":
        return _ARPABET.get(plain, "K").split()
    found: list[str] = []
    for character in unicodedata.normalize("NFD", symbol):
        if character in _IPA and (not found or found[-1] != _IPA[character]):
            found.append(_IPA[character])
        elif character.isalpha() and character not in _IPA and character not in "ʲʰˈˌː":
            found.append("K")
    # Affricates hold the second half's lips all through; a vowel glide keeps both.
    if len(found) > 1 and not GESTURES[found[0]].vowel:
        found = [name for name in found if name not in ("T", "K")] or found[:1]
        found = found[:1] if "P" in found else found[-1:]
    return found[:2]
