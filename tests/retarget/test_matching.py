# SPDX-License-Identifier: Apache-2.0
"""Names are found in any spelling; what is not there is said; nothing else is taken for a shape."""

import random

import pytest

from blender_addon.retarget.matching import Character, match_arkit, match_visemes, propose
from blender_addon.retarget.model import BONE
from blender_addon.retarget.report import report
from blender_addon.retarget.tokens import words
from blender_addon.rig.names import ARKIT_NAMES
from tests.retarget import characters as made_up


@pytest.mark.parametrize("style", made_up.STYLES)
@pytest.mark.parametrize("side", made_up.SIDES)
@pytest.mark.parametrize("prefix", made_up.PREFIXES)
def test_arkit_in_any_spelling(style: str, side: str, prefix: str) -> None:
    for suffix in made_up.SUFFIXES:
        keys = {prefix + made_up.respelled(n, style, side) + suffix: n for n in ARKIT_NAMES}
        order = random.Random(style + side + prefix).sample(sorted(keys), len(keys))
        found = match_arkit(["Basis", *order, "Key 1", "smug_face", "mouthwash"])
        assert found == {key: [(name, 1.0)] for key, name in keys.items()}


def test_sides_may_come_first() -> None:
    assert match_arkit(["L_mouthSmile", "Right Eye Blink", "left-brow-down"]) == {
        "L_mouthSmile": [("mouthSmileLeft", 1.0)],
        "Right Eye Blink": [("eyeBlinkRight", 1.0)],
        "left-brow-down": [("browDownLeft", 1.0)],
    }


def test_shapes_split_into_sides_are_both_driven() -> None:
    keys = ["jaw_open_L", "jaw_open_R", "browInnerUp_L", "browInnerUp_R", "cheekPuff.L"]
    found = match_arkit(keys)
    assert found["jaw_open_L"] == found["jaw_open_R"] == [("jawOpen", 1.0)]
    assert found["browInnerUp_R"] == [("browInnerUp", 1.0)]
    assert found["cheekPuff.L"] == [("cheekPuff", 1.0)]


def test_merged_sides_take_half_of_each() -> None:
    found = match_arkit(["eyeBlink", "Mouth_Smile", "jawOpen"])
    assert found["eyeBlink"] == [("eyeBlinkLeft", 0.5), ("eyeBlinkRight", 0.5)]
    assert found["Mouth_Smile"] == [("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.5)]


@pytest.mark.parametrize(
    "key",
    ["Basis", "Key 1", "mouth", "left", "fat", "old_man", "eyelashesLong", "jawline_wide2", "Smug"],
)
def test_other_keys_are_left_alone(key: str) -> None:
    assert key not in match_arkit([key])
    assert propose(Character({"Body": (key,)})).rows == ()


def test_a_strange_prefix_needs_a_family() -> None:
    assert match_arkit(["grumpy_jawOpen"]) == {}
    family = [f"grumpy_{name}" for name in ARKIT_NAMES[:5]]
    assert len(match_arkit(family)) == 5


def test_words() -> None:
    assert words("!ex-jawOpen") == ("ex", "jaw", "open")
    assert words("Mouth_Smile_L") == words("mouthsmileleft") == ("mouth", "smile", "left")
    assert words("browInnerUpRT")[-2:] == ("up", "right")


CASES = {
    "cc4": Character(
        {"CC_Base_Body": made_up.CC4_KEYS, "CC_Base_Tongue": ("Tongue_Out", "V_Open")},
        {"Armature": ("CC_Base_Head", "CC_Base_JawRoot", "CC_Base_L_Eye", "CC_Base_R_Eye")},
    ),
    "metahuman": Character({"head_lod0": made_up.META_HUMAN_KEYS}),
    "arkit": Character({"Face": ARKIT_NAMES, "Teeth": ("jawOpen", "jawLeft"), "Lashes": ()}),
}


@pytest.mark.parametrize("convention", CASES)
def test_a_full_character_is_driven_completely(convention: str) -> None:
    found = propose(CASES[convention])
    assert found.convention == convention
    result = report(found, CASES[convention])
    assert result.missing == () and result.sentences() == [] and result.lost == ()
    assert "52 of 52" in result.headline()


def test_character_creator_turns_its_jaw_bone_and_its_keys() -> None:
    found = propose(CASES["cc4"])
    by_name = {(row.target.owner, row.target.name): row for row in found.rows}
    jaw = by_name["Armature", "CC_Base_JawRoot"]
    assert jaw.target.kind == BONE
    assert by_name["CC_Base_Body", "Jaw_Open"].sources == (("jawOpen", 1.0),)
    assert by_name["CC_Base_Tongue", "Tongue_Out"].sources == (("tongueOut", 1.0),)
    assert by_name["CC_Base_Body", "Eye_L_Look_R"].sources == (("eyeLookInLeft", 1.0),)
    assert ("Armature", "CC_Base_L_Eye") not in by_name, "its keys look already"
    assert ("CC_Base_Body", "V_Open") not in by_name
    assert ("CC_Base_Body", "Mouth_Smile_Sharp_L") not in by_name


def test_several_meshes_are_driven_at_once() -> None:
    found = propose(CASES["arkit"])
    assert found.owners() == ("Face", "Teeth")
    result = report(found, CASES["arkit"])
    assert result.per_owner == {"Face": 52, "Teeth": 2}


@pytest.mark.parametrize(
    ("keys", "family", "count"),
    [
        (made_up.OCULUS_KEYS, "oculus", 15),
        (made_up.VRCHAT_KEYS, "oculus", 15),
        (made_up.MICROSOFT_KEYS, "microsoft", 22),
        (made_up.VRM0_KEYS, "vrm", 5),
        (made_up.VRM1_KEYS, "vrm", 5),
        (made_up.VROID_KEYS, "vrm", 5),
    ],
)
def test_visemes_are_recognised_and_blinks_beside_them(
    keys: tuple[str, ...], family: str, count: int
) -> None:
    assert match_visemes(keys)[0] == family
    found = propose(Character({"Face": keys}))
    assert found.convention == family
    visemes = [row for row in found.rows if row.sources[0][0].startswith(f"{family}:")]
    assert len(visemes) == count and len({row.sources for row in visemes}) == count
    reached = {name for row in found.rows for name, _ in row.sources}
    blinks = {"eyeBlinkLeft", "eyeBlinkRight"} <= reached
    assert blinks == (family == "vrm")
    missing = report(found, Character({"Face": keys})).important
    assert ("eyeBlinkLeft" in missing) is not blinks
    assert "jawOpen" not in missing


def test_shapes_of_the_mouth_are_preferred_to_visemes() -> None:
    found = propose(Character({"Avatar": (*ARKIT_NAMES, *made_up.OCULUS_KEYS, "mouthOpen")}))
    assert found.convention == "arkit" and len(found.rows) == 52


def test_visemes_are_preferred_to_a_lone_jaw_key() -> None:
    found = propose(Character({"Avatar": (*made_up.OCULUS_KEYS, "jawOpen", "mouthOpen")}))
    assert {row.target.name for row in found.rows} == set(made_up.OCULUS_KEYS)


@pytest.mark.parametrize(
    ("bones", "jaw", "eyes"),
    [
        (made_up.RIGIFY_BONES, "jaw_master", "master_eye.L"),
        (made_up.MIXAMO_BONES, "mixamorig:Jaw", "mixamorig:LeftEye"),
        (("Head", "Jaw", "eyelid_upper.L", "eyelid_upper.R"), "Jaw", ""),
    ],
)
def test_bone_rigs(bones: tuple[str, ...], jaw: str, eyes: str) -> None:
    character = Character({"Body": ("Basis",)}, {"Rig": bones})
    found = propose(character)
    assert found.convention == ("rigify" if jaw == "jaw_master" else "bones")
    by_target = {(row.target.name, row.target.component): row for row in found.rows}
    opening = dict(by_target[jaw, "turn_x_deg"].sources)
    assert opening["jawOpen"] > 15 and opening["mouthClose"] == -opening["jawOpen"]
    assert by_target[jaw, "turn_y_deg"].low < 0 < by_target[jaw, "turn_y_deg"].high
    if eyes:
        look = dict(by_target[eyes, "turn_y_deg"].sources)
        assert look["eyeLookOutLeft"] > 0 > look["eyeLookInLeft"]
    else:
        assert by_target["eyelid_upper.L", "turn_x_deg"].sources[0][0] == "eyeBlinkLeft"
    said = " ".join(report(found, character).sentences())
    assert "mouthPucker" in said and "mouthClose" not in said


def test_missing_important_channels_are_said_first() -> None:
    few = [n for n in ARKIT_NAMES if n not in ("jawOpen", "eyeBlinkLeft", "noseSneerLeft")]
    character = Character({"Face": tuple(few)})
    sentences = report(propose(character), character).sentences()
    assert sentences[0] == "Nothing drives jawOpen: the mouth will not open."
    assert sentences[1].startswith("Nothing drives eyeBlinkLeft")
    assert sentences[2] == "1 other shapes are not driven: noseSneerLeft."


def test_a_missing_close_key_is_made_up_for_by_the_jaw() -> None:
    keys = tuple(name for name in ARKIT_NAMES if name != "mouthClose")
    found = propose(Character({"Face": keys}))
    jaw = next(row for row in found.rows if row.target.name == "jawOpen")
    assert dict(jaw.sources) == {"jawOpen": 1.0, "mouthClose": -1.0}
    full = propose(Character({"Face": ARKIT_NAMES}))
    assert dict(next(r for r in full.rows if r.target.name == "jawOpen").sources) == {
        "jawOpen": 1.0
    }


def test_a_character_without_known_names_says_so() -> None:
    character = Character({"Cube": ("Basis", "Key 1")}, {"Rig": ("Bone", "Bone.001")})
    found = propose(character)
    assert found.rows == () and found.convention == "none"
    assert "by hand" in report(found, character).headline()


def test_a_map_for_another_character_names_what_is_lost() -> None:
    found = propose(Character({"Face": ARKIT_NAMES}))
    other = Character({"Head": ARKIT_NAMES[:50]})
    assert len(report(found, other).lost) == 52
    moved = report(found.renamed({"Face": "Head"}), other)
    assert moved.lost == (("Head", ARKIT_NAMES[50]), ("Head", ARKIT_NAMES[51]))
    assert "does not exist" in moved.sentences()[0]
