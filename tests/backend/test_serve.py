# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.errors import ERROR_CODES
from lsf_backend.exchange import Performance, write_live_link
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.protocol import (
    PROTOCOL_VERSION,
    AnimateRequest,
    Message,
    read_message,
    write_message,
)
from tests.backend.client import ROOT, Client
from tests.backend.sounds import speechlike, write_wav


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


def joined(messages: list[Message]) -> np.ndarray:
    """Frames of a job as one array, after checking that they come in order and without gaps."""
    frames = [message for message in messages if message.header["event"] == "frames"]
    arrays = [message.array() for message in frames]
    starts = np.cumsum([0, *(len(array) for array in arrays)])
    assert [message.header["first_frame"] for message in frames] == starts[:-1].tolist()
    assert all(message.header["fps"] == 25 for message in frames)
    assert ["channels" in message.header for message in frames] == [True] + [False] * (
        len(frames) - 1
    )
    return np.concatenate(arrays)


def children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def test_the_real_server_says_hello_within_two_seconds() -> None:
    began, cpu_s = time.monotonic(), children_cpu_s()
    client = Client("-m", "lsf_backend", "serve")
    client.send("hello", "h", protocol=PROTOCOL_VERSION)
    hello = client.wait()
    seconds = time.monotonic() - began
    client.send("shutdown", "s")
    assert client.finish("s")[-1].header["event"] == "done"
    assert client.wait() is None and client.process.wait(30) == 0
    client.close()
    assert hello is not None and hello.header["event"] == "hello"
    assert hello.header["protocol"] == PROTOCOL_VERSION and hello.header["pid"] > 0
    assert hello.header["version"] not in ("", "unknown")
    engines = {engine["name"]: engine for engine in hello.header["engines"]}
    assert {"compact", "lsf"} <= set(engines)
    for engine in engines.values():
        assert set(engine) >= {
            *("name", "available", "reason", "face_space", "devices", "digest", "license")
        }
        assert engine["available"] or len(engine["reason"]) > 10
    # Processor time, because other programs may be busy; alone, the clock says the same.
    assert children_cpu_s() - cpu_s < 2.0 and seconds < 20.0


def test_frames_stream_in_order_without_gaps(client: Client, speech: Path) -> None:
    client.animate("a", speech)
    messages = client.finish("a")
    weights = joined(messages)
    assert weights.shape == (125, 52)
    first = next(m for m in messages if m.header["event"] == "frames")
    assert tuple(first.header["channels"]) == ARKIT_NAMES and first.header["face_space"] == "head"
    done = messages[-1].header
    assert done["event"] == "done" and done["frames"] == 125 and not done["cancelled"]
    assert done["warnings"] == [] and done["seconds"] > 0
    assert done["metadata"]["audio"] == speech.name
    assert {"progress", "frames", "done"} == {m.header["event"] for m in messages}
    client.animate("b", speech, output="motion", unknown_field={"ignored": True})
    assert joined(client.finish("b")).shape == (125, 53)


def test_a_request_is_what_the_message_definitions_say(client: Client, speech: Path) -> None:
    request = AnimateRequest(str(speech), engine="test", start_s=1.0, end_s=2.0, output="motion")
    client.send("animate", 1, np.full(300, 0.5, np.float32), **request.header())
    motion = joined(client.finish(1))
    assert motion.shape == (25, 53) and (motion[:, 11] == 0.5).all()


def test_frames_come_while_the_rest_is_computed(client: Client, speech: Path) -> None:
    client.animate("a", speech, engine="stuck-later")
    messages = client.until("a", "frames") + client.until("a", "frames")
    assert len(joined(messages)) == 50, "the other 75 are a minute away"


def test_a_second_request_waits_its_turn(client: Client, speech: Path) -> None:
    client.animate("a", speech, engine="slow")
    client.animate("b", speech, seed=3)
    client.animate("c", speech)
    client.send("cancel", "stop", target="c")
    events = []
    while len([e for e in events if e[1] == "done"]) < 3:
        message = client.wait()
        assert message is not None
        events.append((message.header["id"], message.header["event"], message.header))
    assert [e[0] for e in events if e[1] == "done"] == ["c", "a", "b"]
    done = {e[0]: e[2] for e in events if e[1] == "done"}
    assert done["c"]["cancelled"] and done["c"]["frames"] == 0
    assert done["a"]["frames"] == done["b"]["frames"] == 125
    first_b = next(i for i, e in enumerate(events) if e[:2] == ("b", "frames"))
    assert first_b > next(i for i, e in enumerate(events) if e[:2] == ("a", "done"))


def test_cancel_keeps_the_frames_that_landed(client: Client, tmp_path: Path) -> None:
    client.animate("a", write_wav(tmp_path / "long.wav", speechlike(40)), engine="slow")
    client.until("a", "frames")
    client.send("cancel", "c", target="a")
    messages = client.finish("a")
    done = messages[-1].header
    assert done["event"] == "done" and done["cancelled"] and 25 <= done["frames"] < 1000
    landed = 25 + sum(len(m.array()) for m in messages if m.header["event"] == "frames")
    assert landed == done["frames"], "what done counts is what was sent"
    client.animate("b", tmp_path / "long.wav")
    assert client.finish("b")[-1].header["frames"] == 1000, "the next job is not affected"


def test_what_cannot_be_done_is_answered_and_the_server_lives(client: Client, speech: Path) -> None:
    def error(code: str) -> None:
        message = client.wait()
        assert message is not None and message.header["event"] == "error", message
        assert message.header["code"] == code and code in ERROR_CODES
        assert message.header["message"].endswith(".") and "Traceback" not in str(message.header)

    client.send("dance", "x")
    error("request_invalid")
    client.send("cancel", "x", target="nobody")
    error("request_invalid")
    client.send("cancel", "x", target=["list"])
    error("request_invalid")
    client.send("animate", "x")
    error("request_invalid")
    client.animate(None, speech)
    error("request_invalid")
    client.animate({"an": "object"}, speech)
    error("request_invalid")
    client.animate("x" * 1000, speech)
    error("request_invalid")
    client.animate("x", speech, engine="nobody")
    error("engine_unavailable")
    client.animate("x", speech, engine="inside-out")
    error("internal")
    client.animate("x", speech.parent / "none.wav")
    error("audio_missing")
    client.animate("x", speech, temperature=float("1e9"))
    error("request_invalid")
    client.send("animate", "x", np.zeros(301, np.float32), audio=str(speech), engine="test")
    error("identity_invalid")
    client.send("hello", "h")
    assert client.until("h", "hello")
    client.animate("y", speech)
    assert client.finish("y")[-1].header["frames"] == 125


def test_a_broken_engine_is_a_sentence_and_its_traceback_is_in_the_log(
    client: Client, speech: Path
) -> None:
    client.animate("a", speech, engine="broken")
    messages = client.finish("a")
    assert sum(len(m.array()) for m in messages if m.header["event"] == "frames") == 50
    error = messages[-1].header
    assert error["code"] == "internal" and "frame 50 of 125" in error["message"]
    assert client.leave() == 0
    assert "ZeroDivisionError: on purpose" in client.log() and "Traceback" in client.log()


def test_the_same_id_cannot_run_twice(client: Client, speech: Path) -> None:
    client.animate("a", speech, engine="slow")
    client.animate("a", speech)
    messages = client.finish("a")
    while messages[-1].header["event"] != "error":
        messages += client.finish("a")
    assert messages[-1].header["code"] == "request_invalid"


def test_an_engine_that_prints_does_not_spoil_the_messages(client: Client, speech: Path) -> None:
    client.animate("a", speech, engine="chatty")
    assert joined(client.finish("a")).shape == (125, 52)
    assert client.leave() == 0
    for words in ("an engine talks", "raw bytes, as from C", "a child talks"):
        assert words in client.log()


@pytest.mark.parametrize("engine", [None, "slow", "stuck"])
def test_the_process_ends_when_stdin_closes(client: Client, tmp_path: Path, engine: str) -> None:
    sound = write_wav(tmp_path / "long.wav", speechlike(60))
    client.send("hello", "h")
    client.until("h", "hello")
    if engine:
        client.animate("a", sound, engine=engine)
        client.until("a", "frames" if engine == "slow" else "progress")
    began = time.monotonic()
    assert client.leave() == 0
    assert time.monotonic() - began < 20, "the stuck engine sleeps for 60 s"


def test_the_process_ends_when_nobody_reads_its_answers(tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "long.wav", speechlike(60))
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tests/backend/engines.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdin and process.stdout
        fields = {"audio": str(sound), "engine": "slow"}
        write_message(process.stdin, {"verb": "animate", "id": "a", **fields})
        assert read_message(process.stdout) is not None
        process.stdout.close()
        assert process.wait(30) == 0


@pytest.mark.parametrize("engine", [None, "slow", "stuck"])
def test_shutdown_says_goodbye(client: Client, tmp_path: Path, engine: str) -> None:
    if engine:
        sound = write_wav(tmp_path / "long.wav", speechlike(60))
        client.animate("a", sound, engine=engine)
        client.until("a", "frames" if engine == "slow" else "progress")
    client.send("shutdown", "bye")
    if engine == "slow":
        done = client.finish("a")[-1].header
        assert done["cancelled"] and 0 < done["frames"] < 1500
    assert client.finish("bye")[-1].header["event"] == "done"
    assert client.wait() is None and client.process.wait(30) == 0


def test_memory_stays_flat_over_a_long_sound(client: Client, tmp_path: Path) -> None:
    status = Path(f"/proc/{client.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc here")

    def peak_mb() -> float:
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    short = write_wav(tmp_path / "short.wav", speechlike(60, 8000), 8000)
    client.animate("a", short)
    client.finish("a")
    before = peak_mb()
    long = write_wav(tmp_path / "long.wav", np.tile(speechlike(60, 8000), 10), 8000)
    client.animate("b", long)
    assert client.finish("b")[-1].header["frames"] == 10 * 60 * 25
    assert peak_mb() - before < 12, "10 minutes are 38 MB as float32"


def test_a_performance_comes_as_frames_at_its_own_rate(client: Client, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).random((90, 52)).astype(np.float32)
    write_live_link(tmp_path / "a.csv", Performance(30.0, weights, np.zeros((90, 9))), 30.0)
    client.send("import", "a", path=str(tmp_path / "a.csv"))
    frames = client.until("a", "frames")
    assert frames[-1].header["fps"] == 30.0 and frames[-1].header["channels"] == list(ARKIT_NAMES)
    np.testing.assert_allclose(frames[0].array(), weights, atol=1e-6)
    assert client.until("a", "done")[-1].header["frames"] == 90
    for number, path in enumerate((str(tmp_path / "none.csv"), 7)):
        client.send("import", number, path=path)
        assert client.until(number, "error")[-1].header["code"] == "request_invalid"
