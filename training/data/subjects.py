# SPDX-License-Identifier: Apache-2.0
"""The 47 people of 3DMEAD and how published work splits them.

``TRAIN``, ``VALIDATION``, ``TEST`` are EMOTE's 70/15/15 by id. The released code of the paper
splits the 32 people of ``TRAIN`` again (``CODE_...``).
"""

from __future__ import annotations

TRAIN = tuple(
    "M003 M005 M007 M009 M011 M012 M013 M019 M022 M023 M024 M025 M026 M027 M028 M029 M030 M031 "
    "W009 W011 W014 W015 W016 W018 W019 W021 W023 W024 W025 W026 W028 W029".split()
)
VALIDATION = tuple("M032 M033 M034 M035 W033 W035 W036".split())
TEST = tuple("M037 M039 M040 M041 M042 W037 W038 W040".split())
MEAD = (*TRAIN, *VALIDATION, *TEST)

CODE_VALIDATION = tuple("M028 M029 M030 M031 W009".split())
CODE_TEST = tuple("W011 W014 W015 W016 W018".split())
CODE_TRAIN = tuple(s for s in TRAIN if s not in (*CODE_VALIDATION, *CODE_TEST))
