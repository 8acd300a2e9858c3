# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from training import ablate  # noqa: E402
from training.baselines.base import Labels, SpeechBatch  # noqa: E402
from training.left_out import LENGTH, Heard  # noqa: E402
from training.runs import open_run  # noqa: E402
from training.train import train  # noqa: E402

SHORT = {
    "epochs": 1, "epoch_batches": 2, "batch_size": 2, "crop_frames": 20, "patience": 0,
    "extras": {"lip_weight": 0.01, "feature_noise": 0.3},
}  # fmt: skip


def batch(b: int = 3, t: int = 200) -> SpeechBatch:
    generator = torch.Generator().manual_seed(0)
    unknown = torch.full((b,), -1)
    return SpeechBatch(
        torch.randn((b, 2 * t, 64), generator=generator),
        torch.randn((b, 2 * t, 64), generator=generator),
        torch.zeros(b, 300),
        torch.zeros(b, t, 53),
        torch.ones(b, t, dtype=torch.bool),
        Labels(unknown, unknown, unknown),
    )


def test_a_variant_is_deaf_to_what_it_was_trained_without(compact_config) -> None:
    config = compact_config("run", SHORT)
    train(config, ["stage1"])
    for name, deaf in (
        ("everything", ""), ("without emotion stream", "emotion_features"),
        ("without identity", "betas"), ("gate fusion", ""),
    ):  # fmt: skip
        changed = ablate.variant(config, name, epochs=1)
        system = open_run(train(changed)).system
        assert changed.out.is_relative_to(config.out) and not (changed.out / "stage1").exists()
        said = batch(1, 30)
        widths = (system.config.model.sie.d_motion_features,
                  system.config.model.sie.d_emotion_features)  # fmt: skip
        said = dataclasses.replace(
            said,
            motion_features=torch.randn(1, 60, widths[0]),
            emotion_features=torch.randn(1, 60, widths[1]),
        )
        for part in ("emotion_features", "betas", "motion_features"):
            other = dataclasses.replace(said, **{part: torch.randn(getattr(said, part).shape)})
            same = torch.equal(system.latent(said), system.latent(other))
            assert same == (part == deaf), (name, part)


def test_without_codes_the_latent_is_decoded_as_it_is(compact_config) -> None:
    config = compact_config("run", SHORT)
    run = open_run(train(ablate.variant(config, "without codes", epochs=1)))
    system = run.system
    rng = np.random.default_rng(0)
    widths = run.facts.widths
    crop = Heard(
        rng.standard_normal((2 * LENGTH, widths[0])).astype(np.float32),
        np.zeros(300, np.float32),
        np.zeros((LENGTH, 53), np.float32),
        None,  # type: ignore[arg-type]
    )
    motion = ablate.mover(system)(crop)
    with torch.no_grad():
        features, emotion, betas = (
            torch.from_numpy(x)[None] for x in crop.inputs(crop.features, crop.betas)
        )
        mask = torch.ones(1, LENGTH, dtype=torch.bool)
        latent = system.encoder.sie(features, emotion, betas, mask)
        expected = system.prior.decode(latent, mask)[0].numpy()
    assert np.allclose(motion, expected, atol=1e-5)
    assert run.facts.config.stage1.extras.without == ("codes",)
    assert not (run.facts.config.out / "stage2" / "model").exists()


def test_every_variant_is_trained_and_measured(compact_config, monkeypatch) -> None:
    config = compact_config("run", SHORT)
    train(config, ["stage1"])
    monkeypatch.setattr(ablate, "crops", lambda cache, part, most: [])
    monkeypatch.setattr(ablate, "measure", lambda heard, move: {"lip gap off, mm": 1.0})
    found = ablate.ablate(config, epochs=1, clips=2)
    assert list(found) == list(ablate.VARIANTS)
    assert json.loads((config.out / "ablation.json").read_text()) == found
