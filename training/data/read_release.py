# SPDX-License-Identifier: Apache-2.0
"""3DMEAD as EMOTE released it, with MEAD's own sound.

Motion: ``EMICA-MEAD_flame2020/<SUBJ>/front/<emotion>/level_<n>/<sentence>/shape_pose_cam.hdf5``.
Sound (wav, m4a, or the track of an mp4): beside the motion, or in MEAD's tree
``<SUBJ>/audio/<emotion>/level_<n>/<sentence>.m4a``, found in the source, beside it or as stated.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.data.checks import LONGEST_FRAMES, as_float32, check_fps, check_track
from training.data.clips import (
    DAMAGE,
    EMOTIONS,
    MEAD_FLAME_VERSION,
    N_BETAS,
    N_EXPRESSION,
    SOUNDS,
    BadClip,
    ClipName,
    Face,
    Found,
    Listing,
    PrepareConfig,
    SourceError,
    Track,
    sounds_of,
    stated_face,
)

MOTION_FILE = "shape_pose_cam.hdf5"
_TREE = re.compile(r"EMICA-MEAD_flame(\d{4})")
_PLACE = re.compile(r"level_([1-3])")
# Where people keep MEAD's sound: {subject}, {emotion}, {level}; the sentence is the file's stem.
_SOUND_FOLDERS = (
    "{subject}/audio/{emotion}/{level}",
    "{subject}/front/{emotion}/{level}",
    "audio/{subject}/audio/{emotion}/{level}",
    "audio/{subject}/front/{emotion}/{level}",
    "{subject}/video/front/{emotion}/{level}",
)


def trees_of(source: Path) -> list[Path]:
    """Folders of subjects: the source itself, or the released trees in it."""
    named = sorted(p for p in source.glob("EMICA-MEAD*") if p.is_dir())
    return named or ([source] if next(source.glob("*/front"), None) else [])


def list_release(source: Path, config: PrepareConfig) -> Listing:
    """List every sentence folder of the front view."""
    if importlib.util.find_spec("h5py") is None:
        raise SourceError('EMOTE\'s files are HDF5: pip install "lsf-animation[train]" (h5py)')
    trees = trees_of(source)
    faces = {Face("flame", _version(tree)) for tree in trees}
    if len(faces) != 1:
        told = " and ".join(sorted(str(face) for face in faces))
        raise SourceError(f"{source.name} holds {told or 'no tree of 3DMEAD'}; prepare one of them")
    face = stated_face(config, faces.pop())
    roots = [config.audio] if config.audio else [source, *trees, source.parent]
    clips: list[Found] = []
    left_out: list[str] = []
    for tree in trees:
        for folder in _sentences(tree, left_out):
            subject, _, emotion, level, sentence = folder.relative_to(tree).parts
            name = ClipName(subject, sentence, EMOTIONS.index(emotion), int(level[6:]) - 1)
            motion = folder / MOTION_FILE
            sound = _sound(folder, roots, subject, emotion, level)
            clips.append(Found(name.stem, name, motion if motion.is_file() else None, sound))
    clips.sort(key=lambda found: found.stem)

    def read(found: Found) -> Track:
        assert found.motion is not None
        return _read(found.motion, face)

    return Listing("release", face, tuple(clips), read, tuple(left_out))


def _version(tree: Path) -> str:
    named = _TREE.search(tree.resolve().name)
    return named[1] if named else MEAD_FLAME_VERSION


def _sentences(tree: Path, left_out: list[str]) -> Iterator[Path]:
    for emotion in sorted(tree.glob("*/front/*")):
        if emotion.is_dir() and emotion.name not in EMOTIONS:
            left_out.append(f"{emotion.relative_to(tree)}: no emotion of 3DMEAD")
            continue
        for level in sorted(emotion.glob("level_*")):
            if not _PLACE.fullmatch(level.name):
                left_out.append(f"{level.relative_to(tree)}: levels are 1, 2 and 3")
                continue
            # A sound file may lie beside the sentence folders.
            yield from (p for p in sorted(level.iterdir()) if p.is_dir() and p.name[0] != ".")


def _sound(folder: Path, roots: list[Path], subject: str, emotion: str, level: str) -> Path | None:
    stem = folder.name
    beside = sounds_of(folder, "audio") or sounds_of(folder, stem)
    if beside is None:
        others = (p for p in sorted(folder.iterdir()) if not p.name.startswith("."))
        beside = next((p for p in others if p.suffix.lower() in SOUNDS), None)
    if beside is not None:
        return beside
    for root in roots:
        for pattern in _SOUND_FOLDERS:
            place = root / pattern.format(subject=subject, emotion=emotion, level=level)
            if found := sounds_of(place, stem):
                return found
    return None


def _read(path: Path, face: Face) -> Track:
    import h5py  # not at the top: only this layout needs it

    try:
        with h5py.File(path, "r") as file:
            if "fps" in file.attrs:
                check_fps(path, float(file.attrs["fps"]))
            shape = _rows(path, file, "shape", (N_BETAS,))
            expression = _rows(path, file, "exp", (100, N_EXPRESSION))[:, :N_EXPRESSION]
            jaw = _rows(path, file, "jaw", (3,))
    except DAMAGE as error:
        # h5py says "truncated file" or "bad object header"; its words are for programmers.
        raise BadClip("motion_unreadable", f"{path} is truncated, damaged or no HDF5.") from error
    counts = {len(expression), len(jaw)} | ({len(shape)} if len(shape) != 1 else set())
    if len(counts) != 1:
        told = f"{len(shape)} shapes, {len(expression)} expressions and {len(jaw)} jaws"
        raise BadClip("motion_lengths", f"{path} holds {told}.")
    motion = np.concatenate([expression, jaw], axis=1)
    check_track(path, motion, shape)
    return Track(motion, shape, face)


def _rows(path: Path, file: Any, key: str, widths: tuple[int, ...]) -> np.ndarray:
    """Read a data set [1, T, width] or [T, width] as [T, width] float32, after its shape."""
    import h5py

    data = file.get(key, getlink=True)
    if data is None:
        raise BadClip("motion_keys", f"{path} has no {key!r}.")
    # A link could make us read another file; a released one holds its numbers itself.
    if not isinstance(data, h5py.HardLink) or not isinstance(file[key], h5py.Dataset):
        raise BadClip("motion_keys", f"{path} does not hold {key!r} itself.")
    data = file[key]
    if data.is_virtual or data.external:
        raise BadClip("motion_keys", f"{path} does not hold {key!r} itself.")
    shape = data.shape[1:] if len(data.shape) == 3 and data.shape[0] == 1 else data.shape
    if len(shape) != 2 or shape[1] not in widths or data.dtype.kind != "f":
        told = f"{data.dtype} {list(data.shape)} as {key!r} instead of [1, T, {widths[0]}]"
        raise BadClip("motion_columns", f"{path} holds {told}.")
    if not 0 < shape[0] <= LONGEST_FRAMES:
        raise BadClip("motion_empty", f"{path} has {shape[0]} frames of {key!r}.")
    return as_float32(data[()]).reshape(shape)
