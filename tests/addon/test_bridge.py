# SPDX-License-Identifier: Apache-2.0
"""The bridge without Blender: events in order, one restart, no orphan, no blocking."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from blender_addon.bridge import launch
from blender_addon.bridge.backend import Backend, Done, Failed, Frames, Progress, engine_problem
from blender_addon.bridge.launch import Launch
from blender_addon.bridge.process import BackendGone, BackendProcess
from lsf_backend.protocol import AnimateRequest

ROOT = Path(__file__).resolve().parents[2]
FAKE = ROOT / "tests" / "blender" / "fake_backend.py"


def fake_launch(*arguments: str) -> Launch:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    return Launch((sys.executable, str(FAKE), *arguments), environment, "a test")


@pytest.fixture
def backend():
    made = Backend(fake_launch())
    yield made
    made.close()


def run(backend: Backend, limit_s: float = 30.0) -> list:
    events, end = [], time.monotonic() + limit_s
    while backend.busy and time.monotonic() < end:
        events += backend.step(0.2)
    assert not backend.busy
    return events


def test_frames_come_in_order_with_their_channels(backend, tmp_path) -> None:
    backend.submit(AnimateRequest(audio=str(tmp_path / "речь one.wav"), seed=3))
    events = run(backend)
    frames = [event for event in events if isinstance(event, Frames)]
    assert [event.first_frame for event in frames] == [0, 20, 40, 60]
    assert all(len(event.channels) == 52 for event in frames)
    assert sum(len(event.values) for event in frames) == 75
    assert isinstance(events[-1], Done) and events[-1].metadata["seed"] == 3
    assert any(isinstance(event, Progress) for event in events)


def test_one_process_serves_many_jobs(backend, tmp_path) -> None:
    pids = set()
    for _ in range(3):
        backend.submit(AnimateRequest(audio=str(tmp_path / "a.wav")))
        run(backend)
        pids.add(backend.pid)
    assert len(pids) == 1


def test_a_crash_is_replayed_once_and_only_once(backend, tmp_path) -> None:
    backend.submit(AnimateRequest(audio=str(tmp_path / "crash_once.wav")))
    events = run(backend)
    assert isinstance(events[-1], Done)
    assert [event.first_frame for event in events if isinstance(event, Frames)].count(0) == 2
    backend.submit(AnimateRequest(audio=str(tmp_path / "crash.wav")))
    failed = run(backend)[-1]
    assert isinstance(failed, Failed) and failed.code == "internal"
    assert "out of luck" in failed.sentence(), "the log's last line is told"


def test_an_error_event_ends_the_job_with_its_words(backend, tmp_path) -> None:
    backend.submit(AnimateRequest(audio=str(tmp_path / "error.wav")))
    failed = run(backend)[-1]
    assert failed == Failed("audio_unreadable", "The sound cannot be read.", "Try another file.")


def test_step_does_not_block(backend, tmp_path) -> None:
    backend.submit(AnimateRequest(audio=str(tmp_path / "slow.wav")))
    began = time.monotonic()
    for _ in range(20):
        backend.step()
    assert time.monotonic() - began < 1.0
    backend.cancel()
    assert run(backend)[-1].cancelled


def test_betas_travel_as_the_payload(tmp_path) -> None:
    echo = tmp_path / "echo.py"
    echo.write_text(
        "import sys\n"
        "from lsf_backend.protocol import read_message, write_message\n"
        "out = sys.stdout.buffer\n"
        "while (m := read_message(sys.stdin.buffer)) is not None:\n"
        "    h = m.header\n"
        "    if h['verb'] == 'hello':\n"
        "        e = [{'name': 'compact', 'available': True}]\n"
        "        e = {'event': 'hello', 'id': 'hello', 'protocol': 1, 'engines': e}\n"
        "        write_message(out, e)\n"
        "    else:\n"
        "        meta = {'sum': float(m.array().sum()), 'n': int(m.array().size)}\n"
        "        write_message(out, {'event': 'done', 'id': h['id'], 'metadata': meta})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    backend = Backend(Launch((sys.executable, str(echo)), environment, "echo"))
    backend.submit(AnimateRequest(audio="x"), np.ones(300, dtype=np.float32))
    assert run(backend)[-1].metadata == {"sum": 300.0, "n": 300}
    backend.close()


def test_garbage_on_stdout_is_not_waited_for() -> None:
    command = (sys.executable, "-c", "print('hello from a library', flush=True); input()")
    backend = Backend(Launch(command, dict(os.environ), "garbage"))
    backend.submit(AnimateRequest(audio="x"))
    failed = run(backend, 10)[-1]
    assert isinstance(failed, Failed) and "protocol" in failed.message
    assert backend.pid is None


def test_a_python_without_the_backend_is_explained(tmp_path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('x: No module named lsf_backend')")
    backend = Backend(Launch(command, dict(os.environ), "empty"))
    backend.submit(AnimateRequest(audio="x"))
    assert 'pip install "lsf-animation[gpu]"' in run(backend)[-1].sentence()


def test_nothing_is_left_when_python_ends(tmp_path) -> None:
    """Also when the one who started it is killed: the child's stdin closes."""
    script = (
        "import sys, os, time; sys.path.insert(0, sys.argv[1])\n"
        "from blender_addon.bridge.process import BackendProcess\n"
        "from blender_addon.bridge.launch import Launch\n"
        "env = {**os.environ, 'PYTHONPATH': sys.argv[1]}\n"
        "p = BackendProcess(Launch((sys.executable, sys.argv[2]), env, 'x'))\n"
        "print(p.pid, flush=True)\n"
        "if sys.argv[3] == 'kill': os.kill(os.getpid(), 9)\n"
    )
    for how in ("end", "kill"):
        command = [sys.executable, "-c", script, str(ROOT), str(FAKE), how]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        pid = int(told.stdout)
        for _ in range(60):
            if not _runs(pid):
                break
            time.sleep(0.1)
        assert not _runs(pid), how


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_process_that_ignores_its_stdin_is_killed() -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    process = BackendProcess(Launch(command, dict(os.environ), "deaf"))
    began = time.monotonic()
    process.end(patience_s=0.2)
    assert not process.alive and time.monotonic() - began < 3
    with pytest.raises(BackendGone):
        process.receive(1.0)
        process.receive(1.0)


def test_the_launch_finds_the_packages_and_nothing_of_the_users(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    own = launch.bundled()
    folders = own.environment["PYTHONPATH"].split(os.pathsep)
    assert str(ROOT) == folders[0] and "/somewhere/else" not in folders
    assert own.command[1:] == ("-m", "lsf_backend", "serve")
    assert own.environment["PYTHONNOUSERSITE"] == "1"
    assert Path(own.command[0]).is_file()
    theirs = launch.choose(" ~/env/bin/python ")
    assert theirs.command[0] == os.path.expanduser("~/env/bin/python")
    assert "PYTHONPATH" not in theirs.environment


def test_blender_itself_is_never_started_as_the_backend(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/blender/blender")
    assert Path(launch.blender_python()).name.startswith("python")


def test_why_an_engine_cannot_be_used() -> None:
    hello = {"engines": [{"name": "lsf", "available": False, "reason": "torch is missing."}]}
    assert "torch is missing" in engine_problem(hello, "lsf").message
    assert "no engine 'x'" in engine_problem(hello, "x").message


@pytest.mark.parametrize("module", ["bridge.backend", "rig.names", "rig.timing", "rig.head_file"])
def test_the_bridge_and_the_plain_modules_need_no_bpy(module) -> None:
    script = f"import sys; sys.modules['bpy'] = None; import blender_addon.{module}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_the_real_backend_says_hello() -> None:
    backend = Backend(launch.bundled())
    began = time.monotonic()
    hello = backend.wait_for_hello(20.0)
    assert isinstance(hello, dict), hello
    assert hello["protocol"] == 1 and {e["name"] for e in hello["engines"]} >= {"compact"}
    assert time.monotonic() - began < 10
    backend.close()
