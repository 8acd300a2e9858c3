# SPDX-License-Identifier: Apache-2.0
"""An unfinished store: every clip is appended, then told in a journal, so that a kill costs one.

What the journal does not tell is cut off on the next start. The checksums of what it tells are
read again then: after a power cut a journal may know of bytes that never reached the disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from training.data.checks import Sample
from training.data.clips import N_BETAS, N_MOTION, BadClip, Found, SourceError
from training.data.store import AUDIO, BETAS, FILES, MOTION, StoredClip, crc_of, expected_bytes

JOURNAL = "journal.jsonl"
Signature = list[list[Any]]


@dataclasses.dataclass(frozen=True)
class Line:
    """What became of a clip: ``kept``, or the code and sentence of why it was ``skipped``."""

    stem: str
    signature: Signature
    kept: StoredClip | None = None
    skipped: tuple[str, str] | None = None

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def parse(cls, text: str) -> Line:
        """Read a line back; raises ValueError, KeyError or TypeError where it is damaged."""
        described = json.loads(text)
        kept, skipped = described["kept"], described["skipped"]
        return cls(
            described["stem"],
            described["signature"],
            StoredClip.from_json(kept) if kept else None,
            tuple(skipped) if skipped else None,
        )


def signature_of(found: Found, source: Path) -> Signature:
    """Name, size and time of change of a clip's files: whether they are still what was read."""
    signature: Signature = []
    for path in (found.motion, found.audio):
        if path is not None:
            inside = path.is_relative_to(source)
            stat = path.stat()
            name = path.relative_to(source).as_posix() if inside else path.name
            signature.append([name, stat.st_size, stat.st_mtime_ns])
    return signature


def read_journal(folder: Path) -> tuple[dict[str, Any] | None, list[Line]]:
    """Header and whole lines; the first damaged or cut line ends it."""
    try:
        text = (folder / JOURNAL).read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None, []
    whole = text[: text.rfind("\n") + 1].split("\n")[:-1]
    lines: list[Line] = []
    try:
        header = json.loads(whole[0])
        for line in whole[1:]:
            lines.append(Line.parse(line))
    except IndexError:
        return None, []
    except (ValueError, KeyError, TypeError):
        return (header, lines) if len(whole) > 1 and lines else (None, [])
    return header, lines


class Journal:
    """The open files of an unfinished store, at the end of ``lines``."""

    def __init__(self, folder: Path, header: dict[str, Any], lines: list[Line]) -> None:
        self.lines = lines
        self._folder = folder
        told = [json.dumps(header), *(line.text() for line in lines)]
        part = folder / f"{JOURNAL}.part"
        part.write_text("".join(f"{text}\n" for text in told), encoding="utf-8")
        os.replace(part, folder / JOURNAL)
        self._journal: BinaryIO = (folder / JOURNAL).open("ab")
        self._files: dict[str, BinaryIO] = {}
        for name, size in expected_bytes(self.kept).items():
            file = (folder / name).open("ab")
            file.truncate(size)
            file.seek(0, os.SEEK_END)
            self._files[name] = file

    @property
    def kept(self) -> list[StoredClip]:
        """Clips that are in the store so far."""
        return [line.kept for line in self.lines if line.kept]

    def keep(self, found: Found, signature: Signature, sample: Sample) -> None:
        """Append a clip."""
        sizes = {name: file.tell() for name, file in self._files.items()}
        clip = StoredClip(
            stem=found.stem,
            **dataclasses.asdict(found.name),
            first=sizes[MOTION] // (4 * N_MOTION),
            count=len(sample.motion),
            first_sample=sizes[AUDIO] // 2,
            n_samples=sample.audio.size,
            crc32=crc_of(sample.motion, sample.betas, sample.audio),
            motion_frames=sample.motion_frames,
            audio_frames=sample.audio_frames,
            notes=sample.notes,
        )
        self._append(MOTION, sample.motion.astype("<f4", copy=False))
        self._append(AUDIO, sample.audio.astype("<i2", copy=False))
        self._append(BETAS, sample.betas.astype("<f4", copy=False))
        self._tell(Line(found.stem, signature, kept=clip))

    def skip(self, found: Found, signature: Signature, why: BadClip) -> None:
        """Note that a clip is left out."""
        self._tell(Line(found.stem, signature, skipped=(why.code, why.message)))

    def close(self) -> None:
        """Bring everything onto the disk."""
        for file in (*self._files.values(), self._journal):
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def _append(self, name: str, array: np.ndarray) -> None:
        self._files[name].write(array.tobytes())
        self._files[name].flush()

    def _tell(self, line: Line) -> None:
        self._journal.write(f"{line.text()}\n".encode())
        self._journal.flush()
        self.lines.append(line)


def intact(folder: Path, lines: list[Line]) -> list[Line]:
    """Lines from the start whose clips lie in the files as they were written."""
    good: list[Line] = []
    with contextlib.ExitStack() as stack:
        try:
            files = {name: stack.enter_context((folder / name).open("rb")) for name in FILES}
        except FileNotFoundError:
            return [] if any(line.kept for line in lines) else lines
        for line in lines:
            clip = line.kept
            if clip is not None:
                motion = np.frombuffer(files[MOTION].read(4 * N_MOTION * clip.count), "u1")
                audio = np.frombuffer(files[AUDIO].read(2 * clip.n_samples), "u1")
                betas = np.frombuffer(files[BETAS].read(4 * N_BETAS), "u1")
                if motion.size % 4 or audio.size % 2 or betas.size % 4:
                    break
                crc = crc_of(motion.view("<f4"), betas.view("<f4"), audio.view("<i2"))
                if crc != clip.crc32:
                    break
            good.append(line)
    return good


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold an unfinished store for oneself; a lock ends with its process, also when killed."""
    try:
        import fcntl
    except ImportError:  # Windows: a second writer fails at the files instead
        yield
        return
    with (folder / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SourceError(f"{folder.name} is being prepared by another process") from error
        yield
