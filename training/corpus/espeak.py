# SPDX-License-Identifier: Apache-2.0
"""One line of speech from libespeak-ng with the start of every sound; a program of its own.

A new process for every line, because the library's voices flutter depending on what they said
before, and starting it twice in one process may hang. stdin: JSON {voice, rate, pitch, range,
text}; stdout: one line of JSON {rate_hz, phones: [[symbol, start_s]]}, then 16-bit samples.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h; ``string`` is the phoneme's name in IPA."""

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


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)
_END_OF_LIST, _PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNCHRONOUS, _PHONEME_EVENTS, _IN_IPA = 2, 1, 2


def say(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Speak a request; see the module's text for what comes back."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS | _IN_IPA)
    if rate_hz <= 0:
        raise RuntimeError("libespeak-ng did not start; install espeak-ng.")
    sound = bytearray()
    phones: list[tuple[str, float]] = []

    def receive(samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if samples and count:
            sound.extend(ctypes.string_at(samples, 2 * count))
        index = 0
        while events[index].type != _END_OF_LIST:
            if events[index].type == _PHONEME:
                name = bytes(events[index].string).split(b"\0")[0].decode("utf-8", "ignore")
                phones.append((name, events[index].audio_position / 1000.0))
            index += 1
        return 0

    callback = CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        raise RuntimeError(f"espeak-ng has no voice {request['voice']!r}.")
    for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
        library.espeak_SetParameter(parameter, int(request[name]), 0)
    data = request["text"].encode() + b"\0"
    library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    return {"rate_hz": rate_hz, "phones": phones}, bytes(sound)


if __name__ == "__main__":
    try:
        described, samples = say(json.load(sys.stdin))
    except (RuntimeError, OSError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(json.dumps(described).encode() + b"\n" + samples)
