# SPDX-License-Identifier: Apache-2.0
import argparse
import collections
import dataclasses
import json

import pytest

torch = pytest.importorskip("torch")

from lsf_backend.errors import LsfError  # noqa: E402
from lsf_backend.model import config, convert, released_keys  # noqa: E402
from lsf_backend.model.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from lsf_backend.model.checkpoint_info import CheckpointInfo, read_info  # noqa: E402
from lsf_backend.model.foreign import extract_tensors  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402
from lsf_backend.model.state_files import read_tensors  # noqa: E402
from tests.model.conftest import shrink  # noqa: E402
from tests.model.released_reference import fabricate, run  # noqa: E402


def _small_released(n_train_ids=5):
    cfg = config.PRESETS["released"](n_train_ids)
    block = dataclasses.replace(cfg.sie.block, d=16, n_heads=8, d_ffn=24, scale_dim=16)
    sie = dataclasses.replace(
        cfg.sie,
        d_motion_features=10,
        d_emotion_features=10,
        block=block,
        n_layers=3,
        fusion_inner=8,
        fusion_heads=8,
        fusion_scale_dim=2,
        d_latent=16,
    )
    vq = dataclasses.replace(cfg.vq, block=block, n_layers=2, n_codes=32, d_code=8)
    return dataclasses.replace(cfg, sie=sie, vq=vq)


@pytest.fixture
def tensors():
    # d / heads = 2 and inner = d / 2: the true sizes keep the same relations at 256.
    t = fabricate()
    g = torch.Generator().manual_seed(3)
    for i in range(3):
        for name, shape in (("attn.q", (8, 16)), ("attn.kv", (16, 32)), ("attn.proj", (16, 8))):
            t[f"feature_predictor.fusion_blocks.{i}.{name}.weight"] = (
                torch.randn(*shape, generator=g) * 0.4
            )
    return t


def test_released_weights_give_the_released_numbers(tensors):
    cfg = _small_released()
    ours, hubert = convert.rename_released(tensors, cfg)
    model = LSFModel(cfg).eval()
    missing = model.load_state_dict(ours, strict=False)
    assert missing.missing_keys == ["vqvae.quantiser.tau"] and not missing.unexpected_keys
    assert list(hubert) == ["masked_spec_embed"]
    torch.manual_seed(1)
    audio, emotion = torch.randn(2, 1, 14, 10)
    betas = torch.randn(1, 300)
    paired = audio.reshape(1, 7, 20), emotion.reshape(1, 7, 20)
    with torch.no_grad():
        latent, motion = run(tensors, *paired, betas)
        out = model(audio, emotion, betas)
    assert (out.latent - latent).abs().max() < 2e-5
    assert (model.vqvae.scaled(out.motion) - motion).abs().max() < 2e-5


@pytest.mark.slow
def test_a_file_of_the_true_sizes_converts_key_by_key(tmp_path):
    true = fabricate(d=256, layers=12, ffn=384, ids=32, feature=768, codes=256, c=128, vq_layers=6)
    used = sum(v.numel() for k, v in true.items() if k.startswith("feature_predictor."))
    assert used - true["feature_predictor.pos_enc.pe"].numel() == 16_148_736
    hyper = argparse.Namespace(lr=1e-5)
    torch.save({"state_dict": true, "hyper_parameters": hyper}, tmp_path / "last.ckpt")
    info = convert.convert_released(tmp_path / "last.ckpt", tmp_path / "lsf")
    loaded = load_checkpoint(tmp_path / "lsf", "flame", "2020")
    assert info.has_hubert and loaded.model.config == config.released(32)
    audio, emotion = torch.randn(2, 1, 8, 768)
    betas = torch.randn(1, 300)
    paired = audio.reshape(1, 4, 1536), emotion.reshape(1, 4, 1536)
    with torch.no_grad():
        latent, motion = run(true, *paired, betas, layers=12, vq_layers=6)
        out = loaded.model(audio, emotion, betas)
    assert (out.latent - latent).abs().max() < 1e-4 * latent.abs().max()


def test_true_size_map_covers_every_weight_once():
    cfg = config.PRESETS["released"]()
    names = released_keys.predictor_map(cfg) | released_keys.prior_map(cfg)
    own = set(LSFModel(cfg).state_dict()) - {"vqvae.quantiser.tau"}
    assert len(set(names.values())) == len(names) and set(names.values()) == own


def test_unknown_and_missing_names_are_errors(tensors):
    cfg = _small_released()
    with pytest.raises(LsfError, match="feature_predictor.surprise"):
        convert.rename_released(tensors | {"feature_predictor.surprise": torch.zeros(1)}, cfg)
    renamed = dict(tensors)
    renamed["feature_predictor.sound_feat.weight"] = renamed.pop(
        "feature_predictor.audio_feat.weight"
    )
    with pytest.raises(LsfError, match="sound_feat"):
        convert.rename_released(renamed, cfg)
    ours, _ = convert.rename_released(
        renamed, cfg, {"feature_predictor.sound_feat.weight": "sie.motion_in.weight"}
    )
    assert torch.equal(ours["sie.motion_in.weight"], tensors["feature_predictor.audio_feat.weight"])


class Evil:
    ran = False

    def __reduce__(self):
        return (_run_evil, ())


def _run_evil():
    Evil.ran = True


def test_foreign_objects_in_a_checkpoint_are_read_past_and_never_run(tmp_path):
    weights = {"a.weight": torch.randn(3, 4).t(), "b": torch.arange(5)}
    file = tmp_path / "light.ckpt"
    torch.save(
        {
            "state_dict": collections.OrderedDict(weights),
            "hyper_parameters": argparse.Namespace(lr=1),
            "callbacks": [Evil(), {1, 2}, {"x": Evil()}],
        },
        file,
    )
    with pytest.raises(LsfError, match="Python objects"):
        read_tensors(file)
    got = extract_tensors(file)
    assert not Evil.ran
    assert list(got) == ["a.weight", "b"]
    assert all(torch.equal(got[k], weights[k]) for k in weights)
    assert convert.extract_file(file, tmp_path / "out.safetensors") == 2
    assert torch.equal(read_tensors(tmp_path / "out.safetensors")["b"], weights["b"])


def test_a_file_that_lies_about_its_sizes_reads_nothing_outside(tmp_path):
    """The pickle says 1000 x 1000, the storage holds 4 numbers."""
    import zipfile

    torch.save({"state_dict": {"w": torch.arange(4.0)}}, tmp_path / "a.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "a.ckpt") as source,
        zipfile.ZipFile(tmp_path / "b.ckpt", "w") as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                size, stride = b"K\x04\x85", b"K\x01\x85"
                assert size in data and stride in data
                data = data.replace(size, b"M\xe8\x03\x85", 1)
            target.writestr(name, data)
    with pytest.raises(LsfError, match="b.ckpt"):
        extract_tensors(tmp_path / "b.ckpt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x80\x02}q\x00."])
def test_damaged_files_give_a_sentence(tmp_path, content):
    for name in ("x.ckpt", "x.safetensors"):
        (tmp_path / name).write_bytes(content)
        for read in (read_tensors, extract_tensors):
            with pytest.raises(LsfError, match="x\\."):
                read(tmp_path / name)


def _info(model, **changes):
    facts = {"flame_version": "2020", "training_data": "none", "licence": "test"} | changes
    return CheckpointInfo(model=model, **facts)


def test_checkpoint_round_trip_with_digest(tmp_path):
    cfg = shrink(config.paper())
    model = LSFModel(cfg).eval()
    saved = save_checkpoint(tmp_path / "c", model, _info(cfg), {"x": torch.ones(2)})
    assert saved.has_hubert and len(saved.digest) == 64
    assert read_info(tmp_path / "c") == saved
    loaded = load_checkpoint(tmp_path / "c")
    for (name, a), b in zip(
        model.state_dict().items(), loaded.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name
    assert torch.equal(loaded.hubert["x"], torch.ones(2))
    weights = tmp_path / "c" / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(LsfError, match="digests differ"):
        load_checkpoint(tmp_path / "c")


def test_wrong_face_space_and_flame_version_are_refused(tmp_path):
    cfg = shrink(config.paper())
    save_checkpoint(tmp_path / "c", LSFModel(cfg), _info(cfg))
    load_checkpoint(tmp_path / "c", "flame", "2020")
    with pytest.raises(LsfError, match="face space 'flame', not 'head'"):
        load_checkpoint(tmp_path / "c", "head")
    with pytest.raises(LsfError, match="FLAME 2020.*FLAME 2023"):
        load_checkpoint(tmp_path / "c", "flame", "2023")
    with pytest.raises(LsfError, match="FLAME version"):
        _info(cfg, flame_version=None)
    with pytest.raises(LsfError, match="no checkpoint"):
        read_info(tmp_path)


def test_lightning_checkpoint_of_ours_converts_weights_only(tmp_path):
    cfg = shrink(config.compact())
    model = LSFModel(cfg)
    state = {"system.encoder.sie." + k: v for k, v in model.sie.state_dict().items()}
    state |= {"system.prior." + k: v for k, v in model.vqvae.state_dict().items()}
    torch.save({"state_dict": state, "hyper_parameters": argparse.Namespace(a=1)}, tmp_path / "l")
    info = _info(cfg, flame_version=None)
    convert.convert_lightning(tmp_path / "l", tmp_path / "c", info)
    loaded = load_checkpoint(tmp_path / "c").model
    assert torch.equal(loaded.sie.style.weight, model.sie.style.weight)
    assert torch.equal(loaded.vqvae.motion_out.weight, model.vqvae.motion_out.weight)
    del state["system.encoder.sie.style.weight"]
    torch.save({"state_dict": state}, tmp_path / "l2")
    with pytest.raises(LsfError, match=r"missing: sie\.style\.weight"):
        convert.convert_lightning(tmp_path / "l2", tmp_path / "c2", info)


@pytest.mark.parametrize("damage", [{"format": 2}, {"face_space": "head"}, {"extra": 1}])
def test_config_that_does_not_fit_is_refused(tmp_path, damage):
    cfg = shrink(config.paper())
    save_checkpoint(tmp_path, LSFModel(cfg), _info(cfg))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(LsfError, match="config.json"):
        read_info(tmp_path)
