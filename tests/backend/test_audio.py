# SPDX-License-Identifier: Apache-2.0
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.audio import AudioReader, open_audio
from lsf_backend.errors import LsfError
from lsf_backend.protocol import ASSETS
from tests.backend.sounds import CODED, speechlike, tone, wav_header, write_coded, write_wav


def whole(reader: AudioReader) -> np.ndarray:
    return reader.read(0, reader.n_samples)


def level_db(samples: np.ndarray) -> float:
    """Level of the middle of a sound, relative to a sine of amplitude 1."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(10 * np.log10(2 * (middle.astype(float) ** 2).mean() + 1e-20))


@pytest.mark.parametrize("ending", [*CODED, "wav"])
def test_every_format_gives_the_sound_at_its_place_and_length(tmp_path: Path, ending: str) -> None:
    codec, rate, padding = CODED.get(ending, ("pcm_s16le", 44100, 0))
    sound = tone(3.217, rate, 1000, 0.5)
    reader = open_audio(write_coded(tmp_path / f"a.{ending}", sound, rate, codec))
    assert 0 <= reader.n_samples - sound.size * 16000 // rate <= padding * 16000 / rate
    assert reader.duration_s == reader.n_samples / 16000
    assert reader.n_frames == reader.n_samples // 640
    heard = whole(reader)
    assert heard.size == reader.n_samples and heard.dtype == np.float32
    delay = 1024 if ending == "aac" else 0  # a bare ADTS stream cannot say what its encoder added
    start = 16000 + delay * 16000 // rate
    expected = tone(1, 16000, 1000, 0.5)
    likeness = np.corrcoef(heard[start : start + 16000], expected)[0, 1]
    assert likeness > 0.97  # one sample off gives 0.92, two 0.71
    assert level_db(heard) == pytest.approx(level_db(expected), abs=0.5)


@pytest.mark.parametrize("sample", ["u1", "i2", "i4", "f4"])
def test_channels_are_averaged_in_every_sample_type(tmp_path: Path, sample: str) -> None:
    left, right = tone(1, hz=300, peak=0.8), tone(1, hz=1000, peak=0.8)
    stereo = np.stack((left, right), axis=1)
    heard = whole(open_audio(write_wav(tmp_path / "s.wav", stereo, sample=sample)))
    np.testing.assert_allclose(heard, (left + right) / 2, atol=0.01 if sample == "u1" else 1e-4)


def test_channels_of_planar_formats_and_six_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack((tone(1, 48000), 0 * tone(1, 48000)), axis=1)
    for name, codec in (("s.flac", "flac"), ("s.m4a", "aac"), ("s.opus", "libopus")):
        heard = whole(open_audio(write_coded(tmp_path / name, stereo, 48000, codec)))
        assert level_db(heard) == pytest.approx(20 * np.log10(0.15), abs=0.3)
    six = np.stack([tone(1, hz=300)] * 3 + [0 * tone(1)] * 3, axis=1)
    heard = whole(open_audio(write_wav(tmp_path / "six.wav", six)))
    assert level_db(heard) == pytest.approx(20 * np.log10(0.15), abs=0.1)


@pytest.mark.parametrize("rate", [22050, 32000, 44100, 48000, 96000])
def test_resampling_keeps_speech_and_folds_nothing_back(tmp_path: Path, rate: int) -> None:
    for hz in (200, 3000, 6000):
        heard = whole(open_audio(write_wav(tmp_path / "p.wav", tone(1, rate, hz, 0.5), rate)))
        assert level_db(heard) == pytest.approx(20 * np.log10(0.5), abs=0.1), hz
    for hz in (9500, 10500, 15000):
        if hz < rate / 2:
            loud_and_voice = tone(1, rate, hz, 0.5) + tone(1, rate, 100, 0.01)
            heard = whole(open_audio(write_wav(tmp_path / "q.wav", loud_and_voice, rate)))
            residual = heard - tone(1, 16000, 100, 0.01)[: heard.size]
            assert level_db(residual) < -60, hz


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_a_click_stays_where_it_is(tmp_path: Path, rate: int) -> None:
    sound = np.zeros(2 * rate, np.float32)
    sound[rate] = 0.9
    assert np.abs(whole(open_audio(write_wav(tmp_path / "c.wav", sound, rate)))).argmax() == 16000


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 96000])
def test_lengths_are_exact_to_the_sample(tmp_path: Path, rate: int) -> None:
    for n in (rate // 4, rate // 4 + 1, rate + 1, 2 * rate - 1):
        reader = open_audio(write_wav(tmp_path / "n.wav", tone(n / rate, rate), rate))
        assert reader.n_samples == n * 16000 // rate
        assert reader.n_frames == n * 25 // rate
        assert whole(reader).size == reader.n_samples


def test_reads_in_any_order_give_the_same_samples(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", speechlike(100, 22050), 22050)
    expected = whole(open_audio(path))
    reader = open_audio(path)
    random = np.random.default_rng(1)
    places = [0, 0, 8000, 160000, 150000, 1_590_000, 3, 700_000, *random.integers(0, 1_600_000, 12)]
    for place in places:
        count = int(random.integers(1, 200_000))
        heard = reader.read(int(place), count)
        np.testing.assert_allclose(heard, expected[place : place + count], atol=1e-6)
    assert reader.read(reader.n_samples, 5).size == 0
    assert reader.read(reader.n_samples - 3, 500).size == 3


@pytest.mark.parametrize("ending", ["wav", *CODED])
def test_a_range_is_a_slice_of_the_whole_also_after_a_seek(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, rate, _ = CODED.get(ending, ("pcm_s16le", 44100, 0))
    path = write_coded(tmp_path / f"r.{ending}", speechlike(10, rate), rate, codec)
    expected = whole(open_audio(path))
    monkeypatch.setattr("lsf_backend.audio_decoder._WHOLE_DECODE_S", 3.0)  # as if it were long
    assert open_audio(path).n_samples == pytest.approx(expected.size, abs=16)
    reader = open_audio(path, 6.3337, 8.5)
    assert reader.n_samples == round(8.5 * 16000) - round(6.3337 * 16000)
    start = round(6.3337 * 16000)
    difference = whole(reader) - expected[start : start + reader.n_samples]
    # AAC fills bands with noise that depends on where decoding began; everything else is exact.
    assert np.sqrt((difference**2).mean()) < (8e-3 if codec == "aac" else 1e-4)


def test_three_hours_open_at_once_and_stay_small(tmp_path: Path) -> None:
    path = tmp_path / "three hours.wav"
    n_bytes = 3 * 3600 * 16000 * 2
    sound = (speechlike(260) * 32767).astype("<i2").tobytes()
    with path.open("wb") as file:
        file.write(wav_header(n_bytes, 16000) + sound)
        file.seek(44 + n_bytes - 32000)  # the rest is a hole: silence that takes no space
        file.write(sound[:32000])
    began = time.process_time()
    reader = open_audio(path)
    first = reader.read(0, 11 * 16000)
    assert time.process_time() - began < 1.0
    assert reader.n_frames == 3 * 3600 * 25 and np.abs(first).max() > 0.1
    reader.read(0, 40 * 16000)
    tracemalloc.start()
    for second in range(40, 240, 10):
        reader.read((second - 1) * 16000, 12 * 16000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 11e6, "200 s are 13 MB as float32, twice that while joined; 30 s may be kept"
    began = time.process_time()
    late = whole(open_audio(path, 3 * 3600 - 10))
    assert time.process_time() - began < 2, "it did not decode from the start"
    assert not late[: 9 * 16000].any() and np.array_equal(late[9 * 16000 :], first[:16000])


def test_long_silence_before_speech_is_allowed(tmp_path: Path) -> None:
    sound = np.concatenate((np.zeros(16000 * 90, np.float32), speechlike(2)))
    reader = open_audio(write_wav(tmp_path / "late.wav", sound))
    assert np.abs(reader.read(0, 16000)).max() == 0
    np.testing.assert_allclose(whole(reader), sound, atol=1e-4)
    reader.finish()


def test_silence_is_not_decided_before_all_of_it_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsf_backend.audio._LOOK_FOR_SOUND", 16000)
    late = np.concatenate((np.zeros(16000 * 5, np.float32), speechlike(1)))
    open_audio(write_wav(tmp_path / "late.wav", late))
    reader = open_audio(write_wav(tmp_path / "never.wav", np.zeros(16000 * 5)))
    reader.read(0, 16000 * 3)
    reader.finish()
    reader.read(16000 * 3, 16000 * 2)
    with pytest.raises(LsfError, match="silent"):
        reader.finish()


def test_paths_are_only_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("речь с пробелом.wav", "take:2.wav", "concat:a|b.wav", "%d.wav", "日本 #1?.wav"):
        reader = open_audio(write_wav(tmp_path / name, tone(0.5)))
        assert reader.n_samples == open_audio(name).n_samples == 8000, name


def test_the_sound_of_a_video_is_used(tmp_path: Path) -> None:
    path = write_coded(tmp_path / "v.mp4", tone(1.5, 48000), 48000, "aac", video=True)
    assert open_audio(path).n_samples == 24000


def test_what_is_odd_is_said_and_still_works(tmp_path: Path) -> None:
    def warnings(samples: np.ndarray, rate: int = 16000, sample: str = "i2") -> str:
        reader = open_audio(write_wav(tmp_path / "odd one.wav", samples, rate, sample))
        whole(reader)
        found = reader.warnings()
        assert all("odd one.wav" in text and text.endswith(".") for text in found)
        return " ".join(found)

    assert "8 kHz" in warnings(speechlike(1, 8000), 8000)
    assert "clipped" in warnings((5 * speechlike(2)).clip(-1, 1))
    assert "clipped" in warnings(3 * speechlike(2), sample="f4")
    assert "quiet" in warnings(0.01 * speechlike(1))
    for hz in (100, 440, 3000):
        assert warnings(tone(1, 44100, hz, 1.0), 44100) == "", "full scale is not clipped"
    assert warnings(speechlike(1)) == ""


def test_numbers_that_are_not_finite_do_not_spread(tmp_path: Path) -> None:
    sound = speechlike(1)
    sound[5000:5010] = np.nan
    sound[6000] = np.inf
    heard = whole(open_audio(write_wav(tmp_path / "nan.wav", sound, sample="f4")))
    assert np.isfinite(heard).all() and np.abs(heard).max() < 2


def test_a_damaged_file_keeps_what_is_good(tmp_path: Path) -> None:
    path = write_coded(tmp_path / "d.mp3", speechlike(40, 44100), 44100, "libmp3lame")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(data)
    reader = open_audio(path)
    assert 35 < reader.duration_s < 41
    assert whole(reader).size == reader.n_samples
    cut = write_wav(tmp_path / "cut.wav", speechlike(60))
    cut.write_bytes(cut.read_bytes()[: 44 + 16000 * 2 * 45])
    reader = open_audio(cut)
    assert reader.duration_s == 45.0, "the header says 60 s"


def test_the_sample_is_a_usable_sound() -> None:
    reader = open_audio(ASSETS / "sample.wav")
    assert 4 < reader.duration_s < 6.5
    whole(reader)
    reader.finish()
    assert reader.warnings() == []
