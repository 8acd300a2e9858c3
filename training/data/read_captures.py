# SPDX-License-Identifier: Apache-2.0
"""One's own captures: sound and motion files of the same name, in folders as deep as you like.

Motion is ``.npy`` [T, 53], ``.npz`` (a take of ours, or ``motion`` [T, 53] with optional ``fps``,
``face_space``, ``flame_version``, ``betas``), or a Live Link Face ``.csv``. Identities may lie in
``betas/<subject>.npy`` [300]. Without names such as ``<subject>_<sentence>_<emotion>_<intensity>``
all takes are of one person, because a split by subject must not tear one person apart.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.errors import LsfError
from lsf_backend.exchange.live_link_in import read_live_link
from lsf_backend.exchange.npz_in import read_take
from lsf_backend.exchange.performance import MAX_FILE_BYTES
from lsf_backend.timing import MOTION_FPS, resample_times_frames
from training.data.checks import as_float32, check_track
from training.data.clips import (
    DAMAGE,
    N_BETAS,
    SOUNDS,
    BadClip,
    ClipName,
    Face,
    Found,
    Listing,
    PrepareConfig,
    SourceError,
    Track,
    stated_face,
)
from training.data.read_cache import load_array

MOTIONS = (".npy", ".npz", ".csv")
# Live Link Face writes these beside a take; they are the same frames, in other units.
_COPIES = ("_raw", "_cal", "_neutral")


def is_captures(source: Path) -> bool:
    """Tell whether a folder holds a motion file of a known kind and a sound."""
    kinds = {path.suffix.lower() for path in source.rglob("*") if path.is_file()}
    return bool(kinds & set(MOTIONS)) and bool(kinds & set(SOUNDS))


def list_captures(source: Path, config: PrepareConfig) -> Listing:
    """List stems (paths without their ending) that have motion, sound or both."""
    files: dict[str, list[Path]] = {}
    left_out = []
    for path in sorted(source.rglob("*")):
        kind = path.suffix.lower()
        inside = path.relative_to(source)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or kind not in (*MOTIONS, *SOUNDS) or inside.parts[0] == "betas":
            continue
        if kind == ".csv" and not _has_timecodes(path):
            left_out.append(f"{inside.as_posix()}: no Timecode column, so no Live Link Face file")
        elif path.is_file():
            files.setdefault(inside.with_suffix("").as_posix(), []).append(path)
    clips = []
    for stem, paths in sorted(files.items()):
        if any(stem.endswith(c) and stem.removesuffix(c) in files for c in _COPIES):
            left_out.append(f"{stem}: a copy of a take, by its name")
            continue
        clips.append(_found(stem, paths, config))
    face = _common_face(clips, config)
    fps = config.fps
    return Listing(
        "captures", face, tuple(clips), lambda f: _read(f, face, fps, source), tuple(left_out)
    )


def _has_timecodes(path: Path) -> bool:
    """Tell a capture from other tables; a file that cannot be read is left to its reader."""
    try:
        with path.open("rb") as file:
            return b"timecode" in file.readline(1 << 16).lower()
    except OSError:
        return True


def _found(stem: str, paths: list[Path], config: PrepareConfig) -> Found:
    motions = [path for path in paths if path.suffix.lower() in MOTIONS]
    sounds = sorted(
        (path for path in paths if path.suffix.lower() in SOUNDS),
        key=lambda path: SOUNDS.index(path.suffix.lower()),
    )
    name = ClipName.parse(stem.rpartition("/")[2]) or ClipName(config.subject or "actor", stem)
    fault = None
    if len(motions) > 1:
        told = " and ".join(path.name for path in motions)
        fault = ("motion_doubled", f"{stem} has several motion files: {told}.")
    return Found(stem, name, motions[0] if motions else None, sounds[0] if sounds else None, fault)


def _common_face(clips: list[Found], config: PrepareConfig) -> Face:
    """Face of all motion files; a mix is refused before anything is read."""
    seen: dict[Face, str] = {}
    silent = [found for found in clips if found.motion is not None]
    for found in clips:
        if found.motion is not None and (face := _face_of(found.motion)) is not None:
            seen.setdefault(face, found.motion.name)
            silent.remove(found)
    if len(seen) > 1:
        told = ", ".join(f"{name} is of {face}" for face, name in sorted(seen.items(), key=str))
        raise SourceError(f"faces do not mix in one store: {told}")
    if seen and (config.face_space is not None or not silent):
        return stated_face(config, next(iter(seen)))
    if config.face_space is None:
        raise SourceError(
            f"nothing says what face {silent[0].stem if silent else 'this'} is of: state "
            "--face-space head, or --face-space flame --flame-version 2020"
        )
    return Face(config.face_space, config.flame_version).checked()


def _face_of(path: Path) -> Face | None:
    """Face that a file itself names, if any; damage is found later, when it is read."""
    if path.suffix.lower() == ".csv":
        return Face("head")
    if path.suffix.lower() == ".npy":
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _named_face(stored)
    except DAMAGE:
        return None


def _named_face(stored: Any) -> Face | None:
    if "face_space" not in stored.files:
        return None
    version = str(stored["flame_version"]) if "flame_version" in stored.files else None
    return Face(str(stored["face_space"]), version)


def _read(found: Found, face: Face, fps: float, source: Path) -> Track:
    path = found.motion
    assert path is not None
    kind, betas = path.suffix.lower(), None
    notes: tuple[str, ...] = ()
    try:
        if kind == ".csv":
            performance = read_live_link(path)
            motion, notes = performance.to_take().motion, performance.warnings
        elif kind == ".npy":
            motion = _at_model_fps(path, as_float32(load_array(path)), fps)
        else:
            motion, betas = _read_npz(path, fps)
    except LsfError as error:
        raise BadClip("motion_unreadable", error.message) from error
    if betas is None:
        betas = _betas_of(source, found.name.subject)
    check_track(path, motion, betas)
    return Track(motion, betas, face, tuple(notes))


def _read_npz(path: Path, fps: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Motion and betas of a plain .npz; its numbers are checked by the caller."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > MAX_FILE_BYTES:
                raise BadClip("too_long", f"{path.name} unpacks to over {MAX_FILE_BYTES >> 20} MB.")
        with np.load(path, allow_pickle=False) as stored:
            if "expression" in stored.files:
                return read_take(path).motion, None
            if "motion" not in stored.files:
                raise BadClip("motion_keys", f"{path.name} has neither motion nor expression.")
            fps = float(stored["fps"]) if "fps" in stored.files else fps
            motion = _at_model_fps(path, as_float32(stored["motion"]), fps)
            if "betas" not in stored.files:
                return motion, None
            betas = as_float32(stored["betas"])
    except DAMAGE as error:
        raise BadClip("motion_unreadable", f"{path.name} is damaged or no .npz file.") from error
    return motion, betas.reshape(1, -1) if betas.ndim == 1 else betas


def _at_model_fps(path: Path, motion: np.ndarray, fps: float) -> np.ndarray:
    """Motion at a stated rate -> [T, 53] at 25 fps, linearly between two frames."""
    if not 1.0 <= fps <= 240.0:
        raise BadClip("wrong_fps", f"{path.name} is at {fps:g} fps; 1 to 240 are accepted.")
    check_track(path, motion, None)
    if abs(fps - MOTION_FPS) < 1e-3:
        return motion
    at = resample_times_frames(len(motion), fps, MOTION_FPS)
    if not len(at):
        raise BadClip("motion_empty", f"{path.name} is shorter than a frame of {MOTION_FPS} fps.")
    source = np.arange(len(motion))
    return np.stack([np.interp(at, source, column) for column in motion.T], axis=1).astype("f4")


def _betas_of(source: Path, subject: str) -> np.ndarray | None:
    path = source / "betas" / f"{subject}.npy"
    if not path.is_file():
        return None
    betas = as_float32(load_array(path)).reshape(-1)
    if betas.size != N_BETAS:
        raise BadClip("betas_columns", f"betas/{path.name} holds {betas.size} numbers, not 300.")
    return betas[None]
