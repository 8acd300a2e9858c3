# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervised backend: started when needed, restarted once after a crash with the job replayed.

``step`` never blocks (a GUI timer calls it); ``step(wait_s)`` blocks up to that long (background).
Both return the same events, in order.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from lsf_backend.protocol import PROTOCOL_VERSION, AnimateRequest, ImportRequest, Message

from .launch import BACKEND_MODULE, Launch
from .process import BackendGone, BackendProcess

START_LIMIT_S = 60.0
CANCEL_LIMIT_S = 5.0
ASK_LIMIT_S = 120.0


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where the job is: ``stage`` in words, ``fraction`` in 0..1."""

    stage: str
    fraction: float


@dataclasses.dataclass(frozen=True)
class Frames:
    """Frames ``first_frame``.. of the take; ``values``: [n, C] float32 at ``fps``."""

    first_frame: int
    values: np.ndarray
    channels: tuple[str, ...]
    fps: float = 25.0
    face_space: str = "head"


@dataclasses.dataclass(frozen=True)
class Done:
    """The job ended well, or was cancelled (what came before stays valid)."""

    cancelled: bool
    frames: int
    warnings: tuple[str, ...]
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Failed:
    """The job ended badly; ``message`` is one sentence, ``hint`` what to do about it."""

    code: str
    message: str
    hint: str = ""

    def sentence(self) -> str:
        """Message and hint as one text."""
        return f"{self.message} {self.hint}".strip()


Event = Progress | Frames | Done | Failed


@dataclasses.dataclass
class _Job:
    request: AnimateRequest | ImportRequest
    betas: np.ndarray | None
    id: str
    channels: tuple[str, ...] = ()
    sent: bool = False
    replayed: bool = False
    cancel_at: float | None = None


class Backend:
    """Keeps one process and runs one job at a time on it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.hello: dict[str, Any] | None = None
        self.log: list[str] = []
        self._process: BackendProcess | None = None
        self._started = 0.0
        self._count = 0
        self._job: _Job | None = None

    @property
    def busy(self) -> bool:
        """True while a job runs."""
        return self._job is not None

    @property
    def pid(self) -> int | None:
        """Process id, None where no process runs."""
        return self._process.pid if self._process and self._process.alive else None

    def start(self) -> None:
        """Start the process, if none runs, and greet it (the answer comes through ``step``)."""
        if self._process is not None and self._process.alive:
            return
        self._drop()
        self._process = BackendProcess(self.launch)
        self._started = time.monotonic()
        self._process.send({"verb": "hello", "id": "hello", "protocol": PROTOCOL_VERSION})

    def submit(
        self, request: AnimateRequest | ImportRequest, betas: np.ndarray | None = None
    ) -> None:
        """Begin a job; its events come through ``step``."""
        if self._job is not None:
            raise RuntimeError("a job is already running")
        if self._process is not None and not self._process.alive:
            self._drop()  # it ended while nobody was waiting: not this job's crash
        self._count += 1
        self._job = _Job(request, betas, f"take-{self._count}")

    def cancel(self) -> None:
        """Ask the job to stop; ``step`` then gives Done(cancelled=True)."""
        job = self._job
        if job is None or job.cancel_at is not None:
            return
        job.cancel_at = time.monotonic() + CANCEL_LIMIT_S
        if job.sent and self._process is not None:
            try:
                self._process.send({"verb": "cancel", "id": f"{job.id}-cancel", "target": job.id})
            except BackendGone:
                job.cancel_at = 0.0

    def close(self) -> None:
        """End the process; a running job is forgotten."""
        self._job = None
        self._drop()

    def wait_for_hello(self, limit_s: float = START_LIMIT_S) -> dict[str, Any] | Failed:
        """Start the process if needed and block until it has said which engines it has."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            try:
                self.start()
                if self.hello is not None:
                    return self.hello
                self._take_hello(self._process.receive(0.2))  # type: ignore[union-attr]
            except BackendGone as error:
                failed = self._failure(error)
                self._drop()
                return failed
        self._drop()
        return Failed("engine_unavailable", "The backend did not answer in time.", self._last_log())

    def ask(
        self,
        verb: str,
        fields: dict[str, Any],
        array: np.ndarray | None = None,
        limit_s: float = ASK_LIMIT_S,
    ) -> Message | Failed:
        """Send one short request and block until it is answered (faces, not sounds)."""
        if self.busy:
            return Failed("request_invalid", "A take is being made.", "Wait for it, or cancel it.")
        hello = self.wait_for_hello()
        if isinstance(hello, Failed):
            return hello
        self._count += 1
        wanted, end = f"ask-{self._count}", time.monotonic() + limit_s
        try:
            self._process.send({**fields, "verb": verb, "id": wanted}, array)  # type: ignore[union-attr]
            while time.monotonic() < end:
                message = self._process.receive(0.2)  # type: ignore[union-attr]
                header = message.header if message is not None else {}
                if header.get("id") == wanted and header.get("event") == "done":
                    return message  # type: ignore[return-value]
                if header.get("id") == wanted and header.get("event") == "error":
                    return _failed(header)
        except BackendGone as error:
            failed = self._failure(error)
            self._drop()
            return failed
        self._drop()
        return Failed("internal", f"The backend did not answer within {limit_s:.0f} s.")

    def step(self, wait_s: float = 0.0) -> list[Event]:
        """All events that are there; blocks up to ``wait_s`` for the first one."""
        if self._job is None:
            return []
        try:
            return self._step(self._job, wait_s)
        except BackendGone as error:
            return self._crashed(self._job, error)

    def _step(self, job: _Job, wait_s: float) -> list[Event]:
        if job.cancel_at is not None and (not job.sent or time.monotonic() > job.cancel_at):
            if job.sent:
                self._drop()  # it does not listen; the next job starts a fresh one
            return self._finish(Done(True, 0, (), {}))
        if self._process is None:
            self.start()
        assert self._process is not None
        events: list[Event] = []
        message = self._process.receive(wait_s)
        while message is not None:
            events += self._read(job, message)
            if self._job is None:
                return events
            message = self._process.receive()
        if self.hello is None and time.monotonic() - self._started > START_LIMIT_S:
            raise BackendGone(f"it said nothing for {START_LIMIT_S:.0f} s")
        if self.hello is not None and not job.sent:
            events += self._send(job)
        return events

    def _send(self, job: _Job) -> list[Event]:
        if isinstance(job.request, AnimateRequest):
            problem = engine_problem(self.hello or {}, job.request.engine)
            if problem is not None:
                return self._finish(problem)
        header = {**job.request.header(), "verb": job.request.verb, "id": job.id}
        self._process.send(header, job.betas)  # type: ignore[union-attr]
        job.sent = True
        return [Progress("starting the engine", 0.0)]

    def _take_hello(self, message: Message | None) -> None:
        if message is None or message.header.get("event") != "hello":
            return
        if message.header.get("protocol") != PROTOCOL_VERSION:
            raise BackendGone(
                f"it speaks protocol {message.header.get('protocol')}, this add-on "
                f"{PROTOCOL_VERSION}; install the same version of both"
            )
        self.hello = message.header

    def _read(self, job: _Job, message: Message) -> list[Event]:
        header = message.header
        event = header.get("event")
        if event == "hello":
            self._take_hello(message)
        if header.get("id") != job.id:
            return []  # the end of an earlier, abandoned job
        if event == "progress":
            return [Progress(str(header.get("stage", "")), float(header.get("fraction", 0.0)))]
        if event == "frames":
            job.channels = tuple(header.get("channels") or job.channels)
            first, space = int(header["first_frame"]), str(header.get("face_space") or "head")
            fps = float(header.get("fps") or 25.0)
            return [Frames(first, message.array(), job.channels, fps, space)]
        if event == "done":
            warnings = tuple(str(text) for text in header.get("warnings") or ())
            cancelled = bool(header.get("cancelled"))
            notes = tuple(str(text) for text in header.get("notes") or ())
            metadata = dict(header.get("metadata") or {})
            frames = int(header.get("frames", 0))
            return self._finish(Done(cancelled, frames, warnings, metadata, notes))
        if event == "error":
            return self._finish(_failed(header))
        return []

    def _finish(self, event: Done | Failed) -> list[Event]:
        self._job = None
        return [event]

    def _crashed(self, job: _Job, error: BackendGone) -> list[Event]:
        failed = self._failure(error)
        started_well = self.hello is not None
        self._drop()
        if job.cancel_at is not None:
            return self._finish(Done(True, 0, (), {}))
        if job.replayed or not started_well:
            return self._finish(failed)
        job.replayed, job.sent, job.channels = True, False, ()
        return [Progress("the backend stopped; starting it again", 0.0)]

    def _failure(self, error: BackendGone) -> Failed:
        hint = self._last_log()
        if f"No module named {BACKEND_MODULE}" in hint:
            hint = 'That Python has no backend: pip install "lsf-animation[gpu]" there.'
        return Failed("internal", f"The backend stopped: {error}.", hint)

    def _last_log(self) -> str:
        if self._process is not None:
            self._process.end(patience_s=0.3)  # so that its last words have arrived
            lines = [line for line in self._process.log if line.strip()]
            return f"Its last words: {lines[-1]}" if lines else ""
        return ""

    def _drop(self) -> None:
        if self._process is not None:
            self._process.end()
            self.log = list(self._process.log)
        self._process, self.hello = None, None


def _failed(header: dict[str, Any]) -> Failed:
    code, text = str(header.get("code", "internal")), str(header.get("message", ""))
    return Failed(code, text, str(header.get("hint") or ""))


def engine_problem(hello: dict[str, Any], name: str) -> Failed | None:
    """Why ``name`` cannot be used, from a hello event; None where it can."""
    engines = {engine.get("name"): engine for engine in hello.get("engines") or ()}
    if name not in engines:
        known = ", ".join(sorted(str(key) for key in engines)) or "none"
        return Failed("engine_unavailable", f"There is no engine '{name}' (there are: {known}).")
    if not engines[name].get("available"):
        reason = engines[name].get("reason") or "the backend does not say why."
        return Failed("engine_unavailable", f"The engine '{name}' cannot be used: {reason}")
    return None
