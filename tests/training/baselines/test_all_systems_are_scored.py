# SPDX-License-Identifier: Apache-2.0
"""From a batch to a row of the table: every system trains a step, samples and is scored alike."""

import numpy as np
import pytest
import torch

from lsf_backend.face.face_model import FaceModel
from training.baselines.base import LabelConfig, Labels, SpeechBatch, vertex_gram
from training.baselines.printed import NOT_COMPARABLE, TABLE1_PRINTED
from training.baselines.registry import TABLE1, TABLE2, Setting, build
from training.metrics import (
    PUBLISHED,
    Truth,
    linear_basis,
    regions_of,
    score_all,
    vertices_of,
)

SETTING = Setting("tiny", 6, 5, LabelConfig(3, 4, 2), face_space="head")
SHARED = ("probtalk3d", "lsf")


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


def batch() -> SpeechBatch:
    generator = torch.Generator().manual_seed(3)
    t, labels = 12, torch.tensor([0, 1])
    return SpeechBatch(
        torch.randn(2, 2 * t, 6, generator=generator),
        torch.randn(2, 2 * t, 5, generator=generator),
        torch.zeros(2, 300),
        0.2 * torch.rand(2, t, 53, generator=generator),
        torch.arange(t)[None] < torch.tensor([[t], [9]]),
        Labels(labels - 1, labels, labels),
    )


@pytest.mark.parametrize("name", [name for name in (*TABLE1, *TABLE2) if name not in SHARED])
def test_a_system_becomes_a_row(name: str, face: FaceModel) -> None:
    torch.manual_seed(0)
    vertices, some = vertices_of(face), batch()
    gram = vertex_gram(torch.from_numpy(linear_basis(vertices))) if name == "emote" else None
    model = build(name, SETTING, gram)
    for phase in model.phases:
        optimizer = torch.optim.Adam(model.start_phase(phase))
        model.training_step(some, phase)["loss"].backward()
        optimizer.step()
    drawn = model.eval().sample(some, 3, torch.Generator().manual_seed(0)).numpy()
    pairs = [
        (
            Truth(f"clip{clip}", f"M{clip}", "happy", some.motion[clip, :n].numpy()),
            np.ascontiguousarray(drawn[:, clip, :n]),
        )
        for clip, n in enumerate(some.lengths)
    ]
    scores = score_all(pairs, vertices, regions_of(face))
    row = {metric: scores.mean(metric) for metric in PUBLISHED}
    assert all(np.isfinite(value) for value in row.values()) and row["mve"] > 0
    if name in ("faceformer", "codetalker", "emote"):
        assert row["lve"] == row["mee"] == row["ce"] and row["diversity"] == 0
    else:
        assert row["ce"] <= row["lve"] and row["diversity"] > 0


def test_printed_values_are_in_true_units() -> None:
    assert set(TABLE1_PRINTED) == set(TABLE1)
    ours = TABLE1_PRINTED["lsf"]
    assert ours["mve"] == pytest.approx(1.2244e-3) and ours["fdd"] == pytest.approx(0.4724e-6)
    assert ours["ce"] == pytest.approx(0.9225e-4)
    assert set(TABLE1_PRINTED["faceformer"]) == {"mve", "lve", "fdd"}
    assert all(metric in TABLE1_PRINTED[system] for system, metric in NOT_COMPARABLE)
