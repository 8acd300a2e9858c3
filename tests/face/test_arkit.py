# SPDX-License-Identifier: Apache-2.0
"""The names and their order, and the way from motion to ARKit weights and back."""

import numpy as np
import pytest

from lsf_backend.face import head_space
from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES, JAW_NAMES, csv_name

COLUMN = {name: number for number, name in enumerate(ARKIT_NAMES)}

# The header of a CSV file that the Live Link Face app records, up to the head's rotation.
LIVE_LINK_HEADER = (
    "EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,"
    "EyeSquintRight,EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,"
    "MouthPucker,MouthRight,MouthLeft,MouthSmileLeft,MouthSmileRight,MouthFrownLeft,"
    "MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,MouthStretchRight,"
    "MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,"
    "MouthPressRight,MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,"
    "BrowDownLeft,BrowDownRight,BrowInnerUp,BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,"
    "CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,TongueOut"
)


def test_names_are_in_the_order_of_the_live_link_face_file() -> None:
    assert ",".join(csv_name(name) for name in ARKIT_NAMES) == LIVE_LINK_HEADER


def test_expression_names_are_the_others_in_the_same_order() -> None:
    assert len(EXPRESSION_NAMES) == 50
    assert list(EXPRESSION_NAMES[:-1]) == [n for n in ARKIT_NAMES if n not in JAW_NAMES]
    assert EXPRESSION_NAMES[-1] == "reserved"


def random_weights(seed: int) -> np.ndarray:
    weights = np.random.default_rng(seed).random((40, 52)).astype(np.float32)
    left = weights[:, COLUMN["jawLeft"]] > weights[:, COLUMN["jawRight"]]
    weights[left, COLUMN["jawRight"]] = 0.0
    weights[~left, COLUMN["jawLeft"]] = 0.0
    return weights


def test_weights_survive_the_round_trip() -> None:
    weights = random_weights(1)
    weights[0], weights[1] = 0.0, np.isin(ARKIT_NAMES, ("jawOpen", "jawRight", "mouthClose"))
    back = head_space.arkit_from_motion(head_space.motion_from_arkit(weights))
    np.testing.assert_allclose(back, weights, atol=2e-7)


def test_motion_survives_the_round_trip() -> None:
    rng = np.random.default_rng(2)
    motion = np.zeros((40, 53), np.float32)
    motion[:, :49] = rng.random((40, 49))
    motion[:, 50] = rng.uniform(0, head_space.JAW_OPEN_RAD, 40)
    motion[:, 51] = rng.uniform(-head_space.JAW_SIDE_RAD, head_space.JAW_SIDE_RAD, 40)
    back = head_space.motion_from_arkit(head_space.arkit_from_motion(motion))
    np.testing.assert_allclose(back, motion, atol=2e-7)


def test_jaw_opens_about_x_and_goes_left_about_y() -> None:
    weights = np.zeros((3, 52), np.float32)
    weights[0, COLUMN["jawOpen"]] = weights[1, COLUMN["jawLeft"]] = 1.0
    weights[2, COLUMN["jawRight"]] = 0.5
    jaw = head_space.motion_from_arkit(weights)[:, 50:]
    side = head_space.JAW_SIDE_RAD
    expected = [[head_space.JAW_OPEN_RAD, 0, 0], [0, side, 0], [0, -0.5 * side, 0]]
    np.testing.assert_allclose(jaw, expected, atol=1e-7)


def test_weights_outside_0_to_1_are_clipped() -> None:
    motion = np.zeros((2, 53), np.float32)
    motion[0, :49], motion[1, :49] = 3.0, -3.0
    motion[:, 50] = 9.0, -9.0
    weights = head_space.arkit_from_motion(motion)
    assert weights.min() == 0.0 and weights.max() == 1.0
    assert weights[0, COLUMN["jawOpen"]] == 1.0 and weights[1, COLUMN["jawOpen"]] == 0.0


@pytest.mark.parametrize("shape", [(53,), (4, 52), (0, 3)])
def test_wrong_motion_shapes_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"motion must have the shape \[T, 53\]"):
        head_space.arkit_from_motion(np.zeros(shape))


def test_no_frames_stay_no_frames() -> None:
    assert head_space.arkit_from_motion(np.zeros((0, 53))).shape == (0, 52)
    assert head_space.motion_from_arkit(np.zeros((0, 52))).shape == (0, 53)
