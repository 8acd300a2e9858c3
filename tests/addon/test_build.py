# SPDX-License-Identifier: Apache-2.0
"""The extension's zip: the same bytes twice, only what is allowed, wheels that pip can check."""

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import build_addon

TARGET = build_addon.Target("linux-x64", "cp311", "4.2.0", "5.1.0")


def make_wheel(path: Path, files: dict[str, bytes]) -> None:
    record = f"{path.name.split('-')[0]}-1.dist-info/RECORD"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(build_addon.wheel_bytes(files, record))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the downloaded wheels, and a lock that names them."""
    folder = tmp_path / "cache" / TARGET.platform / TARGET.python
    lock: dict = {"versions": {"onnxruntime": "1.32.0", "av": "18.1.0"}, "sha256": {}}
    ort = {"onnxruntime/__init__.py": b"", "onnxruntime/capi/libonnxruntime.so.1.32.0": b"x" * 99}
    make_wheel(folder / "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl", ort)
    make_wheel(folder / "av-18.1.0-cp311-abi3-manylinux_2_28_x86_64.whl", {"av/__init__.py": b""})
    for path in folder.iterdir():
        lock["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "wheels.json").write_text(json.dumps(lock))
    monkeypatch.setattr(build_addon, "LOCK", tmp_path / "wheels.json")
    light = (".py", ".json")  # the real assets are packed by one test alone: they are large
    monkeypatch.setattr(build_addon, "BACKEND_SUFFIXES", light)
    return tmp_path / "cache"


def check_record(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        record = next(name for name in archive.namelist() if name.endswith("RECORD"))
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
        for name, digest, size in rows:
            if name == record:
                continue
            content = archive.read(name)
            wanted = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert digest == f"sha256={wanted.decode()}" and int(size) == len(content)
        assert sorted(row[0] for row in rows) == sorted(archive.namelist())
        return archive.namelist()


def test_the_same_sources_give_the_same_bytes(cache, tmp_path) -> None:
    first = build_addon.build(TARGET, tmp_path / "a", cache)
    second = build_addon.build(TARGET, tmp_path / "b", cache)
    assert first.name == second.name and first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert all(info.date_time == build_addon.TIMESTAMP for info in archive.infolist())
    plain = [name for name in names if not name.startswith("wheels/")]
    assert all(n.endswith((".py", "LICENSE", "blender_manifest.toml")) for n in plain)
    assert "__init__.py" in names and not any("__pycache__" in name for name in names)


def test_the_manifest_says_what_is_in_the_zip(cache, tmp_path) -> None:
    path = build_addon.build(TARGET, tmp_path / "a", cache)
    with zipfile.ZipFile(path) as archive:
        told = tomllib.loads(archive.read("blender_manifest.toml").decode())
        wheels = [f"./{name}" for name in archive.namelist() if name.startswith("wheels/")]
    assert told["wheels"] == wheels and len(wheels) == 3
    assert told["version"] == build_addon.project_version()
    assert (told["blender_version_min"], told["blender_version_max"]) == ("4.2.0", "5.1.0")
    assert told["platforms"] == ["linux-x64"] and told["license"][0] == "SPDX:GPL-3.0-or-later"
    assert len(told["tagline"]) <= 64 and not told["tagline"].endswith(".")
    assert all(len(reason) <= 64 for reason in told["permissions"].values())


def test_a_wheel_that_is_not_the_pinned_one_stops_the_build(cache, tmp_path) -> None:
    victim = next((cache / "linux-x64" / "cp311").glob("av-*"))
    victim.write_bytes(victim.read_bytes() + b" ")
    with pytest.raises(SystemExit, match=victim.name):
        build_addon.build(TARGET, tmp_path / "a", cache)


def test_the_unused_library_is_left_out_and_the_record_says_so(cache) -> None:
    path = next((cache / "linux-x64" / "cp311").glob("onnxruntime-*"))
    names = check_record(build_addon.slimmed(path))
    assert names == ["onnxruntime-1.dist-info/RECORD", "onnxruntime/__init__.py"]


def test_the_backend_wheel_is_whole_and_runs_alone(tmp_path) -> None:
    name, data = build_addon.backend_wheel("0.1.0")
    names = check_record(data)
    assert "lsf_backend/protocol.py" in names and "lsf_backend/serve.py" in names
    sources = build_addon.ROOT / "lsf_backend" / "assets"
    assets = [path for path in sources.rglob("*") if path.is_file()]
    missing = [p.name for p in assets if p.relative_to(build_addon.ROOT).as_posix() not in names]
    assert not missing, "a new kind of asset needs its suffix in BACKEND_SUFFIXES"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}
    script = "import lsf_backend.serve, lsf_backend.protocol as p; print(p.__file__)"
    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert str(tmp_path / "site") in told.stdout


def test_every_locked_wheel_names_a_platform_we_build_for() -> None:
    lock = json.loads((build_addon.ADDON / "wheels.json").read_text())
    assert set(lock["versions"]) == {"onnxruntime", "av", "flatbuffers", "packaging", "protobuf"}
    for name in lock["sha256"]:
        assert lock["versions"][name.split("-")[0]] == name.split("-")[1]
    for tags in build_addon.PLATFORMS.values():
        for python in build_addon.BLENDERS:
            assert any(python in name and tags[0] in name for name in lock["sha256"])
