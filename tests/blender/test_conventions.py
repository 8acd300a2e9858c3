# SPDX-License-Identifier: Apache-2.0
"""A mouth with the keys of each convention: its lips part on an open vowel and meet on p, b, m."""

import bpy
import numpy as np
import pytest

from blender_addon import runtime
from blender_addon.bridge.launch import bundled
from blender_addon.retarget.tokens import plain
from blender_addon.retarget.visemes import VISEMES
from blender_addon.rig import mapped
from lsf_backend.exchange import Performance, write_arkit_json
from lsf_backend.face.arkit import ARKIT_NAMES
from tests.retarget import characters as names

from .made_up import EYES, JAW, bind, keyed, make_rig, world_points

OPENS_MM = {"jawOpen": 30, "mouthClose": -30, "mouthLowerDownLeft": 2, "mouthLowerDownRight": 2}


def _tail(key: str) -> str:
    return plain(key[key.find("Fcl") :]) if "Fcl" in key else plain(key)


def visemes(family: str, keys: tuple[str, ...]) -> dict[str, float]:
    """How far a viseme's key parts the lips at 1 in mm: as its pose does."""
    found = {}
    for pose, spelled in VISEMES[family].values():
        opening = sum(OPENS_MM.get(name, 0) * weight for name, weight in pose.items())
        found |= {key: opening for key in keys if _tail(key) in spelled}
    return found


TOGETHER = tuple(f"CTRL_expressions_mouthLipsTogether{part}" for part in ("UL", "UR", "DL", "DR"))
# Convention: its keys, how far some part the lips at 1 in mm, and the key of p, b and m.
CHARACTERS = {
    "arkit": (ARKIT_NAMES, {"jawOpen": 30, "mouthClose": -30}, "mouthClose"),
    "mpfb": (
        tuple(f"!{name}" for name in ARKIT_NAMES),
        {"!jawOpen": 30, "!mouthClose": -30},
        "!mouthClose",
    ),
    "cc4": (names.CC4_KEYS, {"Jaw_Open": 30, "Mouth_Close": -30}, "Mouth_Close"),
    "metahuman": (
        names.META_HUMAN_KEYS,
        {"CTRL_expressions_jawOpen": 30, **dict.fromkeys(TOGETHER, -7.5)},
        TOGETHER[0],
    ),
    "oculus": (names.OCULUS_KEYS, visemes("oculus", names.OCULUS_KEYS), "viseme_PP"),
    "vrchat": (names.VRCHAT_KEYS, visemes("oculus", names.VRCHAT_KEYS), "vrc.v_pp"),
    "microsoft": (names.MICROSOFT_KEYS, visemes("microsoft", names.MICROSOFT_KEYS), "viseme_21"),
    "vrm0": (names.VRM0_KEYS, visemes("vrm", names.VRM0_KEYS), ""),
    "vrm1": (names.VRM1_KEYS, visemes("vrm", names.VRM1_KEYS), ""),
    "vroid": (names.VROID_KEYS, visemes("vrm", names.VROID_KEYS), ""),
    "mixamo": ((), {}, ""),
}


def mouth(scene, keys: tuple[str, ...], parts: dict[str, float]):
    """Two rows of lips and a row far behind; keys that are not in ``parts`` move the last."""
    xs = np.linspace(-0.02, 0.02, 9)
    rows = [[(x, y, z) for x in xs] for y, z in ((-0.08, 0.0005), (-0.08, -0.0005), (-0.02, 0.05))]
    rest = np.array([point for row in rows for point in row])
    mesh = bpy.data.meshes.new("Mouth")
    mesh.from_pydata(rest.tolist(), [], [])
    made = bpy.data.objects.new("Mouth", mesh)
    scene.collection.objects.link(made)
    if keys:
        made.shape_key_add(name="Basis")
    for key in keys:
        moved = rest.copy()
        if key in parts:
            moved[9:18, 2] -= 0.001 * parts[key]
        else:
            moved[18:, 1] += 0.001
        made.shape_key_add(name=key, from_mix=False).data.foreach_set("co", moved.ravel())
    return made


@pytest.mark.parametrize("convention", CHARACTERS)
def test_lips_part_and_meet(scene, tmp_path, monkeypatch, convention) -> None:
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": bundled())
    keys, parts, closing = CHARACTERS[convention]
    face = mouth(scene, tuple(keys), parts)
    if convention == "mixamo":  # no face but a jaw that somebody added
        jaw = {"mixamorig:Jaw": JAW, "mixamorig:LeftEye": EYES[0], "mixamorig:RightEye": EYES[1]}
        bind(face, make_rig(jaw), {"mixamorig:Jaw": list(range(9, 18))})
    weights = np.zeros((30, 52), dtype=np.float32)
    weights[5:15, ARKIT_NAMES.index("jawOpen")] = 0.5
    weights[5:15, ARKIT_NAMES.index("mouthLowerDownLeft")] = 0.25
    weights[5:15, ARKIT_NAMES.index("mouthLowerDownRight")] = 0.25
    for name in ("jawOpen", "mouthClose"):
        weights[18:28, ARKIT_NAMES.index(name)] = 0.3
    for name in ("mouthPressLeft", "mouthPressRight"):
        weights[18:28, ARKIT_NAMES.index(name)] = 0.3
    write_arkit_json(tmp_path / "a p.json", Performance(25.0, weights, np.zeros((30, 9))))
    scene.render.fps, scene.lsf.head = 25, face
    done = bpy.ops.lsf.import_performance(filepath=str(tmp_path / "a p.json"))
    assert done == {"FINISHED"}, scene.lsf.report
    target = mapped.recognise(face)
    assert target is None or target.fit().convention in (convention, *USUAL[convention])

    def gap_mm(frame: int) -> float:
        points = world_points(face, frame)
        return 1000 * float((points[:9] - points[9:18])[:, 2].mean())

    assert gap_mm(1) == pytest.approx(1.0, abs=0.3)
    assert gap_mm(11) > 8.0, "an open vowel"
    assert gap_mm(24) < 1.7, "p, b or m"
    if closing:
        assert keyed(face, closing)[23] > 0.25 > 0.1 > keyed(face, closing)[10]


USUAL = {
    **{name: () for name in CHARACTERS},
    "mpfb": ("arkit",),
    "vrchat": ("oculus",),
    **dict.fromkeys(("vrm0", "vrm1", "vroid"), ("vrm",)),
    "mixamo": ("bones",),
}
