# SPDX-License-Identifier: Apache-2.0
"""HuBERT inside stage 2, in miniature: what learns, what stays, and clips of unequal length."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from lsf_backend.model import hubert
from lsf_backend.model.checkpoint import load_checkpoint
from training import runs
from training.data import sources
from training.data.batches import Batches, Crop
from training.data.sources import open_clips
from training.runs import open_run, stage_weights
from training.sample import sample
from training.speech import TrainedHubert
from training.train import train

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
FROZEN = ("feature_extractor", "feature_projection", "encoder.layers.0.", "encoder.layers.1.")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of a small HuBERT, and a program that expects its size."""
    torch.manual_seed(0)
    build = hubert.build_hubert
    network = build(**SMALL)
    (tmp_path / "hubert").mkdir()
    torch.save(network.state_dict(), tmp_path / "hubert" / "pytorch_model.bin")
    monkeypatch.setattr(hubert, "build_hubert", lambda: build(**SMALL))
    monkeypatch.setattr(sources, "D_HUBERT", SMALL["hidden_size"])
    return tmp_path / "hubert"


def test_unequal_clips_give_what_each_gives_alone(folder: Path) -> None:
    speech = TrainedHubert(hubert.HubertEncoder.load(folder)).eval()
    plain = hubert.HubertEncoder.load(folder)
    sounds = [0.1 * torch.randn(640 * count + 80) + 0.02 for count in (30, 12)]
    batch = torch.zeros(2, 640 * 30 + 80)
    for row, sound in enumerate(sounds):
        batch[row, : sound.numel()] = sound
    with torch.no_grad():
        together = speech(batch, [30, 12])
        for row, sound in enumerate(sounds):
            alone = plain(sound[None])
            torch.testing.assert_close(
                together[row, : alone.shape[1]], alone[0], atol=2e-5, rtol=1e-4
            )
    assert together.shape == (2, 60, 16)


def test_layers_from_the_third_on_learn_and_the_rest_keeps_still(folder: Path) -> None:
    speech = TrainedHubert(hubert.HubertEncoder.load(folder))
    speech.train()
    for part in speech.frozen():
        assert not any(module.training for module in part.modules())
    assert all(layer.training for layer in speech.hubert.network.encoder.layers[2:])
    speech(0.1 * torch.randn(2, 640 * 9 + 80), [9, 5]).square().sum().backward()
    for name, parameter in speech.hubert.network.named_parameters():
        learns = not name.startswith(FROZEN)
        assert (parameter.grad is not None) == learns == parameter.requires_grad, name


def test_stage_2_trains_it_and_the_engine_gets_it(folder, tiny_config, mead) -> None:
    data = {key: mead[key] for key in ("store", "emotion_features")} | {"hubert": str(folder)}
    stage = {"epochs": 2, "batch_size": 3, "learning_rate": 1e-3}
    config = tiny_config("lsf", "run", stage, data=data)
    before = hubert.hubert_tensors(torch.load(folder / "pytorch_model.bin", weights_only=True))
    train(config)
    assert not stage_weights(config.out / "stage1")[1]
    _, after = stage_weights(config.out / "stage2")
    assert after.keys() == before.keys()
    for name, value in before.items():
        kept = torch.equal(value, after[name])
        assert kept or not name.startswith(FROZEN), name
    assert not torch.equal(
        before["encoder.layers.2.feed_forward.output_dense.weight"],
        after["encoder.layers.2.feed_forward.output_dense.weight"],
    )
    exported = load_checkpoint(config.out / "stage2" / runs.MODEL)
    assert exported.info.has_hubert
    assert all(torch.equal(exported.hubert[name], after[name]) for name in after)
    trained, clips = open_run(config.out), open_clips(config.data)
    batch = Batches(clips, trained.facts.people, speech=True)[[Crop(0, 0, 12), Crop(1, 3, 9)]]
    assert batch.audio is not None and batch.audio.shape == (2, 640 * 12 + 80)
    assert all(one.samples.shape[0] == 1 for one in sample(trained, n_samples=1))
