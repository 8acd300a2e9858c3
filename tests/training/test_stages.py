# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model.lsf import LSFModel  # noqa: E402
from training import loop, stage1, stage2  # noqa: E402
from training.data.batches import draw, gather  # noqa: E402
from training.data.cache import Cache, Entry  # noqa: E402
from training.loop import LoopConfig  # noqa: E402
from training.losses import LipLoss  # noqa: E402
from training.settings import StageConfig, model_config  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / "training" / "configs"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    entries, first = [], 0
    for number, subject in enumerate((1, 2, 3, 81, 90)):
        count = 30 + 5 * number
        entries.append(Entry(f"S{subject:03d}_001_0_0", 0, first, count))
        first += count
    folder = tmp_path / "cache"
    folder.mkdir()
    np.save(folder / "features.npy", rng.standard_normal((2 * first, 774)).astype(np.float16))
    # Three slow movements spread over all channels, as faces move.
    waves = np.sin(np.arange(first)[:, None] * np.array([0.3, 0.5, 0.7])) + 1.0
    motion = (0.1 * waves @ rng.random((3, 53))).astype(np.float32)
    np.save(folder / "motion.npy", motion)
    np.save(folder / "betas.npy", rng.standard_normal((len(entries), 300)).astype(np.float32))
    (folder / "entries.json").write_text(json.dumps([dataclasses.asdict(e) for e in entries]))
    return folder


def config(cache: Path, name: str, steps: int, **changes) -> StageConfig:
    fields = {"steps": steps, "batch_size": 2, "length": 20, "warmup": 2, "validate_every": 100}
    return StageConfig(
        cache, cache.parent / name, model_config("compact", {"n_layers": 1, "n_codes": 16}),
        LoopConfig(**(fields | changes)),
    )  # fmt: skip


def weights(folder: Path) -> dict:
    return torch.load(folder / "last.pt", weights_only=True)["model"]


def interrupted(train, whole: StageConfig, cut: StageConfig) -> None:
    """Train once in one go and once with an interruption; both must end with the same numbers."""
    train(whole)
    halted = dataclasses.replace(cut.loop, stop_after_s=0.0)
    for step in range(1, 4):
        assert train(dataclasses.replace(cut, loop=halted)) == step
    assert train(cut) == whole.loop.steps
    one, two = weights(whole.out), weights(cut.out)
    for name in one:
        assert torch.equal(one[name], two[name]), name


def test_stage1_continues_as_if_never_interrupted(cache, monkeypatch):
    monkeypatch.setattr(stage1, "START_WITHOUT_CODES", 100)
    interrupted(stage1.train, config(cache, "whole", 6), config(cache, "cut", 6))


def test_stage2_continues_and_leaves_the_decoder_alone(cache, monkeypatch):
    monkeypatch.setattr(stage1, "START_WITHOUT_CODES", 2)
    first = config(cache, "first", 4)
    stage1.train(first)
    whole, cut = config(cache, "whole", 5), config(cache, "cut", 5)
    whole, cut = (dataclasses.replace(c, first_stage=first.out) for c in (whole, cut))
    interrupted(stage2.train, whole, cut)
    trained, frozen = weights(whole.out), weights(first.out)
    for name, value in frozen.items():
        assert torch.equal(trained["vqvae." + name], value), name


def test_stage1_learns(cache, monkeypatch):
    monkeypatch.setattr(stage1, "START_WITHOUT_CODES", 0)
    stage1.train(changed := config(cache, "learns", 80, learning_rate=2e-3, validate_every=10))
    found = [json.loads(line)["val_gap_mm"] for line in (changed.out / "log.jsonl").open()]
    assert len(found) == 8 and found[-1] < 0.8 * found[0]


def test_idle_codes_move_onto_tokens(cache):
    torch.manual_seed(0)
    model = LSFModel(model_config("compact", {"n_layers": 1, "n_codes": 16})).vqvae
    keeper = stage1.CodeKeeper(model, 0)
    before = model.quantiser.codebooks.detach().clone()
    keeper.used[0, :5] = 3.0
    latent = torch.randn(2, 30, 128)
    assert keeper.revive(latent, torch.ones(2, 30, dtype=torch.bool)) == 2 * 16 - 5
    after = model.quantiser.codebooks.detach()
    assert torch.equal(before[0, :5], after[0, :5]) and not torch.equal(before[0, 5:], after[0, 5:])
    distance = torch.cdist(after[0, 5:], latent.reshape(-1, 64)).min(1).values
    assert distance.max() < 1.0


def test_padding_does_not_change_the_losses(cache):
    torch.manual_seed(0)
    data = Cache.open(cache)
    model = LSFModel(model_config("compact", {"n_layers": 1})).eval()
    lips = LipLoss()
    alone = stage2._losses(model, lips, gather(data, [(0, 0, 20)]))
    both = stage2._losses(model, lips, gather(data, [(0, 0, 20), (0, 0, 20)]))
    longer = gather(data, [(0, 0, 20), (1, 0, 35)])
    longer = type(longer)(*(part[:1] for part in longer))
    padded = stage2._losses(model, lips, longer)
    for name in alone:
        assert alone[name].item() == pytest.approx(both[name].item(), rel=1e-4)
        assert alone[name].item() == pytest.approx(padded[name].item(), rel=1e-3), name


def test_batches_are_a_function_of_seed_and_step(cache):
    data = Cache.open(cache)
    numbers = data.split("train")
    assert numbers == [0, 1, 2] and data.split("validation") == [3] and data.split("test") == [4]
    one, same, other = (draw(data, numbers, step, 1, 3, 20) for step in (5, 5, 6))
    assert torch.equal(one.motion, same.motion) and not torch.equal(one.motion, other.motion)
    entry = data.entries[0]
    batch = gather(data, [(0, 3, 10)])
    np.testing.assert_array_equal(
        batch.motion[0].numpy(), data.motion[entry.first + 3 : entry.first + 13]
    )
    np.testing.assert_array_equal(
        batch.emotion_features[0].numpy(),
        data.features[2 * (entry.first + 3) : 2 * (entry.first + 13), 384:].astype(np.float32),
    )


def test_learning_rate_rises_and_falls():
    config = LoopConfig(steps=1000, learning_rate=1.0, warmup=100)
    rates = [loop.learning_rate(config, step) for step in range(1000)]
    assert rates[0] < 0.02 and 0.9 < max(rates) <= 1.0 and rates[-1] < 0.03
    assert rates[100:] == sorted(rates[100:], reverse=True)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_configuration_builds(path):
    stage = StageConfig.load(path)
    assert LSFModel(stage.model).config.face_space == "head"


def test_lip_loss_measures_the_mesh():
    from lsf_backend.face.face_model import FaceModel
    from lsf_backend.face.head_space import arkit_from_motion
    from lsf_backend.face.measure import lip_gap_mm

    motion = np.zeros((4, 53), np.float32)
    motion[1, 50] = 0.2
    motion[2, :49] = 0.1
    motion[3, [5, 50]] = 0.3
    ours = LipLoss().lips_mm(torch.from_numpy(motion))[:, 0].numpy()
    wanted = lip_gap_mm(FaceModel.load(), arkit_from_motion(motion))
    np.testing.assert_allclose(ours, wanted, atol=0.05)
