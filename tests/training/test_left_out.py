# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

pytest.importorskip("torch")

from lsf_backend.face.arkit import ARKIT_NAMES  # noqa: E402
from lsf_backend.face.head_space import motion_from_arkit  # noqa: E402
from training.data.clips import ClipName  # noqa: E402
from training.left_out import LENGTH, Heard, measure  # noqa: E402

BROW = ARKIT_NAMES.index("browInnerUp")


def taught(emotion: int) -> np.ndarray:
    """Lips open and shut in turn, brows that tell the emotion."""
    weights = np.zeros((LENGTH, len(ARKIT_NAMES)), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = 0.4 * (np.arange(LENGTH) // 10 % 2)
    weights[:, BROW + emotion] = 0.5
    return motion_from_arkit(weights)


CROPS = [
    Heard(np.empty(0), np.empty(0), taught(emotion), ClipName(f"S{subject:03d}", "1", emotion, 0))
    for subject in range(8)
    for emotion in range(3)
]
STILL = np.zeros((LENGTH, 53), np.float32)
OPEN = motion_from_arkit(np.eye(52, dtype=np.float32)[[ARKIT_NAMES.index("jawOpen")] * LENGTH])


def test_the_teachers_own_face_is_without_fault() -> None:
    found = measure(CROPS, lambda crop: crop.motion)
    assert found["lip gap off, mm"] == found["upper face off"] == found["clip's mean off"] == 0.0
    assert found["closed where it should be"] == 1.0
    assert found["closed where lips are parted"] == 0.0
    assert found["emotion found"] == 1.0


@pytest.mark.parametrize(("motion", "shut"), [(STILL, 1.0), (OPEN, 0.0)])
def test_a_face_that_stays_shut_or_open_is_seen_as_that(motion: np.ndarray, shut: float) -> None:
    found = measure(CROPS, lambda crop: motion)
    assert found["closed where it should be"] == found["closed where lips are parted"] == shut
    assert found["lip gap off, mm"] > 3.0 and found["clip's mean off"] > 0.0
    assert found["change of lip speed, mm"] == 0.0
    assert found["emotion found"] < 0.5  # one answer for all of three
