# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from training.voices.rhubarb import SHAPES, motion_of_cues, shape_weights


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_meets_its_lip_gap(shape: str) -> None:
    gap = lip_gap_mm(FaceModel.load(), shape_weights()[shape][None])
    assert gap[0] == pytest.approx(SHAPES[shape][0], abs=0.15)


def test_cues_are_held_and_blended_and_overlaps_do_no_harm() -> None:
    cues = [
        {"start": 0.0, "end": 0.50, "value": "X"},
        {"start": 0.4, "end": 0.80, "value": "D"},
        {"start": 0.8, "end": 0.84, "value": "A"},
        {"start": 0.84, "end": 1.2, "value": "C"},
    ]
    motion = motion_of_cues(cues, 30)
    gap = lip_gap_mm(FaceModel.load(), arkit_from_motion(motion))
    assert gap[:8] == pytest.approx(0.0, abs=0.01)
    assert gap[15] == pytest.approx(13.0, abs=0.2)
    # A stretch of one frame reaches its shape in its middle (0.82 s) only: nearly shut at 0.8 s.
    assert gap[20:22].min() < 7.5
    assert np.isfinite(motion).all() and motion.shape == (30, 53)
