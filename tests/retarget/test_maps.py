# SPDX-License-Identifier: Apache-2.0
"""Maps as files and as functions: round trips, refusals, curves, and the solve by geometry."""

import json

import numpy as np
import pytest

from blender_addon.retarget.apply import curves
from blender_addon.retarget.channels import channel_curves, viseme_curves
from blender_addon.retarget.matching import Character, propose
from blender_addon.retarget.model import (
    BONE,
    MapError,
    RetargetMap,
    Row,
    Target,
    check,
    from_json,
)
from blender_addon.retarget.solve import (
    fit_error_mm,
    key_report_mm,
    solve_weights,
    weights_for_geometry,
)
from blender_addon.retarget.visemes import VISEMES
from blender_addon.rig.names import ARKIT_NAMES
from tests.retarget import characters as made_up

JAW, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")


def speech(frames: int = 200, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 25.0
    speed, phase = random.uniform(0.3, 4.0, 52), random.uniform(0, 6, 52)
    return np.clip(0.6 * np.sin(2 * np.pi * speed * time + phase), 0, 1)


def pose(weights: dict[str, float]) -> np.ndarray:
    row = np.zeros(52)
    for name, value in weights.items():
        row[ARKIT_NAMES.index(name)] = value
    return row


HAND_MADE = RetargetMap(
    (
        Row(Target("Gesicht", "Mund auf"), (("jawOpen", 0.8), ("mouthClose", -0.8)), 0.1),
        Row(Target("Rig", "jaw", BONE, "turn_x_deg"), (("jawOpen", 24.0),), high=24.0),
        Row(Target("Gesicht", "A"), (("oculus:aa", 1.0),), enabled=False),
        Row(Target("Gesicht", "still"), (), offset=0.25, low=-1.0),
    ),
    "manual",
    'shared by "Ana"',
)


@pytest.mark.parametrize(
    "made",
    [
        HAND_MADE,
        RetargetMap(),
        propose(Character({"Face": ARKIT_NAMES})),
        propose(Character({"Body": made_up.CC4_KEYS}, {"Rig": ("CC_Base_JawRoot",)})),
        propose(Character({"Face": made_up.VROID_KEYS})),
    ],
)
def test_a_map_survives_its_file(made: RetargetMap) -> None:
    text = made.to_json()
    assert from_json(text) == made
    assert from_json(text).to_json() == text
    assert json.loads(text)["version"] == 1


def test_rows_are_lines_that_can_be_compared() -> None:
    text = propose(Character({"Face": ARKIT_NAMES})).to_json()
    assert sum('"owner"' in line for line in text.splitlines()) == 52


def changed(**values: object) -> str:
    return json.dumps({**json.loads(HAND_MADE.to_json()), **values})


def row(**values: object) -> str:
    usual = {"owner": "Face", "name": "A", "sources": {"jawOpen": 1.0}}
    return changed(rows=[{**usual, **values}])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("[]", "its format is not"),
        (changed(format="other"), "its format is not"),
        (changed(version="1"), "does not say its version"),
        (changed(version=2), "version 2; this add-on reads up to 1"),
        (changed(rows={}), "no list of rows"),
        (changed(rows=[3]), "Row 1 of the retarget map is not an object"),
        (changed(note=4), "must be texts"),
        (row(owner=""), "does not say which key"),
        (row(name=None), "does not say which key"),
        (row(kind="light"), "of a 'light'"),
        (row(component="turn_x_deg"), "moves 'turn_x_deg' of a 'shape_key'"),
        (row(sources=["jawOpen"]), "has no sources"),
        (row(sources={"jawOpen": "1"}), "gain = '1'"),
        (row(sources={"jawOpen": 1e9}), "up to 1000"),
        (row(sources={"noseOpen": 1.0}), "unknown source 'noseOpen'"),
        (row(sources={"oculus:zz": 1.0}), "unknown source 'oculus:zz'"),
        (row(low=1.0, high=0.0), "clamp from 1 to 0"),
        (row(offset=True), "offset = True"),
        (row(enabled=1), "enabled = 1"),
        (row(high=float("nan")), "high = nan"),
    ],
)
def test_a_damaged_map_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(MapError, match=sentence) as caught:
        from_json(text)
    assert "\n" not in str(caught.value)


def test_two_rows_for_one_target_are_refused() -> None:
    one = Row(Target("Face", "A"), (("jawOpen", 1.0),))
    with pytest.raises(MapError, match="Rows 1 and 2 both move 'A' of 'Face'"):
        check((one, one))
    check((one, Row(Target("Teeth", "A"), (("jawOpen", 1.0),))))


def test_an_arkit_character_gets_the_very_weights() -> None:
    weights = speech().astype(np.float32)
    found = curves(propose(Character({"Face": ARKIT_NAMES})), weights)
    for index, name in enumerate(ARKIT_NAMES):
        np.testing.assert_array_equal(found[Target("Face", name)], weights[:, index])


def test_rows_add_scale_offset_and_clamp() -> None:
    weights = np.zeros((3, 52))
    weights[:, JAW], weights[:, CLOSE] = [0.5, 1.0, 0.2], [0.0, 0.0, 0.9]
    found = curves(HAND_MADE, weights)
    key = found[Target("Gesicht", "Mund auf")]
    np.testing.assert_allclose(key, [0.5, 0.9, 0.0], atol=1e-6)
    bone = found[Target("Rig", "jaw", BONE, "turn_x_deg")]
    np.testing.assert_allclose(bone, [12.0, 24.0, 4.8], atol=1e-5)
    assert (found[Target("Gesicht", "still")] == 0.25).all()
    assert Target("Gesicht", "A") not in found, "rows that are off move nothing"


def test_lips_close_without_a_close_key() -> None:
    keys = tuple(name for name in ARKIT_NAMES if name != "mouthClose")
    weights = np.zeros((1, 52))
    weights[0, [JAW, CLOSE]] = 0.4
    found = curves(propose(Character({"Face": keys})), weights)
    assert found[Target("Face", "jawOpen")][0] == 0.0


@pytest.mark.parametrize("family", VISEMES)
def test_the_pose_of_a_viseme_gives_that_viseme(family: str) -> None:
    for viseme, (weights, _) in VISEMES[family].items():
        found = viseme_curves(np.repeat(pose(weights)[None], 20, 0), family)
        made = sum(found[other][10] * pose(shape) for other, (shape, _) in VISEMES[family].items())
        assert np.abs(made - pose(weights)).max() < 0.06, viseme
        if family != "microsoft":
            assert max(found, key=lambda name: found[name][10]) == viseme


@pytest.mark.parametrize("family", VISEMES)
def test_visemes_are_shares_of_one(family: str) -> None:
    found = viseme_curves(speech(), family)
    stacked = np.stack(list(found.values()))
    assert stacked.min() >= 0.0 and stacked.max() <= 1.0
    np.testing.assert_allclose(stacked.sum(axis=0), 1.0, atol=1e-9)


def test_lips_that_close_over_an_open_jaw_are_p_not_a() -> None:
    weights = np.repeat(
        pose({"jawOpen": 0.3, "mouthClose": 0.3, "mouthPressLeft": 0.2})[None], 9, 0
    )
    found = viseme_curves(weights, "oculus")
    assert found["PP"][4] > 0.3 and found["PP"][4] + found["sil"][4] > 0.85
    assert found["aa"][4] < 0.1


def test_visemes_do_not_flicker() -> None:
    weights = np.repeat(pose(VISEMES["oculus"]["E"][0])[None], 100, 0)
    noisy = np.clip(weights + np.random.default_rng(0).normal(0, 0.02, weights.shape), 0, 1)
    for curve in viseme_curves(noisy, "oculus").values():
        assert np.abs(np.diff(curve)).max() < 0.2


def test_only_known_sources_have_curves() -> None:
    found = channel_curves(speech(10), ["jawOpen", "vrm:aa", "jawOpen"])
    assert list(found) == ["jawOpen", "vrm:aa"]
    with pytest.raises(ValueError, match="52"):
        channel_curves(np.zeros((3, 51)), [])
    assert curves(RetargetMap(), np.zeros((0, 52))) == {}


def shapes(count: int, seed: int, vertices: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.003, (count, vertices, 3))


def test_the_solve_finds_weights_that_made_the_motion() -> None:
    target = shapes(20, 1)
    truth = np.clip(speech(80)[:, :20], 0, 1)
    flat = target.reshape(20, -1)
    found = solve_weights(flat @ flat.T * 1e4, truth @ (flat @ flat.T) * 1e4)
    np.testing.assert_allclose(found, truth, atol=1e-3)


def test_the_solve_is_the_best_within_the_box() -> None:
    """First-order conditions: no slope inside, none inwards at a bound."""
    flat = shapes(15, 2).reshape(15, -1) * 100
    gram = flat @ flat.T
    right = np.random.default_rng(0).normal(0, 8, (40, 15))
    found = solve_weights(gram, right, calm=0.3, rounds=3000, tolerance=1e-10)
    slope = found @ gram - right
    change = 0.3 * np.diff(found, axis=0)
    slope[:-1] -= change
    slope[1:] += change
    inside = (found > 1e-7) & (found < 1 - 1e-7)
    assert np.abs(slope[inside]).max() < 1e-3
    assert slope[found <= 1e-7].min() > -1e-3 and slope[found >= 1 - 1e-7].max() < 1e-3


def test_calm_weights_are_smoother_and_still_close() -> None:
    target = shapes(10, 3)
    truth = np.repeat(speech(1)[:, :10], 60, 0)
    motion = np.tensordot(truth, target, axes=1)
    motion += np.random.default_rng(1).normal(0, 0.004, motion.shape)
    flat = target.reshape(10, -1)
    scale = 1.0 / np.einsum("kn,kn->k", flat, flat).mean()
    gram, right = flat @ flat.T * scale, motion.reshape(60, -1) @ flat.T * scale
    rough, calm = solve_weights(gram, right), solve_weights(gram, right, calm=2.0)
    assert np.abs(np.diff(calm, axis=0)).mean() < 0.3 * np.abs(np.diff(rough, axis=0)).mean()
    assert np.abs(calm - truth).mean() < np.abs(rough - truth).mean()


def test_a_target_with_other_shapes_is_met_in_mm() -> None:
    """The target's keys are mixtures of the source's: numbers cannot be copied, geometry can."""
    source = shapes(52, 4)
    random = np.random.default_rng(5)
    mixing = np.diag(random.uniform(0.5, 1.0, 52)) + 0.1 * (random.random((52, 52)) < 0.02)
    target = np.tensordot(mixing, source, axes=1)
    weights = 0.2 + 0.25 * speech(50)
    motion = np.tensordot(weights, source, axes=1)
    found = weights_for_geometry(source, weights, target, calm=0.0)
    assert 0.0 <= found.min() and found.max() <= 1.0
    solved, copied = (
        fit_error_mm(target, found, motion)[0],
        fit_error_mm(target, weights, motion)[0],
    )
    assert solved < 0.02 < 0.1 * copied
    names = key_report_mm(source, np.concatenate([source[:51]]), tuple(ARKIT_NAMES))
    assert max(names[name] for name in ARKIT_NAMES[:51]) < 0.02 < names["tongueOut"]
