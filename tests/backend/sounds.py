# SPDX-License-Identifier: Apache-2.0
"""Sounds for the tests, made on the spot: nothing is stored and nothing is downloaded."""

import struct
from pathlib import Path

import av
import numpy as np


def tone(seconds: float, rate: int = 16000, hz: float = 440.0, peak: float = 0.3) -> np.ndarray:
    n = round(seconds * rate)
    return (peak * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.float32)


def speechlike(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise whose loudness changes like syllables: no two places of it are alike."""
    random = np.random.default_rng(seed)
    n = round(seconds * rate)
    loudness = np.abs(np.sin(2 * np.pi * 2.1 * np.arange(n) / rate))
    return (0.2 * loudness * random.standard_normal(n)).clip(-0.95, 0.95).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000, sample: str = "i2") -> Path:
    """samples [n] or [n, channels] in -1..1 -> RIFF file with the sample type u1, i2, i4 or f4."""
    samples = np.atleast_2d(np.asarray(samples, np.float64).T).T
    if sample == "f4":
        data = samples.astype("<f4")
    elif sample == "u1":
        data = np.round(samples * 127 + 128).astype("u1")
    else:
        full = 2.0 ** (8 * int(sample[1]) - 1)
        data = np.round(samples * full).clip(-full, full - 1).astype("<" + sample)
    path.write_bytes(wav_header(data.nbytes, rate, data.shape[1], data.dtype) + data.tobytes())
    return path


def wav_header(n_bytes: int, rate: int, channels: int = 1, dtype: np.dtype | str = "<i2") -> bytes:
    width = np.dtype(dtype).itemsize
    kind = 3 if np.dtype(dtype).kind == "f" else 1
    block = channels * width
    layout = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, 8 * width)
    total = (36 + n_bytes) & 0xFFFFFFFF
    head = b"RIFF" + struct.pack("<I", total) + b"WAVEfmt " + struct.pack("<I", 16) + layout
    return head + b"data" + struct.pack("<I", n_bytes & 0xFFFFFFFF)


def write_coded(
    path: Path, samples: np.ndarray, rate: int, codec: str, video: bool = False
) -> Path:
    """samples [n] or [n, 2] in -1..1, encoded by PyAV into the container of the path's ending."""
    planes = np.atleast_2d(np.asarray(samples, np.float32).T)
    if codec == "vorbis":  # PyAV's own encoder of it takes two channels only
        planes = np.concatenate((planes, planes))[:2]
    layout = "mono" if len(planes) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        if codec == "vorbis":
            stream.options = {"strict": "-2"}
        if video:
            add_video(container)
        for first in range(0, planes.shape[1], 4096):
            block = np.ascontiguousarray(planes[:, first : first + 4096])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def add_video(container: av.container.OutputContainer) -> None:
    """A second of black pictures."""
    stream = container.add_stream("mpeg4", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    for index in range(25):
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


# Every format that is promised, with an encoder that comes with PyAV, and how exact its length is.
CODED = {
    "flac": ("flac", 44100, 0),
    "mp3": ("libmp3lame", 44100, 0),
    "ogg": ("vorbis", 44100, 1024),
    "opus": ("libopus", 48000, 0),
    "m4a": ("aac", 44100, 0),
    "aac": ("aac", 44100, 2048),
    "mp4": ("aac", 48000, 0),
    "mov": ("aac", 48000, 0),
    "mka": ("flac", 44100, 48),
}
