# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.engine import features


def tone(hertz: float, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    t = np.arange(int(16_000 * seconds)) / 16_000
    parts = [np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 9)]
    return (level * sum(parts)).astype(np.float32)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


def test_log_mel_equals_torchs_transform():
    torch = pytest.importorskip("torch")
    audio = noise(2.0)
    window = torch.hann_window(400)
    spectrum = torch.stft(torch.from_numpy(audio), 400, 160, window=window, return_complex=True)
    power = spectrum[:, :-1].abs() ** 2
    logs = (torch.from_numpy(features.mel_filters()) @ power).clamp(min=1e-10).log10()
    logs = (torch.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0
    ours = features.log_mel(audio)
    assert ours.shape == (80, 200) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, logs.numpy(), atol=2e-4)


def test_mel_filters_have_unit_area_and_cover_the_band_without_gaps():
    filters = features.mel_filters()
    # Whisper's own bank: known numbers of its first, middle and last filters.
    np.testing.assert_allclose(filters[0, 1], 0.02486259, rtol=1e-4)
    assert filters.shape == (80, 201)
    area = filters[40:].sum(1) * 40.0
    np.testing.assert_allclose(area, 1.0, rtol=0.2)
    assert (filters[:, 2:199].sum(0) > 0).all()


@pytest.mark.parametrize("hertz", [80.0, 120.0, 210.0, 330.0])
def test_pitch_of_a_steady_voice(hertz):
    raw = features.raw_prosody(tone(hertz))[5:-5]
    np.testing.assert_allclose(150.0 * 2.0 ** raw[:, 0], hertz, rtol=0.02)
    assert (raw[:, 1] > 0.9).all()


def test_noise_is_not_voiced():
    assert np.median(features.raw_prosody(noise(1.0))[:, 1]) < 0.4


def test_prosody_does_not_depend_on_the_recording_level():
    audio = np.concatenate([tone(140.0), 0.001 * noise(0.5), tone(190.0)])
    heard = []
    for level in (1.0, 0.05):
        raw = features.raw_prosody(audio * np.float32(level))
        reference = features.SpeechReference()
        reference.hear(raw)
        heard.append((features.prosody(raw, reference), reference.gain * level))
    np.testing.assert_allclose(heard[0][0][:, :4], heard[1][0][:, :4], atol=0.1)
    assert heard[0][1] == pytest.approx(heard[1][1], rel=0.15)


def test_a_long_pause_does_not_make_a_voice_louder():
    speech, pause = features.raw_prosody(tone(140.0)), features.raw_prosody(0.0003 * noise(3.0))
    reference = features.SpeechReference()
    reference.hear(speech)
    before = reference.level_db
    reference.hear(pause)
    assert reference.level_db == pytest.approx(before, abs=1.0)


def test_frames_are_centred_on_their_hop():
    audio = np.zeros(16_000, np.float32)
    audio[6_400:6_720] = tone(200.0)[:320]
    energy = features.raw_prosody(audio)[:, 2]
    assert abs(int(energy.argmax()) - 20) <= 1


def test_prosody_tells_a_high_lively_voice_from_a_low_flat_one_however_loud():
    """Pitch and its spread are absolute; the level of the recording changes nothing."""
    time = np.arange(48_000) / 16_000

    def spoken(hertz: float, swing: float) -> np.ndarray:
        pitch = hertz * 2.0 ** (swing * np.sin(2 * np.pi * 1.5 * time))
        phase = 2 * np.pi * np.cumsum(pitch) / 16_000
        return sum(np.sin(k * phase) / k for k in range(1, 9)).astype(np.float32) * 0.1

    def told(audio: np.ndarray) -> dict[str, float]:
        raw, reference = features.raw_prosody(audio), features.SpeechReference()
        reference.hear(raw)
        middle = features.prosody(raw, reference)[40:110].mean(0)
        return dict(zip(features.PROSODY_NAMES, middle.tolist(), strict=True))

    calm, lively = told(spoken(110.0, 0.02)), told(spoken(220.0, 0.3))
    assert lively["pitch_slow"] - calm["pitch_slow"] == pytest.approx(1.0, abs=0.15)
    assert lively["pitch_spread"] > 3.0 * calm["pitch_spread"] > 0.0
    for name, value in told(0.03 * spoken(220.0, 0.3)).items():
        assert value == pytest.approx(lively[name], abs=0.05), name
