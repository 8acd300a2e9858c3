# SPDX-License-Identifier: Apache-2.0
"""The corpus's speakers: engine voices spread over pitch, rate and vocal-tract length, seeded."""

from __future__ import annotations

import numpy as np

from training.corpus.engines import Voice

_VARIANTS = (
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 Alex Alicia Andrea "
    "Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike adam anika "
    "antonio aunty belinda benjamin boris caleb david ed edward grandma grandpa gustave iven "
    "john linda max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby "
    "steph travis victor zac "
).split()
_ESPEAK_ENGLISH = ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-us-nyc")
_SHARES = {"espeak": 0.30, "flite": 0.28, "festival": 0.14, "other": 0.28}


def subjects(count: int, seed: int) -> list[Voice]:
    """``count`` speakers in the shares above, English ones first among equals."""
    rng = np.random.default_rng([seed, 1])
    others = ("es", "fr", "it", "de", "ru")
    voices = []
    kinds = [k for k, share in _SHARES.items() for _ in range(max(1, round(share * count)))]
    for number, kind in enumerate(rng.permutation(kinds)[:count]):
        pitch, rate = float(rng.uniform(0.7, 1.4)), float(rng.uniform(0.8, 1.3))
        variant = _VARIANTS[int(rng.integers(len(_VARIANTS)))]
        if kind == "espeak":
            base = str(rng.choice(_ESPEAK_ENGLISH))
            voices.append(Voice("espeak", f"{base}+{variant}", "en", pitch, rate))
        elif kind == "other":
            language = others[number % len(others)]
            voices.append(Voice("espeak", f"{language}+{variant}", language, pitch, rate))
        else:
            names = ("slt", "rms", "awb", "kal16")
            if kind == "festival":
                names = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
            tract = round(float(rng.uniform(0.88, 1.15)), 2)
            pitch = 1.0 + 0.5 * (pitch - 1.0)
            name = names[number % len(names)]
            voices.append(Voice(str(kind), name, "en", pitch, rate, tract))
    return voices
