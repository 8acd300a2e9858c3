# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are not ARKit's own: Character Creator, MetaHuman, MakeHuman, VRM, bones of rigs.

Written down as ARKit name -> the target's names; several names mean that all are moved together.
``L``/``R`` pairs are made from one line where the names differ in the side alone.
"""

from __future__ import annotations

Rows = dict[str, tuple[tuple[str, float], ...]]


def _rows(table: str, sides: tuple[str, str]) -> Rows:
    """``arkit: name gain, name gain`` a line; a * is replaced by both sides."""
    found: Rows = {}
    for line in filter(None, (line.strip() for line in table.splitlines())):
        source, _, names = line.partition(":")
        pairs = []
        for part in names.split(","):
            name, _, gain = part.strip().partition(" ")
            pairs.append((name, float(gain or 1.0)))
        if "*" in source:
            for arkit, side in zip(("Left", "Right"), sides, strict=True):
                found[source.replace("*", arkit)] = tuple(
                    (name.replace("*", side), gain) for name, gain in pairs
                )
        else:
            found[source] = tuple(
                (name.replace("*", side), gain)
                for name, gain in pairs
                for side in (sides if "*" in name else ("",))
            )
    return found


# Character Creator 4 (extended set): the jaw is a bone there, mouth keys assume that it moves.
CC4: Rows = _rows(
    """
    eyeBlink*: Eye_Blink_*
    eyeSquint*: Eye_Squint_*
    eyeWide*: Eye_Wide_*
    eyeLookUp*: Eye_*_Look_Up
    eyeLookDown*: Eye_*_Look_Down
    eyeLookOutLeft: Eye_L_Look_L
    eyeLookInLeft: Eye_L_Look_R
    eyeLookOutRight: Eye_R_Look_R
    eyeLookInRight: Eye_R_Look_L
    jawOpen: Jaw_Open
    jawForward: Jaw_Forward
    jawLeft: Jaw_L
    jawRight: Jaw_R
    mouthClose: Mouth_Close
    mouthFunnel: Mouth_Funnel_Up_*, Mouth_Funnel_Down_*
    mouthPucker: Mouth_Pucker_Up_*, Mouth_Pucker_Down_*
    mouthLeft: Mouth_L
    mouthRight: Mouth_R
    mouthSmile*: Mouth_Smile_*
    mouthFrown*: Mouth_Frown_*
    mouthDimple*: Mouth_Dimple_*
    mouthStretch*: Mouth_Stretch_*
    mouthRollLower: Mouth_Roll_In_Lower_*
    mouthRollUpper: Mouth_Roll_In_Upper_*
    mouthShrugLower: Mouth_Shrug_Lower
    mouthShrugUpper: Mouth_Shrug_Upper
    mouthPress*: Mouth_Press_*
    mouthLowerDown*: Mouth_Down_Lower_*
    mouthUpperUp*: Mouth_Up_Upper_*
    browDown*: Brow_Drop_*
    browInnerUp: Brow_Raise_Inner_*
    browOuterUp*: Brow_Raise_Outer_*
    cheekPuff: Cheek_Puff_*
    cheekSquint*: Cheek_Raise_*
    noseSneer*: Nose_Sneer_*
    tongueOut: Tongue_Out
    """,
    ("L", "R"),
)

# MetaHuman's raw controls, without their prefix CTRL_expressions_.
METAHUMAN: Rows = _rows(
    """
    eyeBlink*: eyeBlink*
    eyeSquint*: eyeSquintInner*
    eyeWide*: eyeWiden*
    eyeLookUp*: eyeLookUp*
    eyeLookDown*: eyeLookDown*
    eyeLookOutLeft: eyeLookLeftL
    eyeLookInLeft: eyeLookRightL
    eyeLookOutRight: eyeLookRightR
    eyeLookInRight: eyeLookLeftR
    jawOpen: jawOpen
    jawForward: jawFwd
    jawLeft: jawLeft
    jawRight: jawRight
    mouthClose: mouthLipsTogetherU*, mouthLipsTogetherD*
    mouthFunnel: mouthFunnelU*, mouthFunnelD*
    mouthPucker: mouthLipsPurseU*, mouthLipsPurseD*
    mouthLeft: mouthLeft
    mouthRight: mouthRight
    mouthSmile*: mouthCornerPull*
    mouthFrown*: mouthCornerDepress*
    mouthDimple*: mouthDimple*
    mouthStretch*: mouthStretch*
    mouthRollLower: mouthLowerLipRollIn*
    mouthRollUpper: mouthUpperLipRollIn*
    mouthShrugLower: jawChinRaiseD*
    mouthShrugUpper: jawChinRaiseU*
    mouthPress*: mouthPressU*, mouthPressD*
    mouthLowerDown*: mouthLowerLipDepress*
    mouthUpperUp*: mouthUpperLipRaise*
    browDown*: browDown*
    browInnerUp: browRaiseIn*
    browOuterUp*: browRaiseOuter*
    cheekPuff: mouthCheekBlow*
    cheekSquint*: eyeCheekRaise*
    noseSneer*: noseWrinkle*
    tongueOut: tongueOut
    """,
    ("L", "R"),
)

# MakeHuman's older expression units (MPFB's face units have ARKit's own names).
MAKEHUMAN: Rows = _rows(
    """
    jawOpen: mouth-open
    eyeBlink*: eye-*-closure
    eyeWide*: eye-*-opened-up
    eyeSquint*: eye-*-slit
    browInnerUp: eyebrows-*-inner-up
    browOuterUp*: eyebrows-*-extern-up
    browDown*: eyebrows-*-down
    """,
    ("left", "right"),
)

# VRM beside its vowels: VRM 1's and VRM 0's presets, and VRoid's names of the same.
VRM: Rows = {
    "eyeBlinkLeft": (("blinkLeft", 1.0), ("blink_l", 1.0), ("Fcl_EYE_Close_L", 1.0)),
    "eyeBlinkRight": (("blinkRight", 1.0), ("blink_r", 1.0), ("Fcl_EYE_Close_R", 1.0)),
}

TABLES: dict[str, Rows] = {
    "cc4": CC4,
    "metahuman": METAHUMAN,
    "makehuman": MAKEHUMAN,
    "vrm": VRM,
}

_BLINK = (("eyeBlinkLeft", 0.5), ("eyeBlinkRight", 0.5))
_SMILE = (("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.5))
# Keys for both sides or the whole mouth, without case and separators: used where no finer one is.
WHOLE: dict[str, tuple[tuple[str, float], ...]] = {
    **dict.fromkeys(("blink", "fcleyeclose", "eyesclosed", "eyeclose", "eyesclose"), _BLINK),
    **dict.fromkeys(("mouthopen", "openmouth", "vopen"), (("jawOpen", 1.0),)),
    **dict.fromkeys(("smile", "mouthsmile"), _SMILE),
}

# Bones, without case and separators, in order of preference: controls before deforming bones.
JAW_BONES = (
    *("jawmaster", "cjawbonex", "cjawbone", "ccbasejawroot", "jaw", "jawbone", "mixamorigjaw"),
    *("jadjcjaw", "facialcjaw", "jaw01", "jawroot", "headjaw", "defjaw", "bip01jaw"),
)
EYE_BONES = {
    "left": (
        *("mastereyel", "eyel", "eyeleft", "lefteye", "ccbaseleye", "mixamoriglefteye"),
        *("jadjlfaceeye", "leye", "ceyel"),
    ),
    "right": (
        *("mastereyer", "eyer", "eyeright", "righteye", "ccbasereye", "mixamorigrighteye"),
        *("jadjrfaceeye", "reye", "ceyer"),
    ),
}
LID_BONES = {
    "left": ("eyelidupperl", "upperlidl", "lideyelidtopl", "eyelidtopl", "leyelidupper"),
    "right": ("eyelidupperr", "upperlidr", "lideyelidtopr", "eyelidtopr", "reyelidupper"),
}
# Degrees at weight 1; the bundled head's own jaw and eyes turn by so much.
JAW_OPEN_DEG = 24.0
JAW_SIDE_DEG = 4.6
EYE_DEG = {"Down": 10.5, "Up": 9.3, "In": 14.3, "Out": 13.7}
LID_DEG = 35.0
