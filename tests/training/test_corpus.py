# SPDX-License-Identifier: Apache-2.0
import ctypes.util
import importlib.util
import inspect
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from lsf_backend.engine.features import raw_prosody  # noqa: E402
from training.corpus import augment, text, vocoder  # noqa: E402
from training.corpus.emotion import INTENSITIES, PROFILES, Manner  # noqa: E402
from training.corpus.engines import Voice, speak  # noqa: E402
from training.corpus.make import clip_stems, make, read_clip, teach  # noqa: E402
from training.corpus.report import report  # noqa: E402
from training.corpus.spoken import label_of  # noqa: E402
from training.corpus.voices import N_SUBJECTS, split_of, subjects  # noqa: E402
from training.data.cache import Ears  # noqa: E402

needs_engines = pytest.mark.skipif(
    not (ctypes.util.find_library("espeak-ng") and shutil.which("flite")),
    reason="the synthesisers espeak-ng and flite are not installed",
)

HAS_VOCODER = importlib.util.find_spec("pyworld") is not None
needs_vocoder = pytest.mark.skipif(not HAS_VOCODER, reason="pyworld is not installed")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@pytest.fixture
def two_voices(monkeypatch):
    voices = [Voice("espeak", "en-us+f2", "en"), Voice("flite", "slt", "en", rate=1.1, tract=1.1)]
    monkeypatch.setattr("training.corpus.make.N_SUBJECTS", 2)
    monkeypatch.setattr("training.corpus.make._BATCH", 4)
    monkeypatch.setattr("training.corpus.make.subjects", lambda count, seed: voices)
    if not HAS_VOCODER:
        shares = {True: 0.0, False: 0.0}
        monkeypatch.setattr("training.corpus.spoken._SHARE_VOCODER", shares)


@needs_engines
def test_the_corpus_resumes_where_it_was_cut_off(tmp_path, two_voices):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    make(whole, hours=30 / 3600)
    make(cut, hours=5 / 3600)
    stems = clip_stems(cut)
    assert len(stems) < len(clip_stems(whole))
    (cut / "phones" / f"{stems[0]}.json").unlink()
    make(cut, hours=30 / 3600)
    assert teach(whole) == teach(cut) == len(clip_stems(whole))
    assert contents(whole) == contents(cut)
    for stem in clip_stems(whole):
        param = np.load(whole / "param" / f"{stem}.npy")
        clip = read_clip(whole, stem)
        assert param.shape == (1, len(clip.audio) // 640, 403) and param.dtype == np.float32
        assert not param[0, :, 350:400].any()
        assert clip.gestures[0][0] == "sil"
        assert clip.gestures[-1][2] <= len(clip.audio) / 16e3 + 0.02
        assert (clip.emotion, clip.intensity) == tuple(int(x) for x in stem.split("_")[2:])
    with pytest.raises(ValueError, match="another seed"):
        make(cut, hours=30 / 3600, seed=2)


@needs_engines
def test_the_data_commands_read_the_corpus(tmp_path, two_voices):
    from training.data.clips import PrepareConfig
    from training.data.layouts import layout_of, list_source

    make(tmp_path, hours=5 / 3600)
    teach(tmp_path)
    assert layout_of(tmp_path) == "cache"
    listing = list_source(tmp_path, PrepareConfig())
    assert [clip.stem for clip in listing.clips] == clip_stems(tmp_path) and not listing.left_out
    assert listing.face.space == "head" and listing.read(listing.clips[0]).motion.shape[1] == 53
    told = report(tmp_path)
    assert told["clips"] == len(listing.clips) and told["speakers"] == 2
    for kind in ("language", "engine", "emotion", "vocoder"):
        assert sum(told[f"hours_by_{kind}"].values()) == pytest.approx(told["hours"], abs=0.03)


def test_labels_reach_the_name_and_nothing_that_is_heard():
    labels = [label_of(np.random.default_rng([1, 2, n])) for n in range(4000)]
    assert 0.35 < np.mean([emotion == 0 for emotion, _, _ in labels]) < 0.47
    assert {(e, i) for e, i, _ in labels} == {(0, 0), *((e, i) for e in range(1, 8)
                                                       for i in range(3))}  # fmt: skip
    heard = inspect.signature(Ears.hear).parameters
    assert list(heard) == ["self", "audio"]


@needs_engines
@pytest.mark.parametrize("voice", [Voice("espeak", "en-us", "en"), Voice("flite", "rms", "en"),
                                   Voice("espeak", "it", "it", tract=1.12)], ids=str)  # fmt: skip
def test_sound_times_fit_the_sound(voice):
    said = speak(voice, "Mama, papa. Mama.")
    starts = np.array([start for _, start, _ in said.phones])
    ends = np.array([end for _, _, end in said.phones])
    assert (ends >= starts).all() and (np.diff(starts) >= 0).all()
    assert abs(ends[-1] - said.audio.size / 16_000) < 0.06
    level = [np.std(said.audio[int(a * 16e3) : int(b * 16e3)]) for _, a, b in said.phones if b > a]
    names = [name for name, a, b in said.phones if b > a]
    loud = [x for x, name in zip(level, names, strict=True) if name[0] in "aɑAæə"]
    pauses = [x for x, name in zip(level, names, strict=True) if name in ("sil", "pau")]
    assert min(loud) > 3 * max(pauses)


def test_speakers_cover_engines_and_languages():
    voices = subjects(N_SUBJECTS, 1)
    assert len(voices) == N_SUBJECTS and voices == subjects(N_SUBJECTS, 1)
    assert len(set(voices)) == N_SUBJECTS and len({v.name for v in voices}) > 80
    assert {v.engine for v in voices} == {"espeak", "flite", "festival"}
    assert {v.language for v in voices} == set(text.LANGUAGES)
    assert 0.5 < np.mean([v.language == "en" for v in voices]) < 0.65


def test_people_are_split_whole():
    parts = [split_of(f"S{n:03d}_001_0_0") for n in range(1, N_SUBJECTS + 1)]
    assert (parts.count("train"), parts.count("validation"), parts.count("test")) == (128, 16, 16)
    assert split_of("S018_001_0_0") == split_of("S018_044_6_2") == "validation"


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_sentences_are_seeded_and_varied(language):
    lines = [text.sentence(language, np.random.default_rng(n)) for n in range(40)]
    assert lines == [text.sentence(language, np.random.default_rng(n)) for n in range(40)]
    assert len(set(lines)) > 30 and all(line.strip() for line in lines)


def buzz(hertz: float, seconds: float) -> np.ndarray:
    t = np.arange(int(16_000 * seconds)) / 16_000
    hz = hertz * (1.0 + 0.1 * np.sin(2 * np.pi * 1.5 * t))
    phase = 2 * np.pi * np.cumsum(hz) / 16_000
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3.0 * t)
    wave = swell * sum(np.sin(k * phase) / k for k in range(1, 20))
    return (0.1 * wave).astype(np.float32)


def spoken_measures(emotion: int, intensity: int) -> tuple[float, float, float, float]:
    """Mean pitch (octaves), its spread, brightness (dB) and the manner's loudness of a buzz."""
    manner = PROFILES[emotion].scaled(INTENSITIES[intensity])
    raw = raw_prosody(vocoder.change(buzz(140.0, 2.0), manner, np.random.default_rng(0)))
    voiced = raw[:, 1] > 0.5
    pitch = raw[voiced, 0]
    return float(pitch.mean()), float(pitch.std()), float(-raw[voiced, 3].mean()), manner.loud


@needs_vocoder
def test_emotions_sound_as_the_literature_orders_them():
    names = ("neutral", "happy", "sad", "surprised", "fear", "disgusted", "angry", "contempt")
    pitch, spread, bright, loud = (
        dict(zip(names, column, strict=True))
        for column in zip(*(spoken_measures(e, 2) for e in range(8)), strict=True)
    )
    for aroused in ("happy", "surprised", "fear", "angry"):
        assert pitch[aroused] > pitch["neutral"] + 0.1 > pitch["sad"] + 0.2
        assert bright[aroused] > bright["neutral"] > bright["sad"]
    assert spread["happy"] > 1.2 * spread["neutral"] > 1.3 * spread["sad"]
    assert loud["angry"] > loud["happy"] > loud["neutral"] > loud["sad"]


@needs_vocoder
def test_intensity_makes_a_manner_stronger():
    pitches = [spoken_measures(4, intensity)[0] for intensity in range(3)]
    assert pitches[0] + 0.05 < pitches[1] < pitches[2] - 0.05


@needs_vocoder
def test_tilt_brightens_and_dynamics_stretch_loudness():
    def sound(manner: Manner) -> tuple[float, float]:
        heard = vocoder.change(buzz(140.0, 2.0), manner, np.random.default_rng(0))
        raw = raw_prosody(heard)[5:-5]
        return float(-raw[:, 3].mean()), float(raw[:, 2].std())

    plain, bright, lively = sound(Manner()), sound(Manner(tilt=3.0)), sound(Manner(dynamics=1.4))
    assert bright[0] > plain[0] + 4.0 and lively[1] > 1.2 * plain[1]


@needs_vocoder
def test_the_vocoder_keeps_sounds_in_time():
    audio = np.zeros(32_000, np.float32)
    audio[9_000:17_000] = buzz(120.0, 0.5)
    for profile in PROFILES:
        changed = vocoder.change(audio, profile, np.random.default_rng(1))
        assert changed.shape == audio.shape and changed.dtype == np.float32
        loud = np.flatnonzero(np.abs(changed) > 0.2 * np.abs(changed).max())
        assert abs(loud[0] - 9_000) < 320 and abs(loud[-1] - 17_000) < 480


def test_worse_recordings_stay_in_time():
    rng = np.random.default_rng(0)
    audio = np.zeros(16_000, np.float32)
    audio[6_000:9_000] = 0.3 * rng.standard_normal(3_000)
    for seed in range(24):
        worse = augment.worsen(audio, np.random.default_rng(seed))
        assert worse.shape == audio.shape and worse.dtype == np.float32
        assert np.abs(worse).max() <= 1.0
        power = np.convolve(worse.astype(float) ** 2, np.ones(320), "same")
        assert 5_700 < np.argmax(power > 0.5 * power.max()) < 6_700


@pytest.mark.parametrize("codec", augment._CODECS, ids=lambda codec: codec[0])
def test_codecs_lose_detail_and_no_time(codec):
    name, container, low, _, delay = codec
    audio = np.concatenate([np.zeros(4_000, np.float32), buzz(150.0, 1.0), np.zeros(3_001)])
    audio = audio.astype(np.float32)
    heard = augment.coded(audio, name, container, low, delay)
    assert heard.shape == audio.shape and heard.dtype == np.float32
    np.testing.assert_array_equal(heard, augment.coded(audio, name, container, low, delay))
    error = np.linalg.norm(heard - audio) / np.linalg.norm(audio)
    assert 0.001 < error < 0.6
    both = np.fft.rfft(heard, 65_536) * np.conj(np.fft.rfft(audio, 65_536))
    lag = int(np.argmax(np.fft.irfft(both)))
    assert min(lag, 65_536 - lag) <= 32


def test_speed_moves_sound_and_times_together():
    audio = np.zeros(16_000, np.float32)
    audio[8_000:8_400] = 0.5
    faster, gestures = augment.speed(audio, (("sil", 0.0, 0.5), ("AA", 0.5, 1.0)), 125)
    assert abs(len(faster) - 12_800) <= 1 and gestures == (("sil", 0.0, 0.4), ("AA", 0.4, 0.8))
    assert abs(np.flatnonzero(faster > 0.25)[0] / 16_000 - gestures[1][1]) < 0.001


def test_noise_has_the_level_that_was_asked_for():
    audio = (0.1 * np.random.default_rng(1).standard_normal(32_000)).astype(np.float32)
    added = augment.noise(audio, 12.0, 0.5, np.random.default_rng(2)) - audio
    assert 20 * np.log10(audio.std() / added.std()) == pytest.approx(12.0, abs=0.3)


def test_the_front_ends_weights_are_read_by_name_and_checked(tmp_path):
    torch = pytest.importorskip("torch")
    from training import whisper

    values = np.arange(12, dtype="<f2").reshape(3, 4)

    def name(word: str) -> bytes:
        return struct.pack("<H", len(word) + 1) + word.encode() + b"\0"

    data = struct.pack("<I", 6) + name("WhisperSpec") + struct.pack("<II", 3, 1)
    data += name("encoder/conv1/weight") + struct.pack("<BIIBI", 2, 3, 4, 4, values.nbytes)
    (tmp_path / "model.bin").write_bytes(data + values.tobytes())
    read = whisper.read_ctranslate2(tmp_path / "model.bin")
    np.testing.assert_array_equal(read["encoder/conv1/weight"], values)
    assert torch.equal(
        whisper.WhisperEncoder(read).conv1_weight, torch.from_numpy(values.astype(np.float32))
    )
    with pytest.raises(ValueError, match="sha256"):
        whisper.fetch(tmp_path)


def test_the_command_explains_itself():
    done = subprocess.run(
        [sys.executable, "-m", "training.corpus", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "make" in done.stdout
