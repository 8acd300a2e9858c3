# SPDX-License-Identifier: Apache-2.0
import argparse
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402

from lsf_backend.errors import LsfError  # noqa: E402
from lsf_backend.model import emotion2vec, hubert  # noqa: E402
from lsf_backend.model.encoders import SpeechEncoders  # noqa: E402
from lsf_backend.model.state_files import load_exactly  # noqa: E402
from lsf_backend.model.windows import measure_clip  # noqa: E402
from tests.model.conftest import needs_funasr  # noqa: E402

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}

SMALL_E2V = {"width": 32, "heads": 2, "depth": 2, "prenet": 1, "channels": 8}


def small_hubert():
    torch.manual_seed(0)
    return hubert.HubertEncoder(hubert.build_hubert(**SMALL))


def small_emotion2vec():
    torch.manual_seed(0)
    return emotion2vec.Emotion2vecEncoder(emotion2vec.build_emotion2vec(**SMALL_E2V))


def voice(seconds, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    x = np.sin(2 * np.pi * 150 * t) * (np.sin(2 * np.pi * 0.7 * t) > 0) * 0.3
    return (x + 0.02 * rng.normal(size=t.size) + 0.01).astype(np.float32)


def reader(x):
    return lambda start, count: x[start : start + count]


def test_hubert_equals_transformers_with_its_own_feature_extractor():
    transformers = pytest.importorskip("transformers")
    encoder = small_hubert()
    audio = voice(1.0)
    plain = hubert.build_hubert(**SMALL).eval()
    state = encoder.network.state_dict()
    plain.load_state_dict(state)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    inputs = extractor(audio, sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        want = plain(inputs).last_hidden_state
        got = encoder(torch.from_numpy(audio)[None])
    assert got.shape == (1, (audio.size - 400) // 320 + 1, 16)
    assert (got - want).abs().max() < 1e-4


def test_hubert_with_clip_statistics_of_the_clip_itself_changes_nothing():
    encoder = small_hubert()
    audio = voice(2.0)
    clip = measure_clip(reader(audio), audio.size)
    with torch.no_grad():
        x = torch.from_numpy(audio)[None]
        assert (encoder(x) - encoder(x, clip)).abs().max() < 2e-4


def test_a_silent_window_is_not_blown_up_to_the_level_of_speech():
    encoder = small_hubert()
    audio = np.concatenate((voice(2.0), 1e-4 * voice(2.0, 1)))
    clip = measure_clip(reader(audio), audio.size)
    first = encoder.network.feature_extractor.conv_layers[0]
    with torch.no_grad():
        encoder(torch.from_numpy(audio)[None], clip)
        x = (torch.from_numpy(audio)[None, None] - clip.mean) / clip.variance**0.5
        whole = first(x)[0]
        quiet = first(x[..., 32000:])[0]
    assert (whole[:, -6000:] - quiet[:, -6000:]).abs().max() < 1e-4


def test_old_and_new_weight_norm_names_load_the_same():
    network = small_hubert().network
    new = {k: v for k, v in network.state_dict().items()}
    names = {b: a for a, b in hubert._RENAMED.items()}
    old = {"hubert." + names.get(k, k): v for k, v in new.items()}
    old["hubert.masked_spec_embed"] = torch.zeros(16)
    assert any("weight_g" in k for k in old)
    renamed = hubert.hubert_tensors(old)
    assert renamed.keys() == new.keys()
    fresh = hubert.build_hubert(**SMALL)
    load_exactly(fresh, renamed, "HuBERT")


def test_missing_mismatched_and_unknown_keys_are_named():
    network = hubert.build_hubert(**SMALL)
    state = dict(network.state_dict())
    gone = "encoder.layers.1.attention.k_proj.bias"
    del state[gone]
    state["encoder.layers.0.final_layer_norm.weight"] = torch.zeros(3)
    state["surprise"] = torch.zeros(1)
    with pytest.raises(LsfError) as caught:
        load_exactly(network, state, "HuBERT-base")
    for part in (gone, "final_layer_norm.weight ([3], expected [16])", "surprise"):
        assert part in caught.value.message


def test_frozen_parts_of_stage_two():
    encoder = small_hubert().freeze_for_training()
    trained = {
        n.split(".")[2]
        for n, p in encoder.network.named_parameters()
        if p.requires_grad and n.startswith("encoder.layers")
    }
    assert trained == {"2"}
    assert not any(p.requires_grad for p in encoder.network.feature_extractor.parameters())


@needs_funasr
def test_funasr_is_imported_without_its_package():
    code = (
        "import sys; from lsf_backend.model.emotion2vec import build_emotion2vec as build;"
        "build(width=32, heads=2, depth=1, prenet=1, channels=8);"
        "assert 'funasr.auto.auto_model' not in sys.modules and 'funasr' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@needs_funasr
def test_emotion2vec_is_frozen_and_normalises_like_funasr():
    encoder = small_emotion2vec().train()
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    x = torch.from_numpy(voice(1.0))
    normalised = torch.nn.functional.layer_norm(x, x.shape)[None]
    with torch.no_grad():
        want = encoder.network.extract_features(normalised)["x"]
        got = encoder(x[None])
        clip = measure_clip(reader(voice(1.0)), x.numel())
        windowed = encoder(x[None], clip)
    assert got.shape[1] == (16000 - 400) // 320 + 1
    assert (got - want).abs().max() < 1e-4 and (windowed - want).abs().max() < 1e-4


@needs_funasr
@pytest.mark.parametrize("layout", ["safetensors", "bare", "model", "state_dict"])
def test_emotion2vec_layouts_and_unused_parts(tmp_path, layout):
    state = dict(small_emotion2vec().network.state_dict())
    extra = {
        "modality_encoders.AUDIO.decoder.blocks.0.0.weight": torch.zeros(2),
        "_ema": torch.ones(1),
    }
    full = {k: v.clone() for k, v in (state | extra).items()}
    if layout == "safetensors":
        save_file(full, tmp_path / "model.safetensors")
    else:
        torch.save(full if layout == "bare" else {layout: full}, tmp_path / "model.pt")
    from lsf_backend.model.state_files import read_tensors
    from lsf_backend.model.weight_folders import EMOTION2VEC_FILES, weights_file

    file = weights_file(tmp_path, EMOTION2VEC_FILES, "emotion2vec")
    got = emotion2vec.emotion2vec_tensors(read_tensors(file))
    assert got.keys() == state.keys()


@needs_funasr
def test_fairseq_pickle_is_refused_and_converted(tmp_path):
    from lsf_backend.model.convert import extract_file
    from lsf_backend.model.state_files import read_tensors

    state = {k: v.clone() for k, v in small_emotion2vec().network.state_dict().items()}
    torch.save({"args": argparse.Namespace(x=1), "model": state}, tmp_path / "emotion2vec_base.pt")
    with pytest.raises(LsfError, match="Python objects") as caught:
        read_tensors(tmp_path / "emotion2vec_base.pt")
    assert "extract" in caught.value.hint
    extract_file(tmp_path / "emotion2vec_base.pt", tmp_path / "model.safetensors")
    assert read_tensors(tmp_path / "model.safetensors").keys() == state.keys()


def test_missing_folder_says_what_to_put_where(tmp_path):
    with pytest.raises(LsfError) as caught:
        hubert.HubertEncoder.load(tmp_path)
    assert str(tmp_path) in caught.value.message and "pytorch_model.bin" in caught.value.hint


@needs_funasr
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_windowed_features_agree_with_one_pass(precision):
    encoders = SpeechEncoders(small_hubert(), small_emotion2vec(), precision=precision)
    audio = voice(11.0)
    pieces = list(encoders.clip_features(reader(audio), audio.size))
    assert len(pieces) == 2
    clip = measure_clip(reader(audio), audio.size)
    padded = np.pad(audio, (0, 80))
    whole = encoders.motion_features(padded, clip), encoders.emotion_features(padded, clip)
    assert whole[0].shape == (1, 550, 16) and whole[0].dtype == torch.float32
    for window, features in pieces:
        assert features.motion.shape[1] == 2 * window.n_frames
        keep = slice(2 * (window.keep_start - window.start), 2 * (window.keep_stop - window.start))
        place = slice(2 * window.keep_start, 2 * window.keep_stop)
        for got, want in zip(features, whole, strict=True):
            error = (got[0, keep] - want[0, place]).square().mean().sqrt()
            assert error < 0.15 * want.std()


@needs_funasr
def test_a_pass_can_be_stopped_between_layers():
    class Stop(Exception):
        pass

    encoders = SpeechEncoders(small_hubert(), small_emotion2vec())
    audio = np.pad(voice(1.0), (0, 80))
    clip = measure_clip(reader(audio), audio.size)
    calls = []

    def check():
        calls.append(1)
        if len(calls) == 4:
            raise Stop

    with encoders.stopping(check), pytest.raises(Stop):
        encoders.motion_features(audio, clip)
    encoders.motion_features(audio, clip)
    assert len(calls) == 4


@pytest.mark.slow
@needs_funasr
def test_true_shapes_load_key_by_key(tmp_path):
    network = hubert.build_hubert()
    state = {k: v.clone() for k, v in network.state_dict().items()}
    assert sum(v.numel() for v in state.values()) == 94_370_944
    (tmp_path / "h").mkdir()
    save_file(state, tmp_path / "h" / "model.safetensors")
    (tmp_path / "e").mkdir()
    state2 = emotion2vec.build_emotion2vec().state_dict()
    torch.save({"model": state2}, tmp_path / "e" / "model.pt")
    a = hubert.HubertEncoder.load(tmp_path / "h")
    b = emotion2vec.Emotion2vecEncoder.load(tmp_path / "e")
    encoders = SpeechEncoders(a, b)
    audio = np.pad(voice(1.0), (0, 80))
    clip = measure_clip(reader(audio), audio.size)
    assert encoders.motion_features(audio, clip).shape == (1, 50, 768)
    assert encoders.emotion_features(audio, clip).shape == (1, 50, 768)


@needs_funasr
def test_half_precision_encoders_give_float32_features_close_to_exact_ones():
    audio = np.pad(voice(1.0), (0, 80))
    clip = measure_clip(reader(audio), audio.size)
    exact = SpeechEncoders(small_hubert(), small_emotion2vec())
    half = SpeechEncoders(small_hubert(), small_emotion2vec(), precision="half")
    for name in ("motion_features", "emotion_features"):
        want, got = getattr(exact, name)(audio, clip), getattr(half, name)(audio, clip)
        assert got.dtype == torch.float32
        assert (got - want).square().mean().sqrt() < 0.05 * want.std()
