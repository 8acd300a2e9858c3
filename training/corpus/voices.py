# SPDX-License-Identifier: Apache-2.0
"""The corpus's speakers: engine voices spread over pitch, rate and vocal-tract length, seeded."""

from __future__ import annotations

import numpy as np

from training.corpus.engines import Voice

N_SUBJECTS = 160
_VARIANTS = (
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 klatt5 klatt6 Alex Alicia "
    "Andrea Andy Annie AnxiousAndy Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario "
    "Michael Mike adam anika announcer antonio aunty belinda benjamin boris caleb david ed edward "
    "edward2 grandma grandpa gustave iven iven2 iven3 iven4 john kaukovalta linda marcelo max "
    "michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 "
    "travis victor zac"
).split()
_ESPEAK_ENGLISH = (
    "en-us en-us en-us en-gb-x-rp en en-gb-x-gbclan en-gb-scotland en-gb-x-gbcwmd en-us-nyc en-029"
).split()
# espeak-ng's names of its voices where they are not the language's own; Mandarin is in pinyin.
_ESPEAK_NAMES = {"pt": "pt-br", "zh": "cmn-latn-pinyin"}
_ESPEAK_OTHERS = (
    "es es es-419 fr fr fr-be de de de ru it zh zh zh pt pt pl nl sv tr hi ja ko vi el id hu uk es "
    "fr zh"
).split()
_FLITE = ("slt", "rms", "awb", "kal16")
_FESTIVAL = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
_FESTIVAL_OTHERS = (
    ("lp_diphone", "it"), ("pc_diphone", "it"), ("msu_ru_nsh_clunits", "ru"),
    ("suo_fi_lj_diphone", "fi"), ("hy_fi_mv_diphone", "fi"), ("upc_ca_ona_hts", "ca"),
    ("czech_dita", "cs"), ("czech_machac", "cs"), ("czech_ph", "cs"), ("czech_krb", "cs"),
    ("lp_diphone", "it"), ("pc_diphone", "it"), ("msu_ru_nsh_clunits", "ru"),
)  # fmt: skip
_SHARES = {"flite": 0.23, "festival": 0.15, "espeak": 0.21, "festival_other": 0.10,
           "espeak_other": 0.31}  # fmt: skip


def subjects(count: int, seed: int) -> list[Voice]:
    """``count`` speakers in the shares above; the tract scale makes speakers of one engine voice.

    Voices that change neither pitch nor rate by settings are told apart by their tract alone.
    """
    rng = np.random.default_rng([seed, 1])
    kinds = [k for k, share in _SHARES.items() for _ in range(max(1, round(share * count)))]
    kinds = (kinds + ["espeak"] * count)[:count]
    used = dict.fromkeys(_SHARES, 0)
    voices = []
    for kind in (str(k) for k in rng.permutation(kinds)):
        pitch, rate = float(rng.uniform(0.7, 1.4)), float(rng.uniform(0.85, 1.25))
        tract, span = float(rng.uniform(0.88, 1.15)), float(rng.uniform(0.7, 1.4))
        variant, turn = _VARIANTS[int(rng.integers(len(_VARIANTS)))], used[kind]
        used[kind] += 1
        if kind.startswith("espeak"):
            base = language = "en"
            if kind == "espeak":
                base = _ESPEAK_ENGLISH[turn % len(_ESPEAK_ENGLISH)]
            else:
                other = _ESPEAK_OTHERS[turn % len(_ESPEAK_OTHERS)]
                base, language = _ESPEAK_NAMES.get(other, other), other[:2]
            tract = round(1.0 + 0.5 * (tract - 1.0), 2)
            voices.append(Voice("espeak", f"{base}+{variant}", language, pitch, rate, tract, span))
            continue
        if kind == "flite":
            name, language = _FLITE[turn % len(_FLITE)], "en"
        elif kind == "festival":
            name, language = _FESTIVAL[turn % len(_FESTIVAL)], "en"
        else:
            name, language = _FESTIVAL_OTHERS[turn % len(_FESTIVAL_OTHERS)]
        engine = "flite" if kind == "flite" else "festival"
        pitch = 1.0 + 0.5 * (pitch - 1.0)
        voices.append(Voice(engine, name, language, pitch, rate, round(tract, 2), span))
    return voices


def split_of(stem: str) -> str:
    """Part of a clip ``S<subject>_...``: one subject in ten each for validation and for test."""
    turn = int(stem[1:4]) % 10
    return {8: "validation", 9: "test"}.get(turn, "train")
