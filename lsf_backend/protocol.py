# SPDX-License-Identifier: Apache-2.0
"""Messages between the add-on and the backend process, over two pipes.

One message is two little-endian uint32 lengths, a UTF-8 JSON header of the first length and a raw
payload of the second (little-endian float32 where there is one). No pickle, no socket. The backend
owns its stdout for messages alone; its stderr is the log. Unknown header fields are ignored.

Requests carry ``verb`` and ``id``; every event that answers one carries ``event`` and that ``id``:

=========== ===================================================== ================================
verb        fields                                                answered by
=========== ===================================================== ================================
hello       protocol                                              hello
animate     see :class:`AnimateRequest`; payload: betas [300]     progress*, frames*, done | error
import      see :class:`ImportRequest`                            frames*, done | error
cancel      target (the id of an animate or import request)       done of the target, cancelled
shutdown                                                          done, then the process ends
=========== ===================================================== ================================

Three verbs are about faces and answered by ``done`` or ``error``. ``convert_face`` takes ``face``
(path of a FLAME file) and ``version`` ('' where it is not known), and gives ``path``, ``version``,
``sentence``. ``face_shapes`` takes ``face`` and gives the ``path`` of a .npz with ARKit's shapes on
that face (``face.flame_transfer.shapes_file``). ``identity`` takes ``face`` ('' for the bundled
head), ``landmarks`` ({name: point}), and a payload [N + M, 3] whose first ``vertices`` rows are
points of a mesh, the others its triangles; it gives ``space``, ``mean_mm``, ``max_mm``,
``sentence`` and the betas [300] as payload.

``write_performance`` writes frames [T, C] (its payload) of ``channels`` at ``fps`` in a
``face_space`` to ``path`` (.csv, .json, .npz), at ``out_fps`` where that is given, with
``metadata``; it gives ``path`` and ``frames``.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

PROTOCOL_VERSION = 1
MAX_HEADER_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 64 << 20
ASSETS = Path(__file__).resolve().parent / "assets"
HEAD_FILE = ASSETS / "head.npz"

# What a request may ask for beside the face (``AnimateRequest.extra``), with the channels that it
# adds: turns in radians about the face's x (down), y (to the character's left) and z; breath 0..1.
EXTRA_CHANNELS: dict[str, tuple[str, ...]] = {
    "head": ("head_x_rad", "head_y_rad", "head_z_rad"),
    "gaze": ("eyes_x_rad", "eyes_y_rad"),
    "breath": ("breath",),
}

_LENGTHS = struct.Struct("<II")


class ProtocolError(RuntimeError):
    """The peer sent bytes that are not a message, or went away in the middle of one."""


@dataclasses.dataclass(frozen=True)
class Message:
    """One message: a JSON ``header`` and an optional raw ``payload``."""

    header: dict[str, Any]
    payload: bytes = b""

    def array(self) -> np.ndarray:
        """Payload as float32, in the header's ``shape`` (flat where it names none)."""
        values = np.frombuffer(self.payload, dtype="<f4")
        shape = self.header.get("shape", [values.size])
        if int(np.prod(shape)) != values.size:
            raise ProtocolError(f"a payload of {values.size} numbers does not have shape {shape}.")
        return values.reshape(shape)


def write_message(
    stream: BinaryIO, header: dict[str, Any], array: np.ndarray | None = None
) -> None:
    """Write one message and flush; ``array`` (any float array) goes as float32 with its shape."""
    payload = b""
    if array is not None:
        header = {**header, "shape": list(array.shape)}
        payload = np.ascontiguousarray(array, dtype="<f4").tobytes()
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise ProtocolError(f"a message of {len(text)} + {len(payload)} bytes is over the limit.")
    stream.write(_LENGTHS.pack(len(text), len(payload)) + text + payload)
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Read one message; None at a clean end of the stream.

    Raises :class:`ProtocolError` for a truncated, oversized or malformed message.
    """
    lengths = stream.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < _LENGTHS.size:
        raise ProtocolError("the stream ended inside a message's lengths.")
    header_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    if header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise ProtocolError(
            f"a message of {header_bytes} + {payload_bytes} bytes is over the limit; "
            "the other side does not speak this protocol."
        )
    text = _read_exactly(stream, header_bytes)
    payload = _read_exactly(stream, payload_bytes)
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"a message's header is not JSON: {error}.") from error
    if not isinstance(header, dict):
        raise ProtocolError("a message's header is not a JSON object.")
    return Message(header, payload)


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise ProtocolError("the stream ended inside a message.")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


@dataclasses.dataclass(frozen=True)
class AnimateRequest:
    """What ``animate`` asks for; the message's payload, if any, is ``betas`` [300].

    ``output`` is ``motion`` ([n, 53]: 50 expression, 3 jaw radians) or ``arkit`` ([n, 52] weights);
    ``frames`` events carry ``first_frame`` and ``shape``; the first also has ``channels`` (names).
    ``temperature`` 0 is deterministic, 1 the calibrated amount of variation. ``finishing`` holds
    strengths of the layers after the engine (``lsf_backend.finishing``: smoothing, closure,
    silence, blinks, gaze, head, breathing); None gives the engine's own frames.
    ``extra`` names keys of ``EXTRA_CHANNELS``, whose channels follow the output's own.
    ``lip_gap_mm`` [52] says how far each ARKit shape opens the lips of the mesh that will move, so
    that the guards count its millimetres; None takes the bundled head's.
    ``face_space`` (``head`` or ``flame``) is what ``motion`` should be in, empty for the engine's
    own; ``face`` is the user's FLAME file, needed wherever the two differ, and for the guards of a
    FLAME face's lips; ``jaw_keys`` says that this face has shape keys in place of a jaw bone.
    ``identity_space`` is the space of the betas; those of another space than the engine's are left
    out.
    """

    verb: ClassVar[str] = "animate"
    audio: str
    start_s: float = 0.0
    end_s: float | None = None
    engine: str = "compact"
    device: str = "auto"
    seed: int = 0
    temperature: float = 0.0
    output: str = "arkit"
    finishing: dict[str, float] | None = None
    extra: list[str] = dataclasses.field(default_factory=list)
    lip_gap_mm: list[float] | None = None
    face: str = ""
    face_space: str = ""
    jaw_keys: bool = False
    identity_space: str = ""

    def header(self) -> dict[str, Any]:
        """Header fields of the request, to be sent with ``verb`` and ``id``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_header(cls, header: dict[str, Any]) -> AnimateRequest:
        """Read the known fields of a header; unknown ones are ignored."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in header.items() if name in names})


@dataclasses.dataclass(frozen=True)
class ImportRequest:
    """A performance that was recorded or made elsewhere: Live Link Face .csv, ARKit .json, .npz.

    It comes as ``frames`` at its own rate (``fps`` of the event): [n, 52] ARKit weights as they
    were recorded (``output`` motion: [n, 53] of the bundled head) and, where there are any, the
    head's turns; a FLAME take always as [n, 53] motion. The request's ``fps`` states the rate of a
    file that does not say it.
    """

    verb: ClassVar[str] = "import"
    path: str
    output: str = "arkit"
    fps: float | None = None

    def header(self) -> dict[str, Any]:
        """Header fields of the request, to be sent with ``verb`` and ``id``."""
        return dataclasses.asdict(self)
