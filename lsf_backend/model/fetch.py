# SPDX-License-Identifier: Apache-2.0
"""Download HuBERT and emotion2vec, on request only: pinned revision, digest, resume, progress.

This is the one place that goes to the network, and nothing calls it but ``lsf fetch-models``. A
file is kept only if its SHA-256 is the pinned one, or one that the person gives. The digest of
HuBERT is the one that several public projects state for this revision; for emotion2vec none is
known to us, so it has to be given, or the file accepted as it comes; what came is written down.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from lsf_backend.errors import LsfError
from lsf_backend.model.weight_folders import EMOTION2VEC_FOLDER, HUBERT_FOLDER, models_folder

_BLOCK = 1 << 20
_TIMEOUT_S = 30.0
RECORD_FILE = "source.json"


@dataclasses.dataclass(frozen=True)
class Source:
    """One file to fetch. ``sha256`` is None where no digest is known to us."""

    name: str
    folder: str
    file: str
    url: str
    revision: str
    licence: str
    sha256: str | None = None
    size_bytes: int | None = None


SOURCES = (
    Source(
        name="hubert",
        folder=HUBERT_FOLDER,
        file="pytorch_model.bin",
        url="https://huggingface.co/facebook/hubert-base-ls960/resolve/"
        "dba3bb02fda4248b6e082697eee756de8fe8aa8a/pytorch_model.bin",
        revision="dba3bb02fda4248b6e082697eee756de8fe8aa8a",
        licence="Apache-2.0",
        sha256="062249fffb353eab67547a2fbc129f7c31a2f459faf641b19e8fb007cc5c48ad",
        size_bytes=377_569_754,
    ),
    Source(
        name="emotion2vec",
        folder=EMOTION2VEC_FOLDER,
        file="emotion2vec_base.pt",
        url="https://huggingface.co/emotion2vec/emotion2vec_base/resolve/"
        "0c9a3152734f9d7a7a05b4ee6bfb3c109d288664/emotion2vec_base.pt",
        revision="0c9a3152734f9d7a7a05b4ee6bfb3c109d288664",
        licence="FunASR model licence; see the model's page",
    ),
)

Report = Callable[[str, int, int | None], None]


def fetch_models(
    folder: Path | None = None,
    digests: Mapping[str, str] | None = None,
    accept_unverified: bool = False,
    sources: tuple[Source, ...] = SOURCES,
    report: Report | None = None,
) -> list[Path]:
    """Download what is missing into the models folder; returns the files.

    ``digests`` maps a source's name to a SHA-256 that goes before the pinned one. Without any
    digest a source is refused unless ``accept_unverified``. ``report(name, bytes_done,
    bytes_total)`` replaces the progress bar. A file that holds more than tensors is converted.
    """
    root = folder or models_folder()
    digests = dict(digests or {})
    for source in sources:
        if not (digests.get(source.name) or source.sha256 or accept_unverified):
            raise LsfError(
                "request_invalid",
                f"No digest is known for {source.name}, so what comes cannot be checked.",
                f"Give its SHA-256 (--digest {source.name}=...), accept it as it comes "
                f"(--accept-unverified), or place {source.file} in {root / source.folder} "
                "yourself.",
            )
    files = [
        _fetch(source, root / source.folder, digests.get(source.name) or source.sha256, report)
        for source in sources
    ]
    return [_readable(file) for file in files]


def _fetch(source: Source, folder: Path, sha256: str | None, report: Report | None) -> Path:
    target = folder / source.file
    part = folder / (source.file + ".part")
    if target.is_file():
        _check(target, source, sha256)
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(source, part, report)
        _check(part, source, sha256)
        os.replace(part, target)
        record = {**dataclasses.asdict(source), "sha256": _digest(target), "checked": bool(sha256)}
        (folder / RECORD_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except urllib.error.HTTPError as error:
        raise LsfError(
            "model_missing",
            f"The server refused {source.url} ({error.code} {error.reason}).",
            _by_hand(source, folder),
        ) from error
    except urllib.error.URLError as error:
        raise LsfError(
            "model_missing",
            f"{source.name} cannot be downloaded: there is no way to its server ({error.reason}).",
            _by_hand(source, folder),
        ) from error
    except (OSError, ValueError) as error:
        raise LsfError(
            "model_missing",
            f"The download of {source.name} broke off: {error}.",
            "Run it again: it goes on where it stopped. " + _by_hand(source, folder),
        ) from error
    return target


def _download(source: Source, part: Path, report: Report | None) -> None:
    """Fetch into ``part``, going on where an earlier try stopped."""
    have = part.stat().st_size if part.exists() else 0
    if source.size_bytes is not None and have >= source.size_bytes:
        return
    headers = {"User-Agent": "lsf-animation", **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(source.url, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        start = have if resumed else 0
        total = start + int(length) if length else source.size_bytes
        with part.open("ab" if resumed else "wb") as file, _Bar(source.name, total, report) as bar:
            bar.at(start)
            while block := response.read(_BLOCK):
                file.write(block)
                start += len(block)
                bar.at(start)
    if total is not None and start < total:
        raise OSError(f"{start} of {total} bytes came")


def _check(path: Path, source: Source, sha256: str | None) -> None:
    if sha256 is None:
        return
    found = _digest(path)
    if found != sha256.lower():
        if path.suffix == ".part":
            path.unlink()
        raise LsfError(
            "model_invalid",
            f"{source.file} of {source.name} is not the expected file: its SHA-256 is {found}, "
            f"not {sha256.lower()}.",
            "Delete it and fetch it again, or give the digest of the file that you trust.",
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _readable(file: Path) -> Path:
    """The file, or a copy of its tensors where it also holds objects that are never opened."""
    if file.suffix != ".pt":
        return file
    from lsf_backend.model.convert import extract_file
    from lsf_backend.model.state_files import read_tensors

    copy = file.with_name("model.safetensors")
    if copy.exists():
        return copy
    try:
        read_tensors(file)
    except LsfError:
        extract_file(file, copy)
        return copy
    return file


def _by_hand(source: Source, folder: Path) -> str:
    return f"To do it by hand, download {source.url} elsewhere and place it in {folder}."


class _Bar:
    """A progress bar, or the caller's own report."""

    def __init__(self, name: str, total: int | None, report: Report | None) -> None:
        from tqdm import tqdm

        self._name, self._total, self._report = name, total, report
        self._bar = None
        if report is None:
            self._bar = tqdm(total=total, desc=name, unit="B", unit_scale=True, unit_divisor=1024)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def at(self, done: int) -> None:
        """Say how many bytes are here."""
        if self._report is not None:
            self._report(self._name, done, self._total)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
