# SPDX-License-Identifier: Apache-2.0
"""Every system by the same commands: trains, never sees test people, samples, is exported."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lsf_backend.errors import LsfError
from lsf_backend.model.checkpoint import load_checkpoint
from lsf_backend.model.checkpoint_info import CheckpointInfo
from lsf_backend.model.convert import convert_lightning
from training import runs
from training.baselines.registry import TABLE1, TABLE2, weights_of
from training.data.batches import Batches, BatchPlan, Crop, Order, held_out
from training.data.sources import open_clips
from training.data.subjects import TEST, VALIDATION
from training.runs import open_run
from training.sample import main as sample_main
from training.sample import sample
from training.train import has_prior, main, train

SYSTEMS = [name for name in dict.fromkeys((*TABLE1, *TABLE2)) if weights_of(name) == name]
SHORT = {"epochs": 1, "batch_size": 3, "learning_rate": 1e-3}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_trains_on_training_people_only_and_samples(
    system: str, tiny_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(system, "run", SHORT)
    people: set[str] = set()
    get = Batches.__getitem__

    def watched(self: Batches, crops: list[Crop]):
        people.update(self.clips.clips[crop.number].subject for crop in crops)
        return get(self, crops)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "__getitem__", watched)
        train(config)
    assert not people & set(TEST) and people & set(VALIDATION)
    assert has_prior(config) == (config.out / "stage1" / runs.FINISHED).is_file()
    found = list(sample(config.out, n_samples=2, seed=3))
    assert {one.clip.subject for one in found} <= set(TEST) and len(found) == 4
    for one in found:
        assert one.samples.shape == (2, one.clip.count, 53) and np.isfinite(one.samples).all()
        assert one.motion.shape == (one.clip.count, 53)
    again = list(sample(config.out, n_samples=2, seed=3, batch_size=1))
    for one, two in zip(found, again, strict=True):
        np.testing.assert_allclose(one.samples, two.samples, rtol=1e-3, atol=1e-4)


def test_the_engine_loads_what_lsf_learnt(tiny_config, tmp_path: Path) -> None:
    config = tiny_config("lsf", "run", SHORT)
    train(config)
    folder = config.out / "stage2"
    loaded = load_checkpoint(folder / runs.MODEL, "flame", "2020")
    trained = open_run(config.out)
    clips = open_clips(config.data)
    batch = Batches(clips, trained.facts.people, speech=True)[[Crop(0, 0, 12), Crop(1, 0, 9)]]
    with torch.inference_mode():
        ours = loaded.model(batch.motion_features, batch.emotion_features, batch.betas, batch.mask)
        latent = trained.system.encoder(batch)
    torch.testing.assert_close(ours.latent, latent)
    info = CheckpointInfo(loaded.info.model, "2020", "test", "test")
    convert_lightning(folder / runs.BEST, tmp_path / "converted", info)
    converted = load_checkpoint(tmp_path / "converted").model.state_dict()
    assert all(torch.equal(converted[k], v) for k, v in loaded.model.state_dict().items())


def test_commands(tiny_config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config("facediffuser_ddpm", "run", SHORT)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    assert main([str(path), "--out", str(tmp_path / "other")], stages=("stage2",)) == 0
    assert main([str(path)], stages=("stage1",)) == 2
    assert "has no stage 1" in capsys.readouterr().err
    assert main([str(path), "--system", "nobody"]) == 2
    assert "'nobody'; it is one of faceformer" in capsys.readouterr().err
    run, out = str(tmp_path / "other"), str(tmp_path / "samples")
    how = ["--samples", "2", "--system", "facediffuser_ddim"]
    assert sample_main([run, out, *how]) == 0
    said = json.loads((tmp_path / "samples" / "samples.json").read_text())
    assert said["system"] == "facediffuser_ddim" and len(said["clips"]) == 4
    drawn = np.load(tmp_path / "samples" / f"{said['clips'][0]}.npy", allow_pickle=False)
    assert drawn.shape[0] == 2 and drawn.shape[2] == 53
    assert sample_main([run, out, *how]) == 2
    assert sample_main([run, str(tmp_path / "no"), "--system", "lsf"]) == 2
    assert "weights lsf cannot use" in capsys.readouterr().err
    with pytest.raises(LsfError, match="not the folder of a trained stage"):
        open_run(tmp_path)


def test_every_clip_comes_once_a_pass_beside_clips_of_its_length() -> None:
    counts = list(range(20, 120))
    plan = BatchPlan(range(100), counts, 8, 0, seed=1)
    for number in (0, 1):
        rows = plan._pass(number)
        assert sorted(crop.number for row in rows for crop in row) == list(range(100))
        padded = sum(max(crop.count for crop in row) * len(row) for row in rows)
        assert padded < 1.15 * sum(counts)
    assert plan._pass(0) == plan._pass(0) != plan._pass(1)


def test_processes_share_a_pass_and_a_run_goes_on_where_it_was() -> None:
    plan = BatchPlan(range(40), [30] * 40, 4, 0, seed=1)
    orders = [Order(plan, 5, lambda: 0, rank, 2) for rank in (0, 1)]
    one, two = (list(order) for order in orders)
    assert len(one) == len(two) == 5
    assert sorted(crop.number for row in (*one, *two) for crop in row) == list(range(40))
    assert list(Order(plan, 5, lambda: 3, 0, 2)) == one[3:]
    following = list(Order(plan, 5, lambda: 5, 0, 2))
    assert len(following) == 5 and following != one


def test_crops_lie_inside_their_clips_and_long_clips_come_more_often() -> None:
    counts = [10, 40, 200]
    plan = BatchPlan([4, 5, 6], counts, 3, 25, seed=2)
    crops = [crop for index in range(200) for crop in plan.batch(index)]
    for crop in crops:
        count = counts[crop.number - 4]
        assert crop.count == min(25, count) and 0 <= crop.start <= count - crop.count
    times = [sum(crop.number == number for crop in crops) / len(crops) for number in (4, 5, 6)]
    assert times == pytest.approx([0.04, 0.16, 0.8], abs=0.04)
    assert plan.batch(7) == plan.batch(7) != plan.batch(8)


def test_held_out_clips_come_once_each() -> None:
    rows = held_out([3, 5, 9], [30, 10, 20], 2)
    assert rows == [[Crop(5, 0, 10), Crop(9, 0, 20)], [Crop(3, 0, 30)]]


def test_held_out_clips_are_cut_as_training_cuts_them_and_every_frame_counts_once() -> None:
    rows = held_out([3, 5, 9], [30, 10, 25], 2, 12)
    pieces = [crop for row in rows for crop in row]
    assert max(crop.count for crop in pieces) <= 12
    frames = sorted((c.number, c.start + i) for c in pieces for i in range(c.count))
    assert frames == [(n, i) for n, count in ((3, 30), (5, 10), (9, 25)) for i in range(count)]
    # Pieces of nearly equal length: no sliver that is all edge.
    assert min(crop.count for crop in pieces) == 8


def test_a_batch_holds_its_clips_and_unknown_people_have_no_label(tiny_config) -> None:
    config = tiny_config("lsf", "run", SHORT)
    clips = open_clips(config.data)
    batch = Batches(clips, ("M003", "M005"), speech=True)[[Crop(0, 2, 5), Crop(7, 0, 9)]]
    np.testing.assert_array_equal(batch.motion[0, :5].numpy(), clips.motion(0)[2:7])
    assert not batch.motion[0, 5:].any() and batch.mask.sum(1).tolist() == [5, 9]
    spoken, felt = clips.features(7)
    np.testing.assert_array_equal(batch.motion_features[1].numpy(), np.float32(spoken[:18]))
    np.testing.assert_array_equal(batch.emotion_features[1].numpy(), np.float32(felt[:18]))
    assert batch.labels.subject.tolist() == [0, -1] and batch.labels.emotion.tolist() == [0, 6]
