# SPDX-License-Identifier: Apache-2.0
"""What the compact engine hears: Whisper's log-mel and prosody numbers, in numpy alone.

Both run at fixed hops from the first sample: mel at 100 Hz, prosody at 50 Hz, frame ``j`` centred
on sample ``320 j``. Levels and pitch are put relative to a running :class:`SpeechReference`, so
that a whisper and a shout use the same range without the whole file. Not from the paper.
"""

from __future__ import annotations

import functools

import numpy as np

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 320
MEL_HOP_SAMPLES = 160
N_FFT = 400
N_MELS = 80
PROSODY_NAMES = (
    "pitch", "pitch_accent", "voicing", "energy", "tilt", "energy_slow",
    "pitch_slow", "pitch_spread", "periodicity", "tilt_slow",
)  # fmt: skip
TARGET_LEVEL_DB = -24.0
LOUDEST_GAIN_DB = 30.0
_PITCH_FRAME = 1024
_PITCH_RANGE_HZ = (62.5, 420.0)
_LEVEL_FLOOR_DB = -54.0
# Frames over which pitch and tilt are taken slowly: 1.5 s.
_SLOW = 75


@functools.cache
def mel_filters() -> np.ndarray:
    """Slaney's triangular filters, area-normalised: -> [80, 201] float32, as Whisper uses them."""
    # Linear below 1 kHz (200/3 Hz a step), logarithmic above (27 steps to 6.4 kHz).
    log_step = np.log(6.4) / 27.0
    top = 15.0 + np.log(SAMPLE_RATE_HZ / 2 / 1000.0) / log_step
    mels = np.linspace(0.0, top, N_MELS + 2)
    linear = mels * 200.0 / 3.0
    edges = np.where(mels < 15.0, linear, 1000.0 * np.exp(log_step * (mels - 15.0)))
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(filters, dtype=np.float32)


def frame_count(n_samples: int) -> int:
    """Number of 50 Hz frames in ``n_samples`` at 16 kHz."""
    return n_samples // HOP_SAMPLES


def _frames(audio: np.ndarray, size: int, hop: int, count: int) -> np.ndarray:
    """Frames of ``size`` centred on multiples of ``hop``: [N] -> [count, size]."""
    half = size // 2
    around = (half, half + hop)
    padded = np.pad(audio, around, "reflect") if audio.size > half else np.pad(audio, around)
    view = np.lib.stride_tricks.sliding_window_view(padded, size)
    return view[: count * hop : hop]


def log_mel(audio: np.ndarray) -> np.ndarray:
    """Whisper's input: audio [N] float32, 16 kHz -> [80, 2 * T50] float32 at 100 Hz."""
    count = 2 * frame_count(audio.size)
    window = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
    spectrum = np.fft.rfft(_frames(audio, N_FFT, MEL_HOP_SAMPLES, count) * window, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    logs = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    logs = np.maximum(logs, logs.max(initial=-10.0) - 8.0)
    return np.asarray((logs + 4.0) / 4.0, dtype=np.float32)


class SpeechReference:
    """How loud and how high this voice is so far: a histogram that forgets slowly.

    Fed one window after the other on a fixed grid, so its state is a function of the audio alone.
    """

    def __init__(self, keep: float = 0.9) -> None:
        self._keep = keep
        self._levels = np.zeros(121)  # 1 dB bins from -120 dBFS
        self._pitch_sum = 0.0
        self._pitch_weight = 0.0

    def hear(self, raw: np.ndarray) -> None:
        """Add the frames of one window; raw: [T50, 4] from :func:`raw_prosody`."""
        decibels = np.clip(raw[:, 2], -120.0, 0.0)
        counts = np.bincount((decibels + 120.0).astype(int), minlength=121)
        self._levels = self._levels * self._keep + counts
        voiced = np.clip(raw[:, 1] - 0.5, 0.0, None) * (decibels > decibels.max(initial=-120) - 25)
        self._pitch_sum = self._pitch_sum * self._keep + float(voiced @ raw[:, 0])
        self._pitch_weight = self._pitch_weight * self._keep + float(voiced.sum())

    @property
    def level_db(self) -> float:
        """Mean power of the frames within 25 dB of the loudest, dBFS (a gated loudness)."""
        total = self._levels.sum()
        if total == 0.0:
            return TARGET_LEVEL_DB
        above = np.cumsum(self._levels[::-1])[::-1]
        loudest = int(np.max(np.nonzero(above >= 0.01 * total)[0]))
        low = max(0, loudest - 25)
        powers = 10.0 ** (np.arange(-119.5, 1.5) / 10.0)
        gated = self._levels[low:]
        level = 10.0 * np.log10((gated * powers[low:]).sum() / gated.sum())
        return float(max(level, _LEVEL_FLOOR_DB))

    @property
    def pitch_octaves(self) -> float:
        """Mean pitch of the voiced frames, octaves above 150 Hz; 0 where none was heard."""
        return self._pitch_sum / self._pitch_weight if self._pitch_weight > 0.0 else 0.0

    @property
    def gain(self) -> float:
        """Factor that brings the voice to the level the encoder was trained at."""
        return float(10.0 ** (min(TARGET_LEVEL_DB - self.level_db, LOUDEST_GAIN_DB) / 20.0))


def raw_prosody(audio: np.ndarray) -> np.ndarray:
    """Pitch (octaves over 150 Hz), voicing 0..1, level dBFS, tilt dB: [N] -> [T50, 4] float32."""
    count = frame_count(audio.size)
    frames = _frames(audio, _PITCH_FRAME, HOP_SAMPLES, count)
    window = np.hanning(_PITCH_FRAME).astype(np.float32)
    spectrum = np.fft.rfft(frames * window, 2 * _PITCH_FRAME, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    pitch, voicing = _pitch(power, window)
    short = _frames(audio, 512, HOP_SAMPLES, count)
    level = 10.0 * np.log10(np.mean(short.astype(np.float64) ** 2, axis=1) + 1e-12)
    split = int(1000.0 / (SAMPLE_RATE_HZ / 2 / _PITCH_FRAME))
    low, high = power[:, 8:split].sum(1), power[:, split:].sum(1)
    tilt = 10.0 * np.log10((low + 1e-9) / (high + 1e-9))
    return np.stack([pitch, voicing, level, np.clip(tilt, -30.0, 40.0)], axis=1).astype(np.float32)


def _pitch(power: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Autocorrelation pitch: power [T, F] -> octaves over 150 Hz [T], voicing 0..1 [T]."""
    short = int(SAMPLE_RATE_HZ / _PITCH_RANGE_HZ[1])
    long = int(SAMPLE_RATE_HZ / _PITCH_RANGE_HZ[0])
    # Speech above 4 kHz only adds noise to the peak.
    kept = power.copy()
    kept[:, power.shape[1] // 2 :] = 0.0
    correlation = np.fft.irfft(kept, axis=1)[:, : long + 2]
    window_power = np.abs(np.fft.rfft(window, 2 * window.size)) ** 2
    of_window = np.fft.irfft(window_power)[: long + 2]
    ratio = correlation / (correlation[:, :1] + 1e-9) / (of_window / of_window[0])
    lags = np.arange(short, long)
    # A small slope prefers the shortest of equal periods (octave errors otherwise).
    scores = ratio[:, short:long] * (1.0 - 0.1 * np.log2(lags / short))
    best = scores.argmax(1) + short
    rows = np.arange(best.size)
    left, mid, right = (ratio[rows, best + k] for k in (-1, 0, 1))
    curve = left - 2.0 * mid + right
    shift = np.where(np.abs(curve) > 1e-9, 0.5 * (left - right) / np.minimum(curve, -1e-9), 0.0)
    period = best + np.clip(shift, -0.5, 0.5)
    octaves = np.log2(SAMPLE_RATE_HZ / period / 150.0)
    return _median5(octaves), np.clip(mid, 0.0, 1.0)


def _median5(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, 2, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)


def prosody(raw: np.ndarray, reference: SpeechReference) -> np.ndarray:
    """Numbers named PROSODY_NAMES: raw [T50, 4] -> [T50, 10] float32, about -3..3.

    Loudness and accents count from the voice heard so far; pitch, its spread, tilt and periodicity
    are absolute, since they tell a calm voice from an excited one however it was recorded.
    """
    pitch, voicing, level, tilt = raw.T
    energy = np.clip((level - reference.level_db) / 15.0, -3.0, 1.5)
    voiced = np.clip((voicing - 0.4) / 0.3, 0.0, 1.0) * (energy > -2.0)
    accent = np.clip(pitch - reference.pitch_octaves, -1.0, 1.0)
    weight = _smooth(voiced, _SLOW) + 0.02
    pitch_slow = _smooth(pitch * voiced, _SLOW) / weight
    spread = np.sqrt(_smooth(voiced * (pitch - pitch_slow) ** 2, _SLOW) / weight)
    periodicity = _smooth(voiced * (voicing - 0.8), _SLOW) / weight
    tilt_slow = _smooth(tilt * voiced, _SLOW) / weight
    return np.stack(
        [pitch * voiced, 2.0 * accent * voiced, voiced, energy, tilt / 20.0, _smooth(energy, 25),
         pitch_slow, 4.0 * spread, 4.0 * periodicity, tilt_slow / 20.0],
        axis=1,
    ).astype(np.float32)  # fmt: skip


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Hann-weighted mean over ``width`` frames (odd): [T] -> [T]."""
    kernel = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
