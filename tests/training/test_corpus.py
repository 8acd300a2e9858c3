# SPDX-License-Identifier: Apache-2.0
import ctypes.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from training.corpus import augment, text  # noqa: E402
from training.corpus.engines import Voice, speak  # noqa: E402
from training.corpus.make import clip_stems, make, read_clip, teach  # noqa: E402
from training.corpus.voices import subjects  # noqa: E402

needs_engines = pytest.mark.skipif(
    not (ctypes.util.find_library("espeak-ng") and shutil.which("flite")),
    reason="the synthesisers espeak-ng and flite are not installed",
)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


@needs_engines
def test_the_corpus_resumes_where_it_was_cut_off(tmp_path, monkeypatch):
    voices = [Voice("espeak", "en-us+f2", "en"), Voice("flite", "slt", "en", rate=1.1, tract=1.1)]
    monkeypatch.setattr("training.corpus.make.N_SUBJECTS", 2)
    monkeypatch.setattr("training.corpus.make.subjects", lambda count, seed: voices)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert make(whole, hours=14 / 3600) * 3600 >= 14
    make(cut, hours=5 / 3600)
    stems = clip_stems(cut)
    assert len(stems) < len(clip_stems(whole))
    (cut / "phones" / f"{stems[0]}.json").unlink()
    make(cut, hours=14 / 3600)
    assert teach(whole) == teach(cut) == len(clip_stems(whole))
    assert contents(whole) == contents(cut)
    for stem in clip_stems(whole):
        param = np.load(whole / "param" / f"{stem}.npy")
        clip = read_clip(whole, stem)
        assert param.shape == (1, len(clip.audio) // 640, 403) and param.dtype == np.float32
        assert not param[0, :, 350:400].any()
        assert clip.gestures[0][0] == "sil"
        assert clip.gestures[-1][2] <= len(clip.audio) / 16e3 + 0.02


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
    voices = subjects(96, 1)
    assert len(voices) == 96 and voices == subjects(96, 1)
    assert {v.engine for v in voices} == {"espeak", "flite", "festival"}
    assert {v.language for v in voices} == set(text.LANGUAGES)
    assert np.mean([v.language == "en" for v in voices]) > 0.5


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_sentences_are_seeded_and_varied(language):
    lines = [text.sentence(language, np.random.default_rng(n)) for n in range(40)]
    assert lines == [text.sentence(language, np.random.default_rng(n)) for n in range(40)]
    assert len(set(lines)) > 30 and all(line.strip() for line in lines)


def test_worse_recordings_stay_in_time():
    rng = np.random.default_rng(0)
    audio = np.zeros(16_000, np.float32)
    audio[6_000:9_000] = 0.3 * rng.standard_normal(3_000)
    for seed in range(12):
        worse = augment.worsen(audio, np.random.default_rng(seed))
        assert worse.shape == audio.shape and worse.dtype == np.float32
        assert np.abs(worse).max() <= 1.0
        power = np.convolve(worse.astype(float) ** 2, np.ones(320), "same")
        assert 5_700 < np.argmax(power > 0.5 * power.max()) < 6_700


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
