# SPDX-License-Identifier: Apache-2.0
"""Everything that is not a usable sound is told in one sentence that names it."""

import math
import os
import socket
from pathlib import Path

import av
import numpy as np
import pytest

from lsf_backend.audio import open_audio
from lsf_backend.errors import LsfError
from tests.backend.sounds import add_video, speechlike, tone, wav_header, write_coded, write_wav


def failure(path: Path, start_s: float = 0.0, end_s: float | None = None) -> LsfError:
    with pytest.raises(LsfError) as caught:
        open_audio(path, start_s, end_s).finish()
    error = caught.value
    assert error.user_fault and error.message.endswith(".") and "\n" not in str(error)
    return error


def picture_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        add_video(container)
    return path


BAD = {
    "missing.wav": ("audio_missing", lambda path: None),
    "folder.wav": ("audio_unreadable", lambda path: path.mkdir()),
    "empty.wav": ("audio_empty", lambda path: path.write_bytes(b"")),
    "header.wav": ("audio_empty", lambda path: path.write_bytes(wav_header(0, 16000))),
    "text.wav": ("audio_unreadable", lambda path: path.write_text("Hello, world.\n" * 500)),
    "text.txt": ("audio_unreadable", lambda path: path.write_text("Hello, world.\n" * 500)),
    "picture.mp4": ("audio_unreadable", picture_only),
    "riff.wav": ("audio_unreadable", lambda path: path.write_bytes(b"RIFF")),
    "short.wav": ("audio_too_short", lambda path: write_wav(path, tone(0.1))),
    "short.mp3": (
        "audio_too_short",
        lambda path: write_coded(path, tone(0.1, 44100), 44100, "libmp3lame"),
    ),
    "silent.wav": ("audio_silent", lambda path: write_wav(path, np.zeros(32000))),
    "nearly silent.wav": ("audio_silent", lambda path: write_wav(path, tone(2, peak=0.0009))),
    "long and silent.wav": ("audio_silent", lambda path: write_wav(path, np.zeros(2_000_000))),
    "тихо.flac": (
        "audio_silent",
        lambda path: write_coded(path, np.zeros(88200), 44100, "flac"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(tmp_path: Path, name: str) -> None:
    code, make = BAD[name]
    path = tmp_path / name
    make(path)
    error = failure(path)
    assert error.code == code
    assert name in error.message
    assert error.hint, "it says what would be accepted"


@pytest.mark.parametrize("seed", range(6))
def test_random_bytes_are_an_error_or_a_sound_but_never_a_crash(tmp_path: Path, seed: int) -> None:
    path = tmp_path / f"random.{['wav', 'mp3', 'ogg', 'm4a', 'flac', 'aac'][seed]}"
    path.write_bytes(np.random.default_rng(seed).bytes(50_000))
    try:
        reader = open_audio(path)
        assert np.isfinite(reader.read(0, reader.n_samples)).all()
    except LsfError as error:
        assert error.code.startswith("audio_") and path.name in error.message


def test_a_playlist_that_calls_itself_a_sound_opens_nothing_else(tmp_path: Path) -> None:
    real = write_wav(tmp_path / "real.wav", tone(2))
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    url = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
    start = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n"
    lists = {
        "a.wav": f"ffconcat version 1.0\nfile '{real}'\n",
        "b.wav": f"{start}{url}\n#EXT-X-ENDLIST\n",
        "b.m3u8": f"{start}{url}\n#EXT-X-ENDLIST\n",
        "c.m3u8": f"{start}file://{real}\n#EXT-X-ENDLIST\n",
    }
    for name, text in lists.items():
        path = tmp_path / name
        path.write_text(text)
        assert failure(path).code in ("audio_unreadable", "audio_empty"), name
    with pytest.raises(TimeoutError), server:
        server.accept()


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [
        (math.nan, None),
        (0.0, math.nan),
        (-1.0, None),
        (0.0, -1.0),
        (math.inf, None),
        (0.0, math.inf),
        (2.0, None),
        (5.0, 6.0),
        (0.0, 2.1),
        (1.0, 1.0),
        (1.5, 0.5),
    ],
)
def test_ranges_that_make_no_sense(tmp_path: Path, start_s: float, end_s: float | None) -> None:
    path = write_wav(tmp_path / "two.wav", speechlike(2))
    assert failure(path, start_s, end_s).code == "range_invalid"


def test_a_range_may_be_too_short_or_silent_or_rounded(tmp_path: Path) -> None:
    sound = np.concatenate((np.zeros(32000, np.float32), speechlike(2)))
    path = write_wav(tmp_path / "half.wav", sound)
    assert failure(path, 3.0, 3.1).code == "audio_too_short"
    assert failure(path, 3.9).code == "audio_too_short"
    assert failure(path, 0.0, 1.9).code == "audio_silent"
    assert open_audio(path, 2.0, 4.03).n_samples == 32000, "4.00 s shown as 4.03"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert failure(tmp_path / "pipe.wav").code == "audio_unreadable"


def test_a_name_with_a_null_byte(tmp_path: Path) -> None:
    assert failure(tmp_path / "a\0b.wav").code in ("audio_missing", "audio_unreadable")
