# SPDX-License-Identifier: Apache-2.0
import hashlib
import http.server
import json
import re
import threading

import pytest

from lsf_backend.errors import LsfError
from lsf_backend.model.fetch import SOURCES, Source, fetch_models

DATA = bytes(range(256)) * 9000
DIGEST = hashlib.sha256(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves DATA with ranges; stops short once when told to."""

    break_at = None
    ranges: list = []

    def do_GET(self):
        start = (
            int(m.group(1))
            if (m := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")))
            else 0
        )
        type(self).ranges.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        stop = type(self).break_at or len(DATA)
        type(self).break_at = None
        self.wfile.write(DATA[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def url():
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.ranges = []
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()


def source(url, sha256=DIGEST):
    return Source("thing", "thing-folder", "thing.bin", url, "r1", "free", sha256)


def test_download_checks_resumes_and_reports(url, tmp_path):
    seen = []
    Handler.break_at = 1_000_000
    with pytest.raises(LsfError, match="broke off") as caught:
        fetch_models(tmp_path, sources=(source(url),), report=lambda *a: seen.append(a))
    assert "goes on where it stopped" in caught.value.hint
    assert not (tmp_path / "thing-folder" / "thing.bin").exists()
    (file,) = fetch_models(tmp_path, sources=(source(url),), report=lambda *a: seen.append(a))
    assert file.read_bytes() == DATA and Handler.ranges == [0, 1_000_000]
    assert seen[-1] == ("thing", len(DATA), len(DATA))
    record = json.loads((file.parent / "source.json").read_text())
    assert record["sha256"] == DIGEST and record["checked"] and record["revision"] == "r1"
    fetch_models(tmp_path, sources=(source(url),), report=lambda *a: None)
    assert len(Handler.ranges) == 2, "a file that is here is not fetched again"


def test_wrong_digest_keeps_nothing(url, tmp_path):
    with pytest.raises(LsfError, match="not the expected file"):
        fetch_models(tmp_path, sources=(source(url, "0" * 64),), report=lambda *a: None)
    assert list((tmp_path / "thing-folder").iterdir()) == []


def test_unknown_digest_must_be_given_or_accepted(url, tmp_path):
    unknown = (source(url, None),)
    with pytest.raises(LsfError, match="No digest is known") as caught:
        fetch_models(tmp_path, sources=unknown)
    assert "thing.bin" in caught.value.hint and not Handler.ranges
    with pytest.raises(LsfError, match="not the expected file"):
        fetch_models(tmp_path, {"thing": "1" * 64}, sources=unknown, report=lambda *a: None)
    fetch_models(tmp_path, {"thing": DIGEST}, sources=unknown, report=lambda *a: None)
    (file,) = fetch_models(
        tmp_path / "b", accept_unverified=True, sources=unknown, report=lambda *a: None
    )
    assert not json.loads((file.parent / "source.json").read_text())["checked"]


def test_offline_says_what_to_place_where(tmp_path):
    dead = source("http://127.0.0.1:9/file")
    with pytest.raises(LsfError, match="no way to its server") as caught:
        fetch_models(tmp_path, sources=(dead,), report=lambda *a: None)
    assert dead.url in caught.value.hint and str(tmp_path / "thing-folder") in caught.value.hint


def test_sources_name_a_revision_in_their_address():
    for entry in SOURCES:
        assert re.fullmatch(r"[0-9a-f]{40}", entry.revision) and entry.revision in entry.url
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
