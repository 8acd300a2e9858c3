# SPDX-License-Identifier: Apache-2.0
"""Names of made-up characters, one for each convention that people bring."""

import re

from blender_addon.rig.names import ARKIT_NAMES

CC4_KEYS = tuple(
    "Eye_Blink_L Eye_Blink_R Eye_Squint_L Eye_Squint_R Eye_Wide_L Eye_Wide_R Eye_L_Look_L "
    "Eye_R_Look_L Eye_L_Look_R Eye_R_Look_R Eye_L_Look_Up Eye_R_Look_Up Eye_L_Look_Down "
    "Eye_R_Look_Down Brow_Raise_Inner_L Brow_Raise_Inner_R Brow_Raise_Outer_L Brow_Raise_Outer_R "
    "Brow_Drop_L Brow_Drop_R Brow_Compress_L Nose_Sneer_L Nose_Sneer_R Cheek_Raise_L "
    "Cheek_Raise_R Cheek_Puff_L Cheek_Puff_R Cheek_Suck_L Mouth_Smile_L Mouth_Smile_R "
    "Mouth_Smile_Sharp_L Mouth_Frown_L Mouth_Frown_R Mouth_Stretch_L Mouth_Stretch_R "
    "Mouth_Dimple_L Mouth_Dimple_R Mouth_Press_L Mouth_Press_R Mouth_Pucker_Up_L "
    "Mouth_Pucker_Up_R Mouth_Pucker_Down_L Mouth_Pucker_Down_R Mouth_Funnel_Up_L "
    "Mouth_Funnel_Up_R Mouth_Funnel_Down_L Mouth_Funnel_Down_R Mouth_Roll_In_Upper_L "
    "Mouth_Roll_In_Upper_R Mouth_Roll_In_Lower_L Mouth_Roll_In_Lower_R Mouth_Roll_Out_Upper_L "
    "Mouth_L Mouth_R Mouth_Shrug_Upper Mouth_Shrug_Lower Mouth_Up_Upper_L Mouth_Up_Upper_R "
    "Mouth_Down_Lower_L Mouth_Down_Lower_R Mouth_Close Jaw_Open Jaw_Forward Jaw_L Jaw_R "
    "Tongue_Out V_Open V_Explosive V_Dental_Lip".split()
)
META_HUMAN_KEYS = tuple(
    f"CTRL_expressions_{name}"
    for name in (
        "browDownL browDownR browRaiseInL browRaiseInR browRaiseOuterL browRaiseOuterR "
        "eyeBlinkL eyeBlinkR eyeWidenL eyeWidenR eyeSquintInnerL eyeSquintInnerR eyeCheekRaiseL "
        "eyeCheekRaiseR eyeLookUpL eyeLookUpR eyeLookDownL eyeLookDownR eyeLookLeftL "
        "eyeLookLeftR eyeLookRightL eyeLookRightR noseWrinkleL noseWrinkleR mouthCheekBlowL "
        "mouthCheekBlowR mouthLeft mouthRight mouthUpperLipRaiseL mouthUpperLipRaiseR "
        "mouthLowerLipDepressL mouthLowerLipDepressR mouthCornerPullL mouthCornerPullR "
        "mouthStretchL mouthStretchR mouthDimpleL mouthDimpleR mouthCornerDepressL "
        "mouthCornerDepressR mouthPressUL mouthPressUR mouthPressDL mouthPressDR "
        "mouthLipsPurseUL mouthLipsPurseUR mouthLipsPurseDL mouthLipsPurseDR "
        "mouthLipsTogetherUL mouthLipsTogetherUR mouthLipsTogetherDL mouthLipsTogetherDR "
        "mouthFunnelUL mouthFunnelUR mouthFunnelDL mouthFunnelDR mouthUpperLipRollInL "
        "mouthUpperLipRollInR mouthLowerLipRollInL mouthLowerLipRollInR jawOpen jawLeft "
        "jawRight jawFwd jawChinRaiseDL jawChinRaiseDR jawChinRaiseUL jawChinRaiseUR tongueOut"
    ).split()
)
OCULUS_KEYS = tuple(
    f"viseme_{name}" for name in "sil PP FF TH DD kk CH SS nn RR aa E I O U".split()
)
VRCHAT_KEYS = tuple(
    f"vrc.v_{name}" for name in "sil pp ff th dd kk ch ss nn rr aa e ih oh ou".split()
)
MICROSOFT_KEYS = tuple(f"viseme_{number:02d}" for number in range(22))
VRM0_KEYS = ("A", "I", "U", "E", "O", "Blink_L", "Blink_R", "Joy", "Angry")
VRM1_KEYS = ("aa", "ih", "ou", "ee", "oh", "blink", "happy", "sad")
VROID_KEYS = tuple(
    f"Face.M_F00_000_00_Fcl_{name}"
    for name in "ALL_Joy MTH_A MTH_I MTH_U MTH_E MTH_O EYE_Close_L EYE_Close_R BRW_Angry".split()
)
RIGIFY_BONES = tuple("spine.006 jaw_master jaw DEF-jaw master_eye.L master_eye.R eye.L".split())
MIXAMO_BONES = ("mixamorig:Head", "mixamorig:Jaw", "mixamorig:LeftEye", "mixamorig:RightEye")


def respelled(name: str, style: str, side: str) -> str:
    """An ARKit name in another spelling: ``style`` joins the words, ``side`` marks the side."""
    parts = re.findall(r"[A-Z]?[a-z]+", name)
    mark = ""
    if parts[-1] in ("Left", "Right") and side != "word":
        mark = side.replace("L", parts[-1][0])
        parts = parts[:-1]
    joined = {
        "camel": name[: len("".join(parts))],
        "Pascal": "".join(part.capitalize() for part in parts),
        "snake": "_".join(part.lower() for part in parts),
        "Snake": "_".join(part.capitalize() for part in parts),
        "kebab": "-".join(part.lower() for part in parts),
        "words": " ".join(part.lower() for part in parts),
        "UPPER": "_".join(part.upper() for part in parts),
        "lower": "".join(part.lower() for part in parts),
    }[style]
    return joined + mark


STYLES = ("camel", "Pascal", "snake", "Snake", "kebab", "words", "UPPER", "lower")
SIDES = ("word", "_L", ".L", "-L", " L")
PREFIXES = ("", "!ex-", "Face_Blendshape.", "CC_Base_Body.", "mygirl_", "Head_Mesh_03|", "ARKit ")
SUFFIXES = ("", "_Mesh", ".001", "-bs")
ALL = ARKIT_NAMES
