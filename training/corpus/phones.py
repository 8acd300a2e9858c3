# SPDX-License-Identifier: Apache-2.0
"""What lips, jaw and tongue do for each sound, in millimetres on an average adult face.

Symbols of all engines (ARPAbet, IPA, Festival's own) are mapped to a few dozen gestures. The form
(a target with its own dominance) is Cohen & Massaro 1993; which sounds are hard constraints follows
JALI (Edwards et al. 2016); order and rough size of lip values follow Montgomery & Jackson 1983,
Fromkin 1964 and Abry & Boe 1986 (width and protrusion of rounded vowels).
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence

CHANNELS = ("gap", "jaw", "width", "out", "tuck", "raised", "thin", "tongue")


@dataclasses.dataclass(frozen=True)
class Gesture:
    """Targets of one sound against the resting face, in mm, and how firmly it holds them.

    gap: between the lips; jaw: drop of the chin; width: of the mouth, negative is narrower; out:
    both lips forward; tuck: lower lip back, under the upper teeth; raised: upper lip up; thin: red
    of the lips pressed away; tongue: tip forward. ``least``: gap that it never goes below in its
    middle, so that sounds made behind the lips are not mistaken for p, b, m.
    """

    gap: float
    jaw: float
    width: float = 0.0
    out: float = 0.0
    tuck: float = 0.0
    raised: float = 0.0
    thin: float = 0.0
    tongue: float = 0.0
    least: float = 0.0
    firm_gap: float = 1.0
    firm_jaw: float = 1.0
    firm_round: float = 1.0
    vowel: bool = False
    closed: bool = False


def _vowel(gap: float, jaw: float, width: float, out: float, firm: float, hold: float) -> Gesture:
    """A vowel: ``firm`` for gap and jaw, ``hold`` for width and protrusion."""
    return Gesture(gap, jaw, width, out, raised=0.08 * gap, least=0.3 * gap, firm_gap=firm,
                   firm_jaw=firm, firm_round=hold, vowel=True)  # fmt: skip


GESTURES = {
    "sil": Gesture(0, 0, firm_gap=1.5, firm_jaw=1.2, firm_round=1.2),
    "P": Gesture(0, 2.0, thin=1.6, firm_gap=4, firm_jaw=0.9, firm_round=0.25, closed=True),
    "M": Gesture(0, 2.4, thin=1.0, firm_gap=4, firm_jaw=0.8, firm_round=0.25, closed=True),
    "F": Gesture(1.8, 1.6, 0.5, -0.3, tuck=3.6, raised=1.6, firm_gap=3, firm_jaw=1.2,
                 firm_round=0.5),
    "TH": Gesture(4.8, 3.8, 0.5, tongue=7.5, least=3.0, firm_gap=0.9, firm_jaw=0.9, firm_round=0.3),
    "T": Gesture(4.2, 2.9, 1.0, least=2.6, firm_gap=0.8, firm_jaw=0.9, firm_round=0.2),
    "N": Gesture(4.4, 3.2, 0.8, least=2.8, firm_gap=0.8, firm_jaw=0.8, firm_round=0.2),
    "L": Gesture(5.8, 4.6, 0.8, tongue=2.0, least=3.4, firm_gap=0.7, firm_jaw=0.6, firm_round=0.2),
    "S": Gesture(4.0, 1.4, 2.2, raised=0.5, least=2.6, firm_gap=1.4, firm_jaw=1.8, firm_round=0.5),
    "SH": Gesture(6.2, 1.8, -3.6, 3.6, raised=1.4, least=3.6, firm_gap=1.4, firm_jaw=1.6,
                  firm_round=1.4),
    "R": Gesture(4.4, 3.2, -3.2, 2.4, raised=0.5, least=2.4, firm_gap=0.8, firm_jaw=0.6,
                 firm_round=0.7),
    "K": Gesture(5.2, 4.2, least=2.8, firm_gap=0.5, firm_jaw=0.4, firm_round=0.15),
    "NG": Gesture(5.2, 4.2, least=3.0, firm_gap=0.6, firm_jaw=0.4, firm_round=0.15),
    "H": Gesture(5.8, 5.0, least=2.8, firm_gap=0.25, firm_jaw=0.25, firm_round=0.1),
    "W": Gesture(2.4, 2.0, -8.0, 6.5, least=1.5, firm_gap=1.8, firm_jaw=0.9, firm_round=2.0),
    "Y": Gesture(4.2, 2.4, 2.6, least=2.4, firm_gap=0.8, firm_jaw=0.8, firm_round=0.6),
    "IY": _vowel(5.2, 3.2, 4.6, -0.6, 1.0, 1.1),
    "IH": _vowel(6.5, 4.8, 2.4, -0.3, 1.0, 0.8),
    "EH": _vowel(9.2, 7.9, 2.4, -0.3, 1.0, 0.8),
    "AE": _vowel(12.2, 11.5, 2.4, -0.4, 1.2, 0.8),
    "AA": _vowel(13.6, 13.4, 0.0, 0.0, 1.3, 0.8),
    "AH": _vowel(9.2, 8.3, 0.4, 0.0, 1.0, 0.6),
    "AX": _vowel(6.2, 5.1, 0.2, 0.0, 0.6, 0.3),
    "AO": _vowel(11.5, 11.0, -4.2, 3.2, 1.2, 1.3),
    "OW": _vowel(7.5, 6.6, -6.4, 5.2, 1.0, 1.6),
    "UH": _vowel(5.8, 4.8, -4.6, 3.8, 1.0, 1.1),
    "UW": _vowel(3.8, 3.1, -7.6, 6.2, 1.2, 2.0),
    "ER": _vowel(5.8, 4.8, -3.4, 3.0, 1.0, 1.0),
    "UE": _vowel(4.4, 3.1, -6.8, 5.6, 1.1, 1.9),
    "OE": _vowel(7.0, 6.2, -5.4, 4.4, 1.0, 1.5),
}  # fmt: skip
NAMES = tuple(GESTURES)

_ARPABET = {
    "p": "P", "b": "P", "m": "M", "em": "M", "f": "F", "v": "F", "th": "TH", "dh": "TH",
    "t": "T", "d": "T", "n": "N", "en": "N", "dx": "T", "nx": "N", "l": "L", "el": "L",
    "s": "S", "z": "S", "sh": "SH", "zh": "SH", "ch": "SH", "jh": "SH", "r": "R",
    "k": "K", "g": "K", "ng": "NG", "hh": "H", "hv": "H", "w": "W", "y": "Y",
    "iy": "IY", "ih": "IH", "ix": "IH", "eh": "EH", "ey": "EH IY", "ae": "AE", "aa": "AA",
    "ah": "AH", "ax": "AX", "axr": "ER", "er": "ER", "ao": "AO", "ow": "OW UW", "uh": "UH",
    "uw": "UW", "ay": "AA IH", "aw": "AA UH", "oy": "AO IH",
    "pau": "sil", "h#": "sil", "#": "sil", "sil": "sil", "brth": "sil", "ssil": "sil",
}  # fmt: skip
_IPA = {
    "p": "P", "b": "P", "m": "M", "ɱ": "F", "f": "F", "v": "F", "ʋ": "F", "β": "W", "ɸ": "F",
    "θ": "TH", "ð": "TH", "t": "T", "d": "T", "n": "N", "ɾ": "T", "ʈ": "T", "ɖ": "T", "ɗ": "T",
    "l": "L", "ɫ": "L", "ɭ": "L", "ʎ": "Y", "s": "S", "z": "S", "ʃ": "SH", "ʒ": "SH", "ʂ": "SH",
    "ʐ": "SH", "ɕ": "SH", "ʑ": "SH", "r": "T", "ɹ": "R", "ʁ": "K", "ʀ": "K", "ɻ": "R",
    "k": "K", "ɡ": "K", "g": "K", "ŋ": "NG", "x": "K", "ɣ": "K", "χ": "K", "ç": "Y", "ɲ": "Y",
    "h": "H", "ɦ": "H", "ʔ": "H", "w": "W", "ʍ": "W", "ɥ": "W", "j": "Y", "ʝ": "Y", "c": "Y",
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AA",
    "ɐ": "AH", "ɑ": "AA", "ʌ": "AH", "ə": "AX", "ɚ": "ER", "ɜ": "ER", "ɝ": "ER", "ɔ": "AO",
    "ɒ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "ʉ": "UW", "y": "UE", "ʏ": "UE", "ø": "OE",
    "œ": "OE", "ɯ": "IH", "ɵ": "UH", "ɴ": "NG", "ɽ": "T", "ɟ": "Y", "q": "K",
}  # fmt: skip


# Festival's Italian, Finnish, Catalan (SAMPA, nearly), Czech and Russian sounds; lengths, stress
# and doubled (long, palatalised) letters are taken off first.
_SAMPA = {
    "S": "SH", "Z": "SH", "tS": "SH", "dZ": "SH", "ts": "S", "dz": "S", "J": "Y", "L": "Y",
    "N": "NG", "ng": "NG", "nf": "F", "E": "EH", "O": "AO", "o": "OW", "w": "W", "j": "Y",
    "@": "AE", "7": "OE", "&": "AX", "ax": "AX", "y": "UE", "T": "TH", "D": "TH", "r": "T",
}  # fmt: skip
_CZECH = {
    "c": "S", "c~": "SH", "ch": "K", "s~": "SH", "z~": "SH", "r~": "SH", "r~*": "SH", "dz~": "SH",
    "n~": "Y", "n*": "NG", "d~": "Y", "t~": "Y", "dz": "S", "j": "Y", "r": "T", "h": "H",
}  # fmt: skip
_RUSSIAN = {
    "y": "IH", "yy": "IH", "ae": "AX", "ay": "AX", "ur": "UH", "a": "AH", "i": "IH", "e": "IH",
    "ii": "IY", "oo": "AO", "ee": "EH", "aa": "AA", "c": "S", "ch": "SH", "sh": "SH", "sch": "SH",
    "zh": "SH", "h": "K", "hh": "K", "j": "Y", "r": "T", "rr": "T",
}  # fmt: skip
_TABLES = {"sampa": _SAMPA, "czech": _CZECH, "russian": _RUSSIAN}
_SILENCES = frozenset(("sil", "pau", "#", "_", "##", "h#", "brth", "ssil"))


Gestures = tuple[tuple[str, float, float], ...]


def gestures_of(symbol: str, notation: str) -> list[str]:
    """Gestures of one engine symbol, in order (two for a diphthong); [] for a mark without sound.

    ``notation`` is "arpabet" (either case, stress digits ignored), "ipa", or one of Festival's:
    "sampa", "czech", "russian". An unknown sound counts as "K", which hardly moves the lips.
    """
    if symbol.lower() in _SILENCES:
        return ["sil"]
    if notation == "arpabet":
        return _ARPABET.get(symbol.lower().rstrip("0123456789"), "K").split()
    if notation in _TABLES:
        table, plain = _TABLES[notation], symbol.rstrip("0123456789:") or symbol
        single = plain[:-1] if len(plain) > 1 and plain[-1] == plain[-2] else plain
        return table.get(plain, table.get(single, _IPA.get(single, "K"))).split()
    found: list[str] = []
    for character in unicodedata.normalize("NFD", symbol.replace("s.", "ʂ").replace("z.", "ʐ")):
        if character in _IPA and (not found or found[-1] != _IPA[character]):
            found.append(_IPA[character])
        elif character.isalpha() and character not in _IPA and character not in "ʲʰˈˌːᵝˤ":
            found.append("K")
    # Affricates hold the second half's lips all through; a vowel glide keeps both.
    if len(found) > 1 and not GESTURES[found[0]].vowel:
        if "P" in found:
            return ["P"]
        return ([name for name in found if name not in ("T", "K", "H")] or found)[:1]
    return found[:2]


def gestures_in_time(
    phones: Sequence[tuple[str, float, float]], notation: str
) -> list[tuple[str, float, float]]:
    """Gestures of phones (symbol, start_s, end_s); the parts of a diphthong share its time."""
    found = []
    for symbol, start, end in phones:
        names = gestures_of(symbol, notation)
        # The first half of a diphthong is the longer one.
        middle = start + 0.55 * (end - start)
        spans = [(start, end)] if len(names) == 1 else [(start, middle), (middle, end)]
        found += [(n, a, b) for n, (a, b) in zip(names, spans, strict=False)]
    return found


def merged(gestures: Sequence[tuple[str, float, float]]) -> Gestures:
    """Drop empty sounds and join silences that touch."""
    kept: list[tuple[str, float, float]] = []
    for name, start, end in gestures:
        if end - start < 1e-4:
            continue
        if kept and kept[-1][0] == name == "sil":
            kept[-1] = (name, kept[-1][1], end)
        else:
            kept.append((name, start, end))
    return tuple(kept)
