# SPDX-License-Identifier: Apache-2.0
"""Other recordings of the same speech: noise, rooms, band limits, level, codecs, all in time.

``speed`` alone moves the sounds, and their times with them.
"""

from __future__ import annotations

import io

import numpy as np
from scipy.signal import resample_poly

from training.corpus.engines import SAMPLE_RATE_HZ
from training.corpus.phones import Gestures

# Codec, container, lowest and highest kbit/s, and samples that decoding adds in front.
_CODECS = (("libmp3lame", "mp3", 24, 64, 0), ("libopus", "ogg", 8, 32, 0),
           ("aac", "adts", 20, 64, 1024))  # fmt: skip


def worsen(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few random degradations: audio [N] float32 -> [N] float32, in time with the original."""
    if rng.random() < 0.5:
        audio = room(audio, float(rng.uniform(0.08, 0.45)), float(rng.uniform(0.05, 0.45)), rng)
    if rng.random() < 0.5:
        low = float(rng.uniform(60.0, 320.0))
        high = float(rng.choice([3400.0, 4500.0, 6000.0, 7600.0]))
        audio = band_limit(audio, low, high)
    if rng.random() < 0.3:
        audio = tilt(audio, float(rng.uniform(-6.0, 6.0)))
    if rng.random() < 0.7:
        audio = noise(audio, float(rng.uniform(5.0, 35.0)), float(rng.uniform(0.0, 1.2)), rng)
    audio = audio * np.float32(10.0 ** (rng.uniform(-30.0, 6.0) / 20.0))
    audio = np.clip(audio, -1.0, 1.0).astype(np.float32)
    kind = rng.random()
    if kind < 0.2:
        audio = compand(audio)
    elif kind < 0.45:
        name, container, low, high, delay = _CODECS[rng.integers(len(_CODECS))]
        audio = coded(audio, name, container, int(rng.integers(low, high + 1)), delay)
    return np.clip(audio, -1.0, 1.0).astype(np.float32)


def noise(audio: np.ndarray, snr_db: float, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise whose amplitude falls as frequency^-slope, ``snr_db`` under the speech's RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(audio.size))
    spectrum /= np.maximum(np.arange(spectrum.size) * SAMPLE_RATE_HZ / audio.size, 40.0) ** slope
    added = np.fft.irfft(spectrum, audio.size)
    loud = np.abs(audio) > 0.01 * np.abs(audio).max()
    speech = np.sqrt(np.mean(audio[loud] ** 2)) if loud.any() else 0.0
    return audio + added / added.std() * speech * 10.0 ** (-snr_db / 20.0)


def room(audio: np.ndarray, rt60_s: float, wet: float, rng: np.random.Generator) -> np.ndarray:
    """Reverberation by decaying noise after the direct sound (so times do not move)."""
    count = int(rt60_s * SAMPLE_RATE_HZ)
    decay = 10.0 ** (-3.0 * np.arange(count) / count)
    tail = rng.standard_normal(count) * decay
    tail *= wet / np.sqrt((tail**2).sum())
    tail[: SAMPLE_RATE_HZ // 500] = 0.0
    tail[0] = 1.0
    size = audio.size + count
    return np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(tail, size), size)[: audio.size]


def band_limit(audio: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Keep ``low_hz`` to ``high_hz`` with slopes of a few hundred Hz (zero phase)."""
    hertz = np.fft.rfftfreq(audio.size, 1.0 / SAMPLE_RATE_HZ)
    rise = np.clip((hertz - 0.6 * low_hz) / (0.4 * low_hz), 0.0, 1.0)
    fall = np.clip((1.1 * high_hz - hertz) / (0.1 * high_hz), 0.0, 1.0)
    return np.fft.irfft(np.fft.rfft(audio) * rise * fall, audio.size)


def tilt(audio: np.ndarray, db_per_octave: float) -> np.ndarray:
    """Tilt the spectrum around 1 kHz (microphones and voices differ in it)."""
    hertz = np.maximum(np.fft.rfftfreq(audio.size, 1.0 / SAMPLE_RATE_HZ), 100.0)
    gain = 10.0 ** (0.5 * db_per_octave * np.log2(hertz / 1000.0) / 20.0)
    return np.fft.irfft(np.fft.rfft(audio) * gain, audio.size)


def compand(audio: np.ndarray) -> np.ndarray:
    """8-bit mu-law and back, as telephones do."""
    clipped = np.clip(audio, -1.0, 1.0)
    coded = np.sign(clipped) * np.log1p(255.0 * np.abs(clipped)) / np.log(256.0)
    coded = np.round(coded * 127.0) / 127.0
    return np.sign(coded) * (256.0 ** np.abs(coded) - 1.0) / 255.0


def coded(audio: np.ndarray, name: str, container: str, kbps: int, delay: int) -> np.ndarray:
    """Audio [N] float32 through a lossy codec and back: -> [N], in time with the original."""
    import av

    file, heard = io.BytesIO(), []
    with av.open(file, "w", format=container) as sink:
        stream = sink.add_stream(name, rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = 1000 * kbps
        fitted = av.AudioResampler(stream.codec_context.format, "mono", SAMPLE_RATE_HZ)
        frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for part in [*fitted.resample(frame), *fitted.resample(None), None]:
            sink.mux(stream.encode(part))
    file.seek(0)
    with av.open(file) as source:
        plain = av.AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
        for frame in source.decode(audio=0):
            heard += [part.to_ndarray()[0] for part in plain.resample(frame)]
        heard += [part.to_ndarray()[0] for part in plain.resample(None)]
    found = np.concatenate(heard)[delay : delay + audio.size]
    return np.pad(found, (0, audio.size - found.size)).astype(np.float32)


def speed(audio: np.ndarray, gestures: Gestures, percent: int) -> tuple[np.ndarray, Gestures]:
    """Play faster (over 100) or slower: audio and the times of its sounds; pitch moves along."""
    moved = resample_poly(audio, 100, percent).astype(np.float32)
    factor = 100.0 / percent
    return moved, tuple((name, a * factor, b * factor) for name, a, b in gestures)
