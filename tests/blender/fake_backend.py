# SPDX-License-Identifier: Apache-2.0
"""A backend for tests: the real protocol, smooth curves, and failures on request.

The name of the sound asks: ``crash``, ``crash_once``, ``error``, ``slow``, ``nan``, ``deaf``.
"""

import sys
import threading
import time
from pathlib import Path

import numpy as np

from lsf_backend.protocol import (
    EXTRA_CHANNELS,
    AnimateRequest,
    Message,
    read_message,
    write_message,
)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from lsf_backend.errors import LsfError  # noqa: E402
from lsf_backend.face.arkit import ARKIT_NAMES, EXPRESSION_NAMES  # noqa: E402
from lsf_backend.face_requests import answer  # noqa: E402

FPS, CHUNK, SECONDS = 25, 20, 3.0
ENGINE = {
    "name": "compact",
    "available": True,
    "reason": "",
    "face_space": "head",
    "devices": ["cpu"],
    "digest": "test",
    "license": "CC BY 4.0",
}


def curves(first: int, count: int, seed: int) -> np.ndarray:
    """[count, 52] in 0..1; a function of the absolute frame."""
    t = np.arange(first, first + count)[:, None] / FPS
    c = np.arange(52)[None, :]
    return (0.5 + 0.5 * np.sin(2 * np.pi * t * (0.3 + c / 30) + seed + c)).astype(np.float32)


JAW = ("jaw_x_rad", "jaw_y_rad", "jaw_z_rad")
FLAME = tuple(f"expression_{index}" for index in range(50))


def motion(first: int, count: int, seed: int) -> np.ndarray:
    """[count, 53]: signed expression, a jaw that opens by up to 0.4 rad; by the absolute frame."""
    wave = curves(first, count, seed)
    return np.concatenate([wave[:, :50] - 0.5, 0.4 * wave[:, :1], 0 * wave[:, :2]], axis=1)


class Fake:
    def __init__(self) -> None:
        self.cancelled: set[str] = set()
        self.lock = threading.Lock()

    def send(self, header: dict, array: np.ndarray | None = None) -> None:
        with self.lock:
            write_message(sys.stdout.buffer, header, array)

    def run(self) -> None:
        while (message := read_message(sys.stdin.buffer)) is not None:
            header = message.header
            verb = header["verb"]
            if verb == "hello":
                protocol = 99 if "--old" in sys.argv else 1
                hello = {"event": "hello", "id": header["id"], "protocol": protocol}
                self.send({**hello, "version": "test", "engines": [ENGINE], "future": 1})
            elif verb == "animate":
                threading.Thread(target=self.animate, args=(header,), daemon=True).start()
            elif verb in ("convert_face", "face_shapes", "identity"):
                self.answer(verb, message)
            elif verb == "cancel":
                self.cancelled.add(header["target"])
            elif verb == "shutdown":
                return

    def answer(self, verb: str, message: Message) -> None:
        """Faces are the real backend's: they take no engine."""
        job = message.header["id"]
        try:
            array = message.array() if message.payload else None
            told = answer(verb, message.header, array)
            betas = told.pop("betas", None)
            self.send({"event": "done", "id": job, **told}, betas)
        except LsfError as error:
            text = {"code": error.code, "message": error.message, "hint": error.hint}
            self.send({"event": "error", "id": job, **text})

    def animate(self, header: dict) -> None:
        request, job = AnimateRequest.from_header(header), header["id"]
        path = Path(request.audio)
        stem = path.stem
        if "error" in stem:
            text, hint = "The sound cannot be read.", "Try another file."
            self.send(
                {
                    "event": "error",
                    "id": job,
                    "code": "audio_unreadable",
                    "message": text,
                    "hint": hint,
                }
            )
            return
        total = int(FPS * (60.0 if "slow" in stem or "deaf" in stem else SECONDS))
        for first in range(0, total, CHUNK):
            if job in self.cancelled and "deaf" not in stem:
                self.send({"event": "done", "id": job, "frames": first, "cancelled": True})
                return
            kind = curves if request.output == "arkit" else motion
            values = kind(first, min(CHUNK, total - first), request.seed)
            if "nan" in stem and first:
                values[0, 0] = np.nan
            self.send(
                {"event": "progress", "id": job, "stage": "speaking", "fraction": first / total}
            )
            shapes = FLAME if request.face_space == "flame" else EXPRESSION_NAMES
            channels = ARKIT_NAMES if request.output == "arkit" else (*shapes, *JAW)
            if "head" in request.extra:
                channels = (*channels, *EXTRA_CHANNELS["head"])
                nod = 0.05 * np.sin(np.arange(first, first + len(values)) / 7.0)
                values = np.column_stack([values, nod, nod, nod])
            names = {"channels": list(channels)} if first == 0 else {}
            head = {"event": "frames", "id": job, "first_frame": first, "fps": FPS}
            self.send({**head, "face_space": request.face_space or "head", **names}, values)
            if "slow" in stem or "deaf" in stem:
                time.sleep(0.05)
            once = path.with_suffix(".crashed")
            if first >= CHUNK and ("crash" in stem) and not ("once" in stem and once.exists()):
                once.write_text("")
                print("out of luck", file=sys.stderr, flush=True)
                import os

                os._exit(7)
        metadata = {"model_digest": "test", "versions": {"lsf": "test"}, "seed": request.seed}
        done = {"event": "done", "id": job, "frames": total, "cancelled": False, "seconds": 0.1}
        self.send({**done, "warnings": [], "metadata": metadata})


if __name__ == "__main__":
    Fake().run()
