# SPDX-License-Identifier: Apache-2.0
"""Speech synthesisers that also tell when each sound starts: espeak-ng, flite, festival.

Each is a separate tool, run here and never shipped. Times are corrected by each engine's own offset
(festival reports sounds 10 ms early; espeak-ng and flite are exact).
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

SAMPLE_RATE_HZ = 16_000
Phones = tuple[tuple[str, float, float], ...]


@dataclasses.dataclass(frozen=True)
class Voice:
    """One speaker: an engine's voice with its own pitch, rate and vocal-tract scale.

    ``span`` scales the range of its pitch. All are factors; 1 is as the engine speaks.
    """

    engine: str
    name: str
    language: str
    pitch: float = 1.0
    rate: float = 1.0
    tract: float = 1.0
    span: float = 1.0


@dataclasses.dataclass(frozen=True)
class Utterance:
    """audio: [N] float32, 16 kHz; phones: (symbol, start_s, end_s) in ``notation``, in order."""

    audio: np.ndarray
    phones: Phones
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


def read_wav(path: Path) -> np.ndarray:
    """Read a 16-bit mono file: -> [N] float32, resampled to 16 kHz where it is not."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return _to_16_khz(samples.astype(np.float32) / 32768.0, file.getframerate())


def _espeak(voice: Voice, text: str) -> Utterance:
    request = {
        "voice": voice.name,
        "rate": round(float(np.clip(165 * voice.rate / voice.tract, 80, 400))),
        "pitch": round(float(np.clip(50 * voice.pitch, 5, 95))),
        "range": round(float(np.clip(55 * voice.span, 10, 99))),
        "text": text,
    }
    program = [sys.executable, "-I", str(Path(__file__).with_name("espeak.py"))]
    done = subprocess.run(program, input=json.dumps(request).encode(), capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace").strip())
    header, _, samples = done.stdout.partition(b"\n")
    described = json.loads(header)
    audio = np.frombuffer(samples, "<i2").astype(np.float32) / 32768.0
    events = described["phones"]
    starts = [start for _, start in events] + [audio.size / described["rate_hz"]]
    phones = tuple(
        # An event without a name is a pause.
        (symbol if any(c.isalpha() for c in symbol) else "sil", start, max(start, stop))
        for (symbol, start), stop in zip(events, starts[1:], strict=True)
    )
    return Utterance(_to_16_khz(audio, described["rate_hz"]), phones, "ipa")


# Mean pitch and its spread as flite speaks, Hz.
_FLITE_HZ = {"slt": (170.0, 15.0), "rms": (100.0, 12.0), "awb": (125.0, 12.0),
             "kal16": (105.0, 14.0)}  # fmt: skip


def _flite(voice: Voice, text: str) -> Utterance:
    mean_hz, spread_hz = _FLITE_HZ[voice.name]
    settings = {
        "duration_stretch": 1.0 / voice.rate,
        "int_f0_target_mean": mean_hz * voice.pitch,
        "int_f0_target_stddev": spread_hz * voice.pitch * voice.span,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.wav"
        command = ["flite", "-voice", voice.name, "-psdur", "-o", str(path)]
        for name, value in settings.items():
            command += ["--setf", f"{name}={value:.3f}"]
        command += ["-t", text + " "]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        audio = read_wav(path)
    phones, start = [], 0.0
    for item in printed.split():
        symbol, _, end = item.rpartition(":")
        phones.append((symbol, start, float(end)))
        start = float(end)
    return Utterance(audio, tuple(phones), "arpabet")


_FESTIVAL_SHIFT_S = 0.010
# What festival's own voices expect text in, and the notation of their sounds, by language.
_FESTIVAL_CODES = {"it": "iso-8859-1", "fi": "iso-8859-1", "ca": "iso-8859-1", "cs": "iso-8859-2"}
_FESTIVAL_NOTATIONS = {"en": "arpabet", "it": "sampa", "fi": "sampa", "ca": "sampa", "cs": "czech",
                       "ru": "russian"}  # fmt: skip
# Mean pitch and its spread of the voices whose pitch these settings change, Hz.
_FESTIVAL_HZ = {"kal_diphone": (105.0, 14.0), "ked_diphone": (105.0, 14.0)}


def _festival(voice: Voice, text: str) -> Utterance:
    intonation = ""
    if voice.name in _FESTIVAL_HZ:
        mean_hz, spread_hz = (voice.pitch * hz for hz in _FESTIVAL_HZ[voice.name])
        intonation = f"""(set! int_lr_params '((target_f0_mean {mean_hz:.1f})
            (target_f0_std {spread_hz * voice.span:.1f}) (model_f0_mean 170) (model_f0_std 34)))"""
    with tempfile.TemporaryDirectory() as folder:
        wav, segments = Path(folder) / "out.wav", Path(folder) / "out.seg"
        quoted = text.replace("\\", "").replace('"', "")
        script = f"""(voice_{voice.name})
            (Parameter.set 'Duration_Stretch {1.0 / voice.rate:.3f})
            {intonation}
            (set! utt (utt.synth (Utterance Text "{quoted}")))
            (utt.save.wave utt "{wav}" 'riff)
            (utt.save.segs utt "{segments}")"""
        coded = script.encode(_FESTIVAL_CODES.get(voice.language, "utf-8"), "ignore")
        subprocess.run(["festival", "--pipe"], input=coded, check=True, capture_output=True,
                       timeout=60)  # fmt: skip
        audio = read_wav(wav)
        lines = segments.read_text().split("#", 1)[1].splitlines()
    phones, start = [], 0.0
    for fields in (line.split() for line in lines):
        if len(fields) == 3:
            end = float(fields[0]) + _FESTIVAL_SHIFT_S
            phones.append((fields[2], start, end))
            start = end
    return Utterance(audio, tuple(phones), _FESTIVAL_NOTATIONS[voice.language])
