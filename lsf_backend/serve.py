# SPDX-License-Identifier: Apache-2.0
"""The backend process: messages of :mod:`lsf_backend.protocol` on stdin and stdout, log on stderr.

One thread reads and answers ``hello`` and ``cancel`` at once; the main thread works. An ``animate``
or ``import`` that comes while another one runs is queued and runs after it; either can be
cancelled. The process ends when stdin closes, also in the middle of a job.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import queue
import sys
import threading
import time
from typing import Any, BinaryIO

from lsf_backend import protocol
from lsf_backend.errors import LsfError
from lsf_backend.protocol import AnimateRequest, Message, ProtocolError

log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 0.05
# How long a job may take to notice that nobody listens any more, before the process just ends.
_LEAVE_AFTER_S = 0.5
# The same after shutdown, where somebody waits for the last event.
_FINISH_WITHIN_S = 1.5
_LONGEST_ID = 200
_FACE_VERBS = ("convert_face", "face_shapes", "identity")
_NOTHING: dict[str, Any] = {"frames": 0, "cancelled": True, "warnings": [], "metadata": {}}


@dataclasses.dataclass
class _Queued:
    id: Any
    message: Message
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    started: bool = False


class Server:
    """Reads requests from one stream, writes events to another; ``run`` gives an exit code."""

    def __init__(self, requests: BinaryIO, events: BinaryIO) -> None:
        self._requests = requests
        self._events = events
        self._write_lock = threading.Lock()
        self._queue: queue.Queue[_Queued | None] = queue.Queue()
        self._jobs: dict[Any, _Queued] = {}
        self._jobs_lock = threading.Lock()
        self._farewell: dict[str, Any] | None = None
        self._exit_code = 0

    def run(self) -> int:
        """Serve until shutdown or the end of stdin."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while True:
            job = self._queue.get()
            if job is None:
                break
            with self._jobs_lock:
                job.started = job.id in self._jobs
            if job.started:
                last_event = self._animate(job)
                # Forgotten first: whoever reads the last event may use the id again at once.
                with self._jobs_lock:
                    self._jobs.pop(job.id)
                self._send(last_event, last_event.pop("betas", None))
        self._say_farewell()
        return self._exit_code

    def _read(self) -> None:
        """Take messages until the stream ends; runs in its own thread."""
        try:
            while (message := protocol.read_message(self._requests)) is not None:
                if not self._take(message):
                    self._stop()
                    return
        except (ProtocolError, RecursionError, OSError) as error:
            log.error("stdin does not speak the protocol: %s", error)
            self._exit_code = 1
        self._stop()

    def _stop(self) -> None:
        """Cancel everything, then end the process, by force if a job does not notice in time."""
        with self._jobs_lock:
            for job in self._jobs.values():
                job.cancelled.set()
        self._queue.put(None)
        time.sleep(_LEAVE_AFTER_S if self._farewell is None else _FINISH_WITHIN_S)
        log.info("leaving in the middle of a job")
        self._say_farewell()
        os._exit(self._exit_code)

    def _say_farewell(self) -> None:
        if self._farewell is not None:
            self._send(self._farewell)

    def _take(self, message: Message) -> bool:
        """Answer or queue one request; False ends the process."""
        header = message.header
        verb, request_id = header.get("verb"), header.get("id")
        try:
            if not _is_id(request_id):
                request_id = None
                raise LsfError(
                    "request_invalid", "The id of a request is a whole number or a short text."
                )
            if verb == "hello":
                self._send(_hello(request_id))
            elif verb in ("animate", "import", "write_performance", *_FACE_VERBS):
                self._enqueue(_Queued(request_id, message))
            elif verb == "cancel":
                self._cancel(header.get("target"))
            elif verb == "shutdown":
                self._farewell = {"event": "done", "id": request_id}
                return False
            else:
                raise LsfError(
                    "request_invalid",
                    f"There is no verb {str(verb)[:40]!r}.",
                    f"Known: hello, animate, import, write_performance, {', '.join(_FACE_VERBS)}, "
                    "cancel, shutdown.",
                )
        except LsfError as error:
            self._send(_error(request_id, error))
        except Exception as error:  # the client gets a sentence, the log the traceback
            log.exception("%s failed", verb)
            self._send(_error(request_id, _internal(error)))
        return True

    def _enqueue(self, job: _Queued) -> None:
        with self._jobs_lock:
            if job.id is None or job.id in self._jobs:
                raise LsfError(
                    "request_invalid", "Such a request needs an id of its own.", "Count them."
                )
            self._jobs[job.id] = job
        self._queue.put(job)

    def _cancel(self, target: Any) -> None:
        with self._jobs_lock:
            job = self._jobs.get(target) if _is_id(target) else None
            if job is not None and not job.started:
                del self._jobs[job.id]
        if job is None:
            raise LsfError(
                "request_invalid", f"No request {str(target)[:40]!r} is running or waiting."
            )
        job.cancelled.set()
        if not job.started:
            self._send({"event": "done", "id": job.id, "seconds": 0.0, **_NOTHING})

    def _animate(self, queued: _Queued) -> dict[str, Any]:
        """Run one job and return its last event; never raises for what a job does."""
        began = time.monotonic()
        try:
            summary = self._run_job(queued)
            seconds = round(time.monotonic() - began, 3)
            return {"event": "done", "id": queued.id, "seconds": seconds, **summary}
        except LsfError as error:
            log.info("%s: %s", error.code, error)
            return _error(queued.id, error)
        except Exception as error:
            log.exception("a job failed")
            return _error(queued.id, _internal(error))

    def _run_job(self, queued: _Queued) -> dict[str, Any]:
        verb = queued.message.header.get("verb")
        if verb == "import":
            return self._import(queued)
        if verb == "write_performance":
            from lsf_backend.exchange.written import write

            return write(queued.message.header, _payload(queued.message))
        if verb in _FACE_VERBS:
            from lsf_backend.face_requests import answer

            return answer(verb, queued.message.header, _payload(queued.message))
        from lsf_backend.job import Job  # PyAV and the engine are loaded by the first job

        job = Job(
            _request(queued.message.header),
            _payload(queued.message),
            progress=self._progress_of(queued.id),
            cancelled=queued.cancelled.is_set,
        )
        first = {"channels": list(job.channels), "fps": 25, "face_space": job.face_space}
        for chunk in job.chunks():
            header = {"event": "frames", "id": queued.id, "first_frame": chunk.first_frame}
            self._send({**header, **first}, job.values(chunk))
            first = {"fps": 25, "face_space": job.face_space}
        return job.summary()

    def _import(self, queued: _Queued) -> dict[str, Any]:
        from lsf_backend.exchange.loaded import load

        header = queued.message.header
        loaded = load(header.get("path"), header.get("fps"), header.get("output", "arkit"))
        space = {"fps": loaded.fps, "face_space": loaded.face_space}
        first, sent = {"channels": list(loaded.channels)}, 0
        for first_frame, values in loaded.chunks():
            if queued.cancelled.is_set():
                break
            event = {"event": "frames", "id": queued.id, "first_frame": first_frame, **space}
            self._send({**event, **first}, values)
            first, sent = {}, first_frame + len(values)
        cancelled = sent < len(loaded.values)
        told = {"warnings": list(loaded.warnings), "notes": [], "metadata": loaded.metadata}
        return {"frames": sent, "cancelled": cancelled, **told}

    def _progress_of(self, request_id: Any) -> Any:
        last: dict[str, Any] = {"stage": "", "at": 0.0}

        def progress(stage: str, fraction: float) -> None:
            now = time.monotonic()
            if stage != last["stage"] or fraction >= 1 or now - last["at"] >= _PROGRESS_EVERY_S:
                last.update(stage=stage, at=now)
                fraction = min(1.0, max(0.0, float(fraction)))
                event = {"event": "progress", "id": request_id, "stage": stage}
                self._send({**event, "fraction": fraction})

        return progress

    def _send(self, header: dict[str, Any], array: Any = None) -> None:
        try:
            with self._write_lock:
                protocol.write_message(self._events, header, array)
        except OSError as error:
            # Nobody reads any more: nothing that this process could still do matters to anyone.
            log.info("stdout closed (%s); leaving", error)
            os._exit(self._exit_code)


def _is_id(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, int)
        or (isinstance(value, str) and len(value) <= _LONGEST_ID)
    )


def _hello(request_id: Any) -> dict[str, Any]:
    from lsf_backend.engine.registry import engine_info, engine_names
    from lsf_backend.versions import own_version

    engines = [dataclasses.asdict(engine_info(name)) for name in engine_names()]
    devices = dict.fromkeys(device for engine in engines for device in engine["devices"])
    return {
        "event": "hello",
        "id": request_id,
        "protocol": protocol.PROTOCOL_VERSION,
        "version": own_version(),
        "engines": engines,
        "devices": list(devices),
        "pid": os.getpid(),
    }


def _request(header: dict[str, Any]) -> AnimateRequest:
    try:
        return AnimateRequest.from_header(header)
    except TypeError as error:
        raise LsfError("request_invalid", "The request names no audio file.") from error


def _payload(message: Message) -> Any:
    if not message.payload:
        return None
    try:
        return message.array()
    except (ProtocolError, TypeError, ValueError) as error:
        raise LsfError("request_invalid", f"The payload cannot be read: {error}") from error


def _error(request_id: Any, error: LsfError) -> dict[str, Any]:
    fields = {"code": error.code, "message": error.message, "hint": error.hint}
    return {"event": "error", "id": request_id, **fields}


def _internal(error: Exception) -> LsfError:
    return LsfError(
        "internal",
        f"Something in the backend went wrong ({type(error).__name__}: {error}).",
        "The log has the details; please report it.",
    )


def take_over_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Binary streams on the real stdin and stdout; what others print goes to stderr from now on."""
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, events


def main() -> None:
    """Serve on stdin and stdout, then end the process, whatever threads libraries left behind."""
    requests, events = take_over_stdio()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    code = 0
    try:
        code = Server(requests, events).run()
    except KeyboardInterrupt:
        code = 130
    sys.stderr.flush()
    os._exit(code)
