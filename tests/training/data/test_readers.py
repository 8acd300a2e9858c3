# SPDX-License-Identifier: Apache-2.0
"""Every layout arrives in the store as it lies on disk."""

from pathlib import Path

import numpy as np
import pytest

from lsf_backend.export import write_take
from lsf_backend.export.npz import write_npz
from lsf_backend.export.take import Take
from lsf_backend.face.head_space import motion_from_arkit
from training.data.clips import Face, PrepareConfig, SourceError
from training.data.prepare import prepare
from training.data.store import Store

from .conftest import (
    add_cache_clip,
    add_release_clip,
    params,
    tone,
    write_aac,
    write_wav,
)

HEAD = PrepareConfig(face_space="head")


def prepared(source: Path, config: PrepareConfig | None = None) -> Store:
    out = source.parent / "store"
    prepare(source, out, config or PrepareConfig())
    return Store.open(out)


def test_a_cache_arrives_number_for_number(cache: Path) -> None:
    param = np.load(cache / "param" / "M032_030_6_2.npy", allow_pickle=False)[0]
    store = prepared(cache)
    assert store.face == Face("flame", "2020")
    clip = next(clip for clip in store.clips if clip.stem == "M032_030_6_2")
    number = store.clips.index(clip)
    assert (clip.subject, clip.sentence, clip.emotion, clip.intensity) == ("M032", "030", 6, 2)
    expected = np.concatenate([param[:, 300:350], param[:, 400:]], axis=1)
    np.testing.assert_array_equal(store.motion(number), expected)
    np.testing.assert_array_equal(store.betas(number), param[0, :300])
    np.testing.assert_array_equal(store.audio(number) * 32768, tone(clip.count / 25, 3))
    assert len(store) == 6 and store.n_frames == sum(range(15, 21))
    assert isinstance(store.motion(0), np.memmap)
    assert store.verify() == []


def test_betas_are_of_the_first_frame_or_their_mean(cache: Path) -> None:
    param = np.load(cache / "param" / "M003_001_0_0.npy", allow_pickle=False)[0]
    store = prepared(cache, PrepareConfig(betas="mean"))
    np.testing.assert_allclose(store.betas(0), param[:, :300].mean(axis=0), atol=1e-6)
    assert np.abs(store.betas(0) - param[0, :300]).max() > 1e-4


@pytest.mark.parametrize("of_tree", [True, False])
def test_emotes_tree_with_meads_own_m4a(tmp_path: Path, of_tree: bool) -> None:
    root = tmp_path / "3DMEAD"
    add_release_clip(root, "M003", 0, 1, "001", 25, seed=1)
    add_release_clip(root, "W040", 6, 3, "030", 30, seed=2)
    write_aac(root / "M003/audio/neutral/level_1/001.m4a", tone(1.02))
    write_aac(root / "W040/audio/angry/level_3/030.m4a", tone(1.2))
    source = root / "EMICA-MEAD_flame2020" if of_tree else root
    out = tmp_path / "out"
    report = prepare(source, out, PrepareConfig())
    store = Store.open(out)
    assert (report.kept, report.skipped) == (2, ())
    assert [clip.stem for clip in store.clips] == ["M003_001_0_0", "W040_030_6_2"]
    assert store.face == Face("flame", "2020") and store.facts["source"]["layout"] == "release"
    shape, expression, jaw = params(30, seed=2)
    expected = np.concatenate([expression[0, :, :50], jaw[0]], axis=1)
    np.testing.assert_array_equal(store.motion(1), expected)
    np.testing.assert_array_equal(store.betas(1), shape[0, 0])
    assert store.audio(0).size >= 25 * 640


def test_sound_beside_the_motion_as_wav_or_mp4_or_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_wav(add_release_clip(root, "M003", 0, 1, "001") / "audio.wav", tone(0.8))
    write_aac(add_release_clip(root, "M003", 0, 1, "002") / "002.mp4", tone(0.8))
    add_release_clip(root, "M003", 1, 2, "003")
    write_aac(tmp_path / "mead/M003/video/front/happy/level_2/003.mp4", tone(0.8))
    report = prepare(root, tmp_path / "without", PrepareConfig())
    assert report.reasons == {"audio_missing": 1}
    report = prepare(root, tmp_path / "with", PrepareConfig(audio=tmp_path / "mead"))
    assert (report.kept, report.reasons) == (3, {})


def test_captures_of_every_kind_in_one_head_store(tmp_path: Path) -> None:
    source = tmp_path / "takes"
    weights = np.random.default_rng(0).uniform(0, 0.5, (30, 52)).astype(np.float32)
    weights[:, [22, 23]] = 0.0  # jawLeft or jawRight: one cancels the other
    motion = motion_from_arkit(weights)
    (source / "day 1").mkdir(parents=True)
    take = Take(motion, "head", {})
    write_npz(source / "day 1" / "b.npz", take)
    write_take(source / "a.csv", take, 25.0)
    np.save(source / "c.npy", motion)
    np.savez(source / "d.npz", motion=motion, fps=25.0, betas=np.ones(300), face_space="head")
    for stem in ("a", "day 1/b", "c", "d"):
        write_wav(source / f"{stem}.wav", tone(1.2))
    (source / "betas").mkdir()
    np.save(source / "betas" / "actor.npy", np.full(300, 0.5))
    store = prepared(source, HEAD)
    assert [clip.stem for clip in store.clips] == ["a", "c", "d", "day 1/b"]
    assert {clip.subject for clip in store.clips} == {"actor"} and store.face == Face("head")
    for number in range(4):
        np.testing.assert_allclose(store.motion(number), motion, atol=2e-4)
    assert [float(store.betas(i)[0]) for i in range(4)] == [0.5, 0.5, 1.0, 0.5]


def test_live_link_takes_at_sixty_fps_become_twenty_five(tmp_path: Path) -> None:
    source = tmp_path / "takes"
    source.mkdir()
    motion = motion_from_arkit(np.full((50, 52), 0.25, np.float32))
    write_take(source / "take_1.csv", Take(motion, "head", {}), 60.0)
    write_take(source / "take_1_cal.csv", Take(motion, "head", {}), 60.0)
    write_aac(source / "take_1.MOV", tone(2.0))
    out = tmp_path / "out"
    report = prepare(source, out, PrepareConfig(subject="Ada"))
    assert report.by_subject == {"Ada": 1} and "take_1_cal" in report.left_out[0]
    assert abs(Store.open(out).clips[0].count - 50) <= 1


def test_plain_motion_at_a_stated_rate_is_resampled(tmp_path: Path) -> None:
    source = tmp_path / "takes"
    source.mkdir()
    ramp = np.linspace(0.0, 1.0, 120)[:, None] * np.ones(53)
    np.savez(source / "a.npz", motion=ramp, fps=60.0)
    np.save(source / "b.npy", ramp[:60])
    for stem in "ab":
        write_wav(source / f"{stem}.wav", tone(2.0))
    store = prepared(source, PrepareConfig(face_space="head", fps=30.0))
    assert [clip.count for clip in store.clips] == [50, 50]
    for number, step in enumerate((60 / 25, 30 / 25)):
        expected = np.arange(50) * step / 119
        np.testing.assert_allclose(store.motion(number)[:, 7], expected, atol=1e-6)


def test_the_corpus_layout_is_motion_of_the_bundled_head(tmp_path: Path) -> None:
    source = tmp_path / "corpus"
    for n in (1, 2, 3):
        add_cache_clip(source, f"S00{n}_001_0_0")
    with pytest.raises(SourceError, match="--face-space"):
        prepare(source, tmp_path / "out", PrepareConfig())
    (source / "corpus.json").write_text("{}")
    assert prepared(source).face == Face("head")


def test_faces_are_stated_and_never_mixed(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(SourceError, match="FLAME 2020, but FLAME 2023"):
        prepare(cache, tmp_path / "x", PrepareConfig(flame_version="2023"))
    root = tmp_path / "both"
    add_release_clip(root / "EMICA-MEAD_flame2020", "M003", 0, 1, "001")
    add_release_clip(root / "EMICA-MEAD_flame2023", "M003", 0, 1, "001")
    with pytest.raises(SourceError, match="FLAME 2020 and FLAME 2023"):
        prepare(root, tmp_path / "y", PrepareConfig())
    takes = tmp_path / "takes"
    takes.mkdir()
    for stem, version in (("a", "2020"), ("b", "2023")):
        motion = np.zeros((25, 53), np.float32)
        np.savez(takes / stem, motion=motion, face_space="flame", flame_version=version)
        write_wav(takes / f"{stem}.wav", tone(1.0))
    with pytest.raises(SourceError, match="do not mix"):
        prepare(takes, tmp_path / "z", PrepareConfig())
    (takes / "b.npz").unlink()
    np.save(takes / "b.npy", np.zeros((25, 53), np.float32))
    with pytest.raises(SourceError, match="nothing says what face b is of"):
        prepare(takes, tmp_path / "z", PrepareConfig())
    assert not list(tmp_path.glob("[xyz]*"))


def test_a_folder_of_no_layout_is_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(SourceError, match="EMICA-MEAD_flame2020"):
        prepare(tmp_path, tmp_path / "out", PrepareConfig())
