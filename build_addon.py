# SPDX-License-Identifier: Apache-2.0
"""Builds the extension's zips, one per platform and Python: the same bytes from the same sources.

Blender 4.2 to 5.0 run Python 3.11, 5.1 and later 3.13. Wheels are pinned by sha256 in
``blender_addon/wheels.json``; the backend goes in as a wheel that this script makes itself.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import hashlib
import io
import json
import platform
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ADDON = ROOT / "blender_addon"
LOCK = ADDON / "wheels.json"
TIMESTAMP = (2020, 1, 1, 0, 0, 0)
BACKEND_SUFFIXES = (".py", ".npz", ".onnx", ".json", ".wav", ".md", ".txt", ".npy", ".safetensors")
# Python of Blender -> the range of Blender versions (the last one is excluded; '' is open).
BLENDERS = {"cp311": ("4.2.0", "5.1.0"), "cp313": ("5.1.0", "")}
# Blender's platform -> the tags that pip looks for, best first.
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "windows-x64": ("win_amd64",),
    "windows-arm64": ("win_arm64",),
    "macos-arm64": ("macosx_14_0_arm64", "macosx_11_0_arm64", "macosx_10_9_universal2"),
}
# Onnxruntime's Linux wheel holds its C library a second time, for C programs; its Python module is
# linked with another copy and never opens this one (13 MB of the zip).
LEFT_OUT = ("onnxruntime/capi/libonnxruntime.so",)


@dataclasses.dataclass(frozen=True)
class Target:
    """One zip: Blender's platform name, its Python (cp311) and the Blender versions it is for."""

    platform: str
    python: str
    blender_min: str
    blender_max: str

    def zip_name(self, version: str) -> str:
        """File name that tells a person which one to take."""
        last = {"5.1.0": "5.0", "": "newer"}.get(self.blender_max, self.blender_max)
        first = self.blender_min.rsplit(".", 1)[0]
        python = "" if self.python in BLENDERS else f"-{self.python}"  # a distribution's own
        return f"lsf_animation-{version}-blender-{first}-to-{last}-{self.platform}{python}.zip"


def project_version() -> str:
    """Version of the project: pyproject.toml is the one place that has it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def this_platform() -> str:
    """Blender's name of the platform this runs on."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    system = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}[platform.system()]
    return f"{system}-{'arm64' if arm else 'x64'}"


def add(archive: zipfile.ZipFile, name: str, data: bytes, stored: bool = False) -> None:
    """Write one member with a fixed time and mode."""
    info = zipfile.ZipInfo(name, TIMESTAMP)
    info.create_system, info.external_attr = 3, 0o644 << 16
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    archive.writestr(info, data, compresslevel=None if stored else 9)


def record_line(name: str, data: bytes) -> str:
    """One line of a wheel's RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def backend_wheel(version: str) -> tuple[str, bytes]:
    """Pack lsf_backend, with its assets, as a wheel -> (file name, bytes).

    The version ends in a digest of the content: Blender keeps an installed wheel of the same name.
    """
    folder = ROOT / "lsf_backend"
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in BACKEND_SUFFIXES and "__pycache__" not in path.parts
    }
    digest = hashlib.sha256("".join(record_line(*item) for item in files.items()).encode())
    version = f"{version}+{digest.hexdigest()[:8]}"
    info = f"lsf_animation-{version}.dist-info"
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: lsf-animation\nVersion: {version}\n"
        "Summary: The backend of LSF Animation, as bundled with the Blender extension.\n"
        "License: Apache-2.0\n"
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: build_addon\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    return f"lsf_animation-{version}-py3-none-any.whl", wheel_bytes(files, f"{info}/RECORD")


def wheel_bytes(files: dict[str, bytes], record: str) -> bytes:
    """Zip ``files`` with a fresh RECORD, as it comes out everywhere."""
    lines = [record_line(name, data) for name, data in sorted(files.items())]
    files = {**files, record: ("\n".join([*lines, f"{record},,"]) + "\n").encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(files.items()):
            add(archive, name, data, stored=name.endswith(".npz"))  # compressed already
    return buffer.getvalue()


def slimmed(path: Path) -> bytes:
    """Give a wheel's bytes, without the files that nothing opens."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        kept = [name for name in names if not name.startswith(LEFT_OUT)]
        if len(kept) == len(names):
            return path.read_bytes()
        record = next(name for name in kept if name.endswith(".dist-info/RECORD"))
        files = {name: archive.read(name) for name in kept if name != record}
    return wheel_bytes(files, record)


def wheels_for(target: Target, cache: Path, update: bool) -> list[Path]:
    """Download what is not cached; check every wheel against the lock."""
    lock = json.loads(LOCK.read_text(encoding="utf-8"))
    found = []
    for name, version in lock["versions"].items():
        folder = cache / target.platform / target.python
        known = sorted(folder.glob(f"{name}-{version}-*.whl"))
        if not known:
            folder.mkdir(parents=True, exist_ok=True)
            download(f"{name}=={version}", target, folder)
            known = sorted(folder.glob(f"{name}-{version}-*.whl"))
        digest = hashlib.sha256(known[0].read_bytes()).hexdigest()
        if update:
            lock["sha256"][known[0].name] = digest
        elif lock["sha256"].get(known[0].name) != digest:
            raise SystemExit(f"{known[0].name} is not the file that {LOCK.name} names.")
        found.append(known[0])
    if update:
        lock["sha256"] = dict(sorted(lock["sha256"].items()))
        LOCK.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    return found


def download(requirement: str, target: Target, folder: Path) -> None:
    """Fetch one wheel of another platform with pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation=cp", f"--dest={folder}"]
    command += [f"--python-version={target.python.removeprefix('cp')}"]
    command += [f"--abi={abi}" for abi in (target.python, "abi3", "none")]
    command += [f"--platform={tag}" for tag in PLATFORMS[target.platform]]
    subprocess.run([*command, requirement], check=True)


def manifest(target: Target, version: str, wheels: list[str]) -> str:
    """Fill in the manifest for one zip."""
    source = tomllib.loads((ADDON / "blender_manifest.toml").read_text(encoding="utf-8"))
    tables = {key: value for key, value in source.items() if isinstance(value, dict)}
    plain = {key: value for key, value in source.items() if key not in tables}
    plain |= {"version": version, "blender_version_min": target.blender_min}
    if target.blender_max:
        plain["blender_version_max"] = target.blender_max
    plain |= {"platforms": [target.platform], "wheels": [f"./wheels/{name}" for name in wheels]}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    for key, table in tables.items():
        lines += ["", f"[{key}]"]
        lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(lines) + "\n"


def addon_files() -> dict[str, bytes]:
    """The add-on's own files, by an allow-list."""
    paths = [path for path in sorted(ADDON.rglob("*.py")) if path.name != "__main__.py"]
    paths.append(ADDON / "LICENSE")
    return {path.relative_to(ADDON).as_posix(): path.read_bytes() for path in paths}


def build(target: Target, out: Path, cache: Path, update: bool = False) -> Path:
    """Build one zip and give its path."""
    version = project_version()
    name, backend = backend_wheel(version)
    wheels = {path.name: slimmed(path) for path in wheels_for(target, cache, update)}
    wheels[name] = backend
    files = addon_files()
    files["blender_manifest.toml"] = manifest(target, version, sorted(wheels)).encode()
    out.mkdir(parents=True, exist_ok=True)
    path = out / target.zip_name(version)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in sorted(files.items()):
            add(archive, member, data)
        for wheel, data in sorted(wheels.items()):
            add(archive, f"wheels/{wheel}", data, stored=True)
    report(path, {**wheels, "the add-on itself": b"".join(files.values())})
    return path


def report(path: Path, parts: dict[str, bytes]) -> None:
    """Print the size of a zip and of what is in it."""
    size = path.stat().st_size
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}  {size / 1e6:.1f} MB  sha256 {digest[:16]}")
    for name, data in sorted(parts.items(), key=lambda part: -len(part[1])):
        print(f"    {len(data) / 1e6:6.2f} MB  {name}")


def main(argv: list[str] | None = None) -> int:
    """Build what is asked for; without arguments, for this platform and both Pythons."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--platform", nargs="+", choices=[*PLATFORMS, "all"])
    parser.add_argument("--python", nargs="+", metavar="cp311", default=list(BLENDERS))
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--wheels", type=Path, default=ROOT / "build" / "wheels", metavar="CACHE")
    parser.add_argument("--blender-min", help="for a Blender with another Python than the official")
    parser.add_argument("--blender-max", default=None)
    parser.add_argument("--update-lock", action="store_true", help=f"rewrite {LOCK.name}")
    arguments = parser.parse_args(argv)
    platforms = arguments.platform or [this_platform()]
    platforms = list(PLATFORMS) if "all" in platforms else platforms
    for name in platforms:
        for python in arguments.python:
            first, last = BLENDERS.get(python, ("4.2.0", ""))
            first = arguments.blender_min or first
            last = last if arguments.blender_max is None else arguments.blender_max
            target = Target(name, python, first, last)
            build(target, arguments.out, arguments.wheels, arguments.update_lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
