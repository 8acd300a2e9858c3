# SPDX-License-Identifier: Apache-2.0
"""The whole backend with the engine that is bundled, through the real process."""

import os
from pathlib import Path

import numpy as np
import pytest

from lsf_backend import cli
from lsf_backend.audio import open_audio
from lsf_backend.engine.registry import engine_info
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.protocol import ASSETS
from tests.backend.client import Client
from tests.backend.sounds import write_wav

pytestmark = pytest.mark.skipif(
    not engine_info("compact").available, reason="the bundled model is not here"
)
SAMPLE = ASSETS / "sample.wav"


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far: unlike the clock, not a matter of who else is busy."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_first_frames_of_a_minute_come_within_three_seconds(tmp_path: Path) -> None:
    reader = open_audio(SAMPLE)
    minute = np.tile(reader.read(0, reader.n_samples), 11)[: 60 * 16000]
    client = Client("-m", "lsf_backend", "serve")
    client.animate("a", write_wav(tmp_path / "минута речи.wav", minute), engine="compact")
    messages = client.until("a", "frames", "error")
    if Path("/proc").exists():
        # Two cores within three seconds, with the start of the process, on a machine of its own.
        assert cpu_s(client.process.pid) < 4.0
    messages += client.finish("a")
    frames = [message.array() for message in messages if message.header["event"] == "frames"]
    assert sum(map(len, frames)) == messages[-1].header["frames"] == 1500
    assert messages[-1].header["warnings"] == []
    client.send("shutdown", "s")
    client.finish("s")
    assert client.process.wait(30) == 0
    client.close()


def test_the_sample_becomes_a_face_that_moves(tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    assert cli.main(["animate", str(SAMPLE), "--out", str(out)]) == 0
    with np.load(out, allow_pickle=False) as loaded:
        jaw = loaded["arkit"][:, ARKIT_NAMES.index("jawOpen")]
        assert len(jaw) == 138 and np.isfinite(loaded["expression"]).all()
    assert jaw.max() > 0.15, "it opens on vowels"
    assert jaw[:3].max() < 0.5 * jaw.max() and jaw[-2:].max() < 0.5 * jaw.max(), "it rests"
