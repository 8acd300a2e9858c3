# SPDX-License-Identifier: Apache-2.0
"""A cache of 3DMEAD as ProbTalk3D lays it out: ``param/<stem>.npy`` [1, T, 403] and ``wav/``.

403 columns are 300 shape, 100 expression and 3 jaw; the model uses 50 of the expression. The corpus
of the bundled model has the same layout, with motion of the bundled head.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.data.checks import LONGEST_FRAMES, as_float32, check_track
from training.data.clips import (
    DAMAGE,
    MEAD_FLAME_VERSION,
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
from training.data.subjects import MEAD

N_PARAM = 403


def is_cache(source: Path) -> bool:
    """Tell whether a folder has this layout."""
    return (source / "param").is_dir()


def list_cache(source: Path, config: PrepareConfig) -> Listing:
    """List pairs by stem, and halves of pairs."""
    sound_folder = config.audio or source / "wav"
    stems = {path.stem for path in (source / "param").glob("*.npy")}
    if sound_folder.is_dir():
        stems |= {p.stem for p in sound_folder.iterdir() if p.suffix.lower() in SOUNDS}
    clips, left_out = [], []
    for stem in sorted(stems):
        name = ClipName.parse(stem)
        if name is None:
            left_out.append(f"{stem}: not named <subject>_<sentence>_<emotion>_<intensity>")
            continue
        param = source / "param" / f"{stem}.npy"
        clips.append(
            Found(stem, name, param if param.is_file() else None, sounds_of(sound_folder, stem))
        )
    face = _face(source, config, {clip.name.subject for clip in clips})
    return Listing("cache", face, tuple(clips), lambda found: _read(found, face), tuple(left_out))


def _face(source: Path, config: PrepareConfig, subjects: set[str]) -> Face:
    if (source / "corpus.json").is_file():
        return stated_face(config, Face("head"))
    if subjects and subjects <= set(MEAD):
        return stated_face(config, Face("flame", MEAD_FLAME_VERSION))
    if config.face_space is None:
        raise SourceError(
            f"{source.name} is not 3DMEAD by its names: state --face-space, and for flame "
            "--flame-version"
        )
    return Face(config.face_space, config.flame_version).checked()


def _read(found: Found, face: Face) -> Track:
    assert found.motion is not None
    param = load_array(found.motion)
    if param.ndim == 3 and len(param) == 1:
        param = param[0]
    if param.ndim != 2 or param.shape[1] != N_PARAM:
        raise BadClip(
            "motion_columns",
            f"{found.motion.name} holds {list(param.shape)} instead of [1, T, {N_PARAM}] "
            "(300 shape, 100 expression, 3 jaw).",
        )
    if len(param) > LONGEST_FRAMES:
        raise BadClip("too_long", f"{found.motion.name} has {len(param)} frames.")
    # A mapped file is read here, once, and only the columns that are used.
    betas = as_float32(param[:, :300])
    motion = as_float32(np.concatenate([param[:, 300:350], param[:, 400:403]], axis=1))
    check_track(found.motion, motion, betas)
    return Track(motion, betas, face)


def load_array(path: Path) -> np.ndarray:
    """Map a plain array of numbers; nothing is unpickled, a truncated file raises BadClip."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise BadClip("motion_unreadable", f"{path.name} is damaged or no .npy file.") from error
    if not isinstance(array, np.ndarray):
        raise BadClip("motion_unreadable", f"{path.name} is not a .npy file.")
    if array.dtype.kind != "f":
        raise BadClip("motion_unreadable", f"{path.name} holds {array.dtype}, not numbers.")
    return array
