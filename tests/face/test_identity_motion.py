# SPDX-License-Identifier: Apache-2.0
"""Identity changes the motion as it should: other frames for another face, lips still meet."""

import numpy as np
import pytest

from lsf_backend.engine.registry import engine_info
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.measure import lip_gap_mm
from lsf_backend.job import Job
from lsf_backend.protocol import ASSETS, AnimateRequest

MEET_MM = 0.3


@pytest.mark.skipif(not engine_info("compact").available, reason="no compact model here")
def test_lips_of_different_faces_meet() -> None:
    head, random = FaceModel.load(), np.random.default_rng(5)
    faces = [np.zeros(300), 1.3 * random.normal(size=300), 1.3 * random.normal(size=300)]
    made = []
    for betas in faces:
        job = Job(AnimateRequest(str(ASSETS / "sample.wav")), betas)
        weights = np.concatenate([job.values(chunk) for chunk in job.chunks()])
        gap = lip_gap_mm(head, weights, betas)
        assert gap.min() < MEET_MM < 5.0 < gap.max()
        assert (gap < MEET_MM).mean() > 0.05, "they meet at more than one moment"
        made.append(weights)
    width = [1000 * np.ptp(head.shaped(b)[head.regions["lips"], 0]) for b in faces]
    assert np.ptp(width) > 1.0, "the mouths differ"
    assert all(np.abs(other - made[0]).mean() > 1e-3 for other in made[1:])
