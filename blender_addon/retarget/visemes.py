# SPDX-License-Identifier: GPL-3.0-or-later
"""Visemes as ARKit poses: Oculus / Meta 15, Microsoft 22, VRM's five vowels.

Each viseme is a pose of the mouth in ARKit weights, written down from how the sound is made; the
weights of visemes at a frame are those whose mixture comes closest to the frame (``channels``).
Names of shape keys are given as they occur in the wild, without case and separators.
"""

from __future__ import annotations

Pose = dict[str, float]

_OPEN = "jawOpen"


def _both(name: str, weight: float) -> Pose:
    return {f"{name}Left": weight, f"{name}Right": weight}


_P: Pose = {_OPEN: 0.08, "mouthClose": 0.08, **_both("mouthPress", 0.45)}
_F: Pose = {_OPEN: 0.08, "mouthRollLower": 0.45, **_both("mouthUpperUp", 0.25)}
_TH: Pose = {_OPEN: 0.14, "tongueOut": 0.35, **_both("mouthLowerDown", 0.15)}
_D: Pose = {_OPEN: 0.12, **_both("mouthLowerDown", 0.2), **_both("mouthUpperUp", 0.1)}
_K: Pose = {_OPEN: 0.2, **_both("mouthLowerDown", 0.15)}
_SH: Pose = {_OPEN: 0.08, "mouthFunnel": 0.55, **_both("mouthUpperUp", 0.1)}
_S: Pose = {_OPEN: 0.04, **_both("mouthStretch", 0.3), **_both("mouthLowerDown", 0.25)}
_N: Pose = {_OPEN: 0.1, **_both("mouthUpperUp", 0.15)}
_R: Pose = {_OPEN: 0.1, "mouthFunnel": 0.3, "mouthPucker": 0.2}
_AA: Pose = {_OPEN: 0.5, **_both("mouthLowerDown", 0.25), **_both("mouthUpperUp", 0.12)}
_AE: Pose = {_OPEN: 0.36, **_both("mouthStretch", 0.2), **_both("mouthLowerDown", 0.25)}
_AO: Pose = {_OPEN: 0.36, "mouthFunnel": 0.4}
_EH: Pose = {_OPEN: 0.26, **_both("mouthStretch", 0.25), **_both("mouthLowerDown", 0.25)}
_ER: Pose = {_OPEN: 0.18, "mouthFunnel": 0.25}
_IY: Pose = {_OPEN: 0.12, **_both("mouthSmile", 0.3), **_both("mouthStretch", 0.25)}
_OW: Pose = {_OPEN: 0.24, "mouthFunnel": 0.5, "mouthPucker": 0.25}
_UW: Pose = {_OPEN: 0.08, "mouthFunnel": 0.2, "mouthPucker": 0.75}
_AW: Pose = {_OPEN: 0.42, "mouthFunnel": 0.25}
_OY: Pose = {_OPEN: 0.3, "mouthFunnel": 0.45, **_both("mouthSmile", 0.1)}
_AY: Pose = {_OPEN: 0.4, **_both("mouthSmile", 0.2)}
_H: Pose = {_OPEN: 0.16}
_L: Pose = {_OPEN: 0.18, "tongueOut": 0.1, **_both("mouthLowerDown", 0.15)}

# Set -> viseme -> (pose, names of its shape key). The first pose of a set is silence.
VISEMES: dict[str, dict[str, tuple[Pose, tuple[str, ...]]]] = {
    "oculus": {
        "sil": ({}, ("visemesil", "vsil", "vrcvsil")),
        "PP": (_P, ("visemepp", "vpp", "vrcvpp")),
        "FF": (_F, ("visemeff", "vff", "vrcvff")),
        "TH": (_TH, ("visemeth", "vth", "vrcvth")),
        "DD": (_D, ("visemedd", "vdd", "vrcvdd")),
        "kk": (_K, ("visemekk", "vkk", "vrcvkk")),
        "CH": (_SH, ("visemech", "vch", "vrcvch")),
        "SS": (_S, ("visemess", "vss", "vrcvss")),
        "nn": (_N, ("visemenn", "vnn", "vrcvnn")),
        "RR": (_R, ("visemerr", "vrr", "vrcvrr")),
        "aa": (_AA, ("visemeaa", "vaa", "vrcvaa")),
        "E": (_EH, ("visemee", "ve", "vrcve")),
        "ih": (_IY, ("visemeih", "visemei", "vih", "vi", "vrcvih")),
        "oh": (_AO, ("visemeoh", "visemeo", "voh", "vo", "vrcvoh")),
        "ou": (_UW, ("visemeou", "visemeu", "vou", "vu", "vrcvou")),
    },
    "microsoft": {
        "0": ({}, ("viseme0", "viseme00", "silence")),
        "1": (_AE, ("viseme1", "viseme01", "aeaxah")),
        "2": (_AA, ("viseme2", "viseme02", "aa")),
        "3": (_AO, ("viseme3", "viseme03", "ao")),
        "4": (_EH, ("viseme4", "viseme04", "eyehuh")),
        "5": (_ER, ("viseme5", "viseme05", "er")),
        "6": (_IY, ("viseme6", "viseme06", "yiyihix")),
        "7": (_UW, ("viseme7", "viseme07", "wuw")),
        "8": (_OW, ("viseme8", "viseme08", "ow")),
        "9": (_AW, ("viseme9", "viseme09", "aw")),
        "10": (_OY, ("viseme10", "oy")),
        "11": (_AY, ("viseme11", "ay")),
        "12": (_H, ("viseme12", "h")),
        "13": (_R, ("viseme13", "r")),
        "14": (_L, ("viseme14", "l")),
        "15": (_S, ("viseme15", "sz")),
        "16": (_SH, ("viseme16", "shchjhzh")),
        "17": (_TH, ("viseme17", "thdh", "dh")),
        "18": (_F, ("viseme18", "fv")),
        "19": (_D, ("viseme19", "dtn", "dtnth")),
        "20": (_K, ("viseme20", "kgng")),
        "21": (_P, ("viseme21", "pbm")),
    },
    "vrm": {
        "sil": ({}, ()),
        "aa": (_AA, ("aa", "a", "fclmtha", "mtha")),
        "ih": (_IY, ("ih", "i", "fclmthi", "mthi")),
        "ou": (_UW, ("ou", "u", "fclmthu", "mthu")),
        "ee": (_EH, ("ee", "e", "fclmthe", "mthe")),
        "oh": (_AO, ("oh", "o", "fclmtho", "mtho")),
    },
}
