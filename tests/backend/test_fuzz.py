# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not messages: an error for the reader, a clean end for the process."""

import io
import json
import struct

import numpy as np
import pytest

from lsf_backend import protocol
from lsf_backend.protocol import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, ProtocolError
from tests.backend.client import Client


def encoded(header: object, payload: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<II", len(text), len(payload)) + text + payload


def test_messages_survive_any_cut_of_the_stream() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    buffer = io.BytesIO()
    protocol.write_message(buffer, {"verb": "x", "id": "ю"}, array)
    data = buffer.getvalue()
    message = protocol.read_message(io.BytesIO(data))
    assert message is not None and message.header["id"] == "ю"
    np.testing.assert_array_equal(message.array(), array)
    assert protocol.read_message(io.BytesIO(b"")) is None
    for cut in range(1, len(data)):
        with pytest.raises(ProtocolError):
            protocol.read_message(io.BytesIO(data[:cut]))


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_a_protocol_error_or_a_message(seed: int) -> None:
    random = np.random.default_rng(seed)
    data = bytearray(encoded({"verb": "hello", "id": 1}, random.bytes(40)))
    for _ in range(3):
        data[int(random.integers(len(data)))] = int(random.integers(256))
    stream = io.BytesIO(bytes(data) if seed % 2 else random.bytes(200))
    try:
        while (message := protocol.read_message(stream)) is not None:
            assert isinstance(message.header, dict)
    except (ProtocolError, UnicodeDecodeError):
        pass


MALFORMED = {
    "truncated lengths": b"\x10\x00",
    "truncated header": struct.pack("<II", 100, 0) + b'{"verb":',
    "truncated payload": encoded({"verb": "hello"}, b"1234")[:-1],
    "oversize header": struct.pack("<II", MAX_HEADER_BYTES + 1, 0),
    "oversize payload": struct.pack("<II", 2, MAX_PAYLOAD_BYTES + 1) + b"{}",
    "a line of JSON": b'{"verb": "hello", "id": 1}\n' * 20,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5,
    "not an object": encoded([1, 2, 3]),
    "not JSON": struct.pack("<II", 4, 0) + b"nope",
    "not UTF-8": struct.pack("<II", 4, 0) + b"\xff\xfe\xfd\xfc",
    "a deep object": struct.pack("<II", 400_000, 0) + b"[" * 400_000,
    "zeros": bytes(64),
    "noise": np.random.default_rng(5).bytes(4096),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_the_server_ends_with_1_and_a_log_line_on_malformed_input(name: str) -> None:
    client = Client()
    client.send("cancel", "c", target="nobody")
    client.until("c", "error")
    try:
        client.stdin.write(MALFORMED[name])
        client.stdin.close()
    except OSError:
        pass  # it may have left before everything was written
    assert client.process.wait(30) == 1, client.log()
    assert "does not speak the protocol" in client.log() and "Traceback" not in client.log()
    client.close()


ODD = [
    {},
    {"verb": None},
    {"verb": ["hello"]},
    {"verb": "animate"},
    {"verb": "animate", "id": "a", "audio": 7},
    {"verb": "animate", "id": "b", "audio": "/", "shape": "x"},
    {"verb": "animate", "id": "c", "audio": "a.wav", "start_s": float("nan")},
    {"verb": "animate", "id": "d", "audio": "a\0b.wav"},
    {"verb": "animate", "id": "e", "audio": "x" * 100_000},
    {"verb": "animate", "id": float("nan"), "audio": "a.wav"},
    {"verb": "animate", "id": True, "audio": "a.wav"},
    {"verb": "cancel"},
    {"verb": "cancel", "target": {}},
    {"verb": "hello", "id": [], "protocol": "one"},
]


def test_well_formed_nonsense_is_answered_and_survived() -> None:
    client = Client()
    for header in ODD:
        for payload in (b"", b"\x00" * 12, b"odd"):
            client.stdin.write(encoded(header, payload))
    client.stdin.flush()
    client.send("shutdown", "bye")
    messages = client.finish("bye")
    assert messages[-1].header["event"] == "done"
    assert client.process.wait(30) == 0
    # Listing the engines logs one that cannot start, on purpose; nothing else may fail.
    assert client.log().count("Traceback") == client.log().count("cannot even start")
    client.close()
