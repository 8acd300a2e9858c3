# SPDX-License-Identifier: Apache-2.0
"""Features of a store: those that an engine would hear, resumed, and never of other clips."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.engine.features import PROSODY_NAMES
from training.data.__main__ import main
from training.data.cache import D_WHISPER
from training.data.clips import PrepareConfig, SourceError
from training.data.features import FEATURES, FeatureCache, cache_features, hear_with
from training.data.prepare import prepare
from training.data.store import Store


@pytest.fixture
def store(cache: Path) -> Store:
    prepare(cache, cache.parent / "store", PrepareConfig())
    return Store.open(cache.parent / "store")


def blocks(audio: np.ndarray) -> np.ndarray:
    """Mean and peak of 320 samples, two a frame: [2T, 2]."""
    cut = audio[: audio.size // 640 * 640].reshape(-1, 320)
    return np.stack([cut.mean(axis=1), np.abs(cut).max(axis=1)], axis=1)


def test_each_clip_gets_back_its_own_features(store: Store, tmp_path: Path) -> None:
    cache = cache_features(store, tmp_path / "f", blocks, "blocks 1")
    for number, clip in enumerate(store.clips):
        expected = blocks(store.audio(number)).astype(np.float16)
        assert cache.features(number).shape == (2 * clip.count, 2)
        np.testing.assert_array_equal(cache.features(number), expected)
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize("torn", [0, 3])
def test_a_cut_run_goes_on_after_the_last_whole_clip(
    store: Store, tmp_path: Path, torn: int
) -> None:
    heard: list[int] = []

    def counted(audio: np.ndarray) -> np.ndarray:
        heard.append(audio.size)
        return blocks(audio)

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_features(store, tmp_path / "f", counted, "e", stop)
    assert not (tmp_path / "f").exists()
    path = tmp_path / "f.unfinished" / FEATURES
    path.write_bytes(path.read_bytes()[: path.stat().st_size - torn])
    heard.clear()
    resumed = cache_features(store, tmp_path / "f", counted, "e")
    assert len(heard) - 1 == (3 if torn else 2)  # one more to learn the width
    whole = cache_features(store, tmp_path / "whole", blocks, "e")
    for number in range(len(store)):
        np.testing.assert_array_equal(resumed.features(number), whole.features(number))


def test_features_of_other_clips_or_weights_are_refused(store: Store, tmp_path: Path) -> None:
    cache_features(store, tmp_path / "f", blocks, "weights 1")
    with pytest.raises(SourceError, match="other weights"):
        cache_features(store, tmp_path / "f", blocks, "weights 2")
    changed = (*store.clips[:-1], dataclasses.replace(store.clips[-1], crc32=1))
    other = Store(store.folder, store.face, changed, store.facts)
    with pytest.raises(SourceError, match="another store"):
        FeatureCache.open(tmp_path / "f", other)
    (tmp_path / "f" / FEATURES).write_bytes(b"")
    with pytest.raises(SourceError, match="is cut"):
        FeatureCache.open(tmp_path / "f", store)


@pytest.mark.parametrize("broken", ["short", "nan", "huge"])
def test_features_that_do_not_fit_are_refused(store: Store, tmp_path: Path, broken: str) -> None:
    def hear(audio: np.ndarray) -> np.ndarray:
        features = blocks(audio)
        if broken == "short":
            return features[:-1]
        return features + (np.nan if broken == "nan" else 1e6)

    with pytest.raises(SourceError, match="M003_001_0_0"):
        cache_features(store, tmp_path / "f", hear, "e")
    assert not (tmp_path / "f").exists()


def test_a_real_encoder_is_heard_as_an_engine_hears_it(store: Store) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from lsf_backend.model import hubert
    from lsf_backend.model.windows import measure_clip, window_audio, windows

    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 24, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 8}
    network = hubert.HubertEncoder(hubert.build_hubert(**small, num_conv_pos_embedding_groups=2))
    audio = np.concatenate([store.audio(i) for i in range(6)] * 4)
    got = hear_with(network)(audio)
    assert got.shape == (2 * (audio.size // 640), 16)

    def read(start: int, count: int) -> np.ndarray:
        return audio[start : start + count]

    grid = list(windows(audio.size // 640))
    assert len(grid) > 1
    samples = torch.from_numpy(window_audio(read, grid[0]))[None]
    with torch.no_grad():
        expected = network.eval()(samples, measure_clip(read, audio.size))[0]
    kept = 2 * grid[0].keep_stop
    np.testing.assert_allclose(got[:kept], expected[:kept].numpy(), atol=1e-5)


def test_missing_weights_are_a_sentence(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    options = [str(store.folder), str(tmp_path / "f"), "--weights", str(tmp_path / "none")]
    assert main(["features", *options]) == 2
    assert "weights of the emotion stream are not in" in capsys.readouterr().err
    assert not (tmp_path / "f").exists()


D_FEATURES = 2 * D_WHISPER + len(PROSODY_NAMES)


def test_both_streams_are_what_the_bundled_engine_hears(store: Store, tmp_path: Path) -> None:
    assert main(["features", str(store.folder), str(tmp_path / "f"), "--stream", "both"]) == 0
    cache = FeatureCache.open(tmp_path / "f", store)
    assert cache.width == D_FEATURES and cache.encoder.startswith("both ")
    for number, clip in enumerate(store.clips):
        heard = cache.features(number)
        assert heard.shape == (2 * clip.count, D_FEATURES) and np.isfinite(heard).all()
    with pytest.raises(SourceError, match="other weights"):
        FeatureCache.open(tmp_path / "f", store, "both 0")
