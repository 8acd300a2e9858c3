# SPDX-License-Identifier: Apache-2.0
"""Read a source clip by clip into one store, and say what was left out and why.

The work is done in ``OUT.unfinished``, which becomes ``OUT`` in one step when all is there: a
folder of that name is always whole. A second run goes on where the first was cut off.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.data.checks import complete, fit, read_audio
from training.data.clips import BadClip, Found, Listing, PrepareConfig, SourceError
from training.data.journal import (
    JOURNAL,
    Journal,
    Line,
    Signature,
    intact,
    only_one,
    read_journal,
    signature_of,
)
from training.data.layouts import list_source
from training.data.report import Report, write_report
from training.data.store import FACTS, Store, facts_of

log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]


def prepare(
    source: Path, out: Path, config: PrepareConfig, progress: Progress | None = None
) -> Report:
    """Make the store ``out`` from ``source``; raises SourceError, or BadClip under ``refuse``."""
    listing = list_source(source, config)
    signatures = [signature_of(found, source) for found in listing.clips]
    header = _header(source, listing, config)
    if _occupied(out):
        return _already(out, header, listing, signatures, config)
    work = out.with_name(f"{out.name}.unfinished")
    try:
        work.mkdir(parents=True, exist_ok=True)
        with only_one(work):
            lines = _resumed(work, header, listing, signatures, config)
            journal = Journal(work, header, lines)
            try:
                _read_all(journal, listing, signatures, config, source, progress)
            finally:
                journal.close()
            report = Report.of(header, journal.lines, listing.left_out)
            write_report(work, report)
            if not report.kept:
                raise SourceError(
                    f"none of the {len(listing.clips)} clips of {source} can be used; "
                    f"{work.name}/report.md says why"
                )
            _write_json(work / FACTS, facts_of(listing.face, journal.kept, header))
        (work / "lock").unlink(missing_ok=True)
        if out.is_dir():  # empty, as was checked; not every system renames over a folder
            out.rmdir()
        os.rename(work, out)
    except OSError as error:
        told = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise SourceError(
            f"{work} cannot be written: {told}; run the same command again to go on"
        ) from error
    return report


def _header(source: Path, listing: Listing, config: PrepareConfig) -> dict[str, Any]:
    """What must be the same for a run to go on with what another one began."""
    return {
        "source": source.resolve().name,
        "layout": listing.layout,
        "face_space": listing.face.space,
        "flame_version": listing.face.flame_version,
        "betas": config.betas,
        "subject": config.subject,
        "fps": config.fps,
        "tolerance_s": config.tolerance_s,
    }


def _read_all(
    journal: Journal,
    listing: Listing,
    signatures: list[Signature],
    config: PrepareConfig,
    source: Path,
    progress: Progress | None,
) -> None:
    total = len(listing.clips)
    for number in range(len(journal.lines), total):
        found = listing.clips[number]
        try:
            complete(found)
            track = listing.read(found)
            if track.face != listing.face:
                raise SourceError(f"{found.stem} is of {track.face}, the others of {listing.face}")
            assert found.audio is not None
            audio = read_audio(found.audio)
            sample = fit(found, track, audio, config.tolerance_s, config.betas)
        except BadClip as error:
            why = BadClip(error.code, _placed(error.message, found, source))
            if config.on_bad == "refuse":
                raise why from error
            log.warning("left out: %s", why.message)
            journal.skip(found, signatures[number], why)
        else:
            journal.keep(found, signatures[number], sample)
        if progress is not None:
            progress(number + 1, total)


def _placed(message: str, found: Found, root: Path) -> str:
    """Message that names a file by its place: thousands are called ``shape_pose_cam.hdf5``."""
    for path in (found.motion, found.audio):
        if path is not None and str(path) not in message:
            inside = path.is_relative_to(root)
            place = path.relative_to(root).as_posix() if inside else str(path)
            message = message.replace(path.name, place)
    return message


def _resumed(
    work: Path,
    header: dict[str, Any],
    listing: Listing,
    signatures: list[Signature],
    config: PrepareConfig,
) -> list[Line]:
    """What an earlier run has done that still holds: the clips before the first difference."""
    (work / FACTS).unlink(missing_ok=True)
    found, lines = read_journal(work)
    if found is None:
        return []
    _same_header(work, found, header)
    same = _unchanged(lines, listing.clips, signatures)
    if config.on_bad == "refuse":
        bad = next((i for i, line in enumerate(same) if line.skipped), len(same))
        same = same[:bad]
    good = intact(work, same)
    log.info("goes on after %d of %d clips", len(good), len(listing.clips))
    return good


def _unchanged(
    lines: list[Line], clips: tuple[Found, ...], signatures: list[Signature]
) -> list[Line]:
    count = 0
    for line, found, signature in zip(lines, clips, signatures, strict=False):
        if (line.stem, line.signature) != (found.stem, signature):
            break
        count += 1
    return lines[:count]


def _same_header(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    different = sorted(key for key in wanted if found.get(key) != wanted[key])
    if different:
        told = ", ".join(f"{k} was {found.get(k)!r}, now {wanted[k]!r}" for k in different)
        raise SourceError(f"{folder.name} was made otherwise ({told}); choose another folder")


def _occupied(out: Path) -> bool:
    if out.exists() and not out.is_dir():
        raise SourceError(f"{out} is a file")
    return out.is_dir() and any(out.iterdir())


def _already(
    out: Path,
    header: dict[str, Any],
    listing: Listing,
    signatures: list[Signature],
    config: PrepareConfig,
) -> Report:
    """Report of a store that is there, if it is this one; nothing is ever written over."""
    if not (out / FACTS).is_file() or not (out / JOURNAL).is_file():
        raise SourceError(f"{out} is not empty and no store; choose another folder")
    Store.open(out)
    found, lines = read_journal(out)
    _same_header(out, found or {}, header)
    if len(_unchanged(lines, listing.clips, signatures)) != max(len(lines), len(listing.clips)):
        raise SourceError(f"{out} holds a store of files that have changed; choose another folder")
    report = dataclasses.replace(Report.of(header, lines, listing.left_out), was_there=True)
    if config.on_bad == "refuse" and report.skipped:
        raise BadClip(report.skipped[0][1], report.skipped[0][2])
    return report


def _write_json(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
