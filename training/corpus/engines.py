# SPDX-License-Identifier: Apache-2.0
"""Speech synthesisers that also tell when each sound starts: espeak-ng, flite, festival.

Each is a separate tool, run here and never shipped. Times are corrected by each engine's own offset
(festival reports sounds 10 ms early; espeak-ng and flite are exact).
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import math
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

SAMPLE_RATE_HZ = 16_000


@dataclasses.dataclass(frozen=True)
class Voice:
    """One speaker: an engine's voice with its own pitch, rate and vocal-tract scale."""

    engine: str
    name: str
    language: str
    pitch: float = 1.0
    rate: float = 1.0
    tract: float = 1.0


@dataclasses.dataclass(frozen=True)
class Utterance:
    """audio: [N] float32, 16 kHz; phones: (symbol, start_s, end_s) in ``notation``, in order."""

    audio: np.ndarray
    phones: tuple[tuple[str, float, float], ...]
    notation: str


def speak(voice: Voice, text: str) -> Utterance:
    """Say ``text``; a tract scale above 1 shortens the vocal tract (higher voice and formants)."""
    makers = {"espeak": _espeak, "flite": _flite, "festival": _festival}
    utterance = makers[voice.engine](voice, text)
    if utterance.audio.size < SAMPLE_RATE_HZ // 5 or len(utterance.phones) < 2:
        raise RuntimeError(f"{voice.engine} {voice.name} said nothing for {text!r}.")
    if voice.tract == 1.0:
        return utterance
    ratio = round(voice.tract * 100)
    audio = resample_poly(utterance.audio, 100, ratio).astype(np.float32)
    phones = tuple((p, a * 100 / ratio, b * 100 / ratio) for p, a, b in utterance.phones)
    return Utterance(audio, phones, utterance.notation)


def _to_16_khz(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    shared = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    if rate_hz != SAMPLE_RATE_HZ:
        audio = resample_poly(audio, SAMPLE_RATE_HZ // shared, rate_hz // shared)
    return np.asarray(audio, dtype=np.float32)


def _read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return _to_16_khz(samples.astype(np.float32) / 32768.0, file.getframerate())


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_PHONEME_EVENT = 7
_END_OF_LIST = 0


class _Espeak:
    """libespeak-ng through ctypes; one per process."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        # Synchronous retrieval; phoneme events (1) with IPA names (2).
        self.rate_hz = self.library.espeak_Initialize(2, 0, None, 1 | 2)
        if self.rate_hz <= 0:
            raise RuntimeError("libespeak-ng did not start; install espeak-ng.")
        self.sound: list[np.ndarray] = []
        self.events: list[tuple[str, float]] = []
        self._callback = _CALLBACK(self._receive)
        self.library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if samples and count:
            self.sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _END_OF_LIST:
            event = events[index]
            if event.type == _PHONEME_EVENT:
                symbol = bytes(event.string).split(b"\0")[0].decode("utf-8", "ignore")
                self.events.append((symbol, event.audio_position / 1000.0))
            index += 1
        return 0

    def say(self, voice: Voice, text: str) -> tuple[np.ndarray, list[tuple[str, float]]]:
        self.sound, self.events = [], []
        if self.library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice.name!r}.")
        set_parameter = self.library.espeak_SetParameter
        set_parameter(1, int(165 * voice.rate), 0)
        set_parameter(3, int(np.clip(50 * voice.pitch, 5, 95)), 0)
        set_parameter(4, int(np.clip(55 * voice.pitch, 20, 95)), 0)
        data = text.encode() + b"\0"
        self.library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, 1, None, None)
        self.library.espeak_Synchronize()
        sound = np.concatenate(self.sound) if self.sound else np.zeros(0, np.int16)
        return sound.astype(np.float32) / 32768.0, self.events


@functools.cache
def _espeak_library() -> _Espeak:
    return _Espeak()


def _espeak(voice: Voice, text: str) -> Utterance:
    library = _espeak_library()
    audio, events = library.say(voice, text)
    end_s = audio.size / library.rate_hz
    starts = [start for _, start in events] + [end_s]
    phones = tuple(
        # An event without a name is a pause.
        (symbol if any(c.isalpha() for c in symbol) else "sil", start, max(start, stop))
        for (symbol, start), stop in zip(events, starts[1:], strict=True)
    )
    return Utterance(_to_16_khz(audio, library.rate_hz), phones, "ipa")


_FLITE_PITCH_HZ = {"slt": 170.0, "rms": 100.0, "awb": 125.0, "kal16": 105.0}


def _flite(voice: Voice, text: str) -> Utterance:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.wav"
        command = ["flite", "-voice", voice.name, "-psdur", "-o", str(path)]
        command += ["--setf", f"duration_stretch={1.0 / voice.rate:.3f}"]
        mean_hz = _FLITE_PITCH_HZ[voice.name] * voice.pitch
        command += ["--setf", f"int_f0_target_mean={mean_hz:.1f}", "-t", text + " "]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        audio = _read_wav(path)
    phones, start = [], 0.0
    for item in printed.split():
        symbol, _, end = item.rpartition(":")
        phones.append((symbol, start, float(end)))
        start = float(end)
    return Utterance(audio, tuple(phones), "arpabet")


_FESTIVAL_SHIFT_S = 0.010


def _festival(voice: Voice, text: str) -> Utterance:
    with tempfile.TemporaryDirectory() as folder:
        wav, segments = Path(folder) / "out.wav", Path(folder) / "out.seg"
        quoted = text.replace("\\", "").replace('"', "")
        script = f"""(voice_{voice.name})
            (Parameter.set 'Duration_Stretch {1.0 / voice.rate:.3f})
            (set! utt (utt.synth (Utterance Text "{quoted}")))
            (utt.save.wave utt "{wav}" 'riff)
            (utt.save.segs utt "{segments}")"""
        subprocess.run(["festival", "--pipe"], input=script, check=True, text=True,
                       capture_output=True)  # fmt: skip
        audio = _read_wav(wav)
        lines = segments.read_text().split("#", 1)[1].splitlines()
    phones, start = [], 0.0
    for fields in (line.split() for line in lines):
        if len(fields) == 3:
            end = float(fields[0]) + _FESTIVAL_SHIFT_S
            phones.append((fields[2], start, end))
            start = end
    return Utterance(audio, tuple(phones), "arpabet")
