# SPDX-License-Identifier: Apache-2.0
"""FLAME files that people bring: 2020, 2023, 2023 without jaw, 2023 Open; ``.pkl`` or ``.npz``.

A file is checked array by array, its version is recognised and stored, and it is converted once to
a plain ``.npz`` in FLAME's own layout (float32, dense ``J_regressor``) in the user's cache folder.
Expression coefficients of different versions do not mean the same shapes, so a version is never
guessed silently: ``evidence`` says where it comes from.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import LsfError
from .flame_pickle import MAX_FILE_BYTES, UnsafePickle, load_pickle_arrays

FLAME_VERSIONS: tuple[str, ...] = ("2020", "2023", "2023-no-jaw", "2023-open", "unknown")
FLAME_VERTICES = 5023
FLAME_TRIANGLES = 9976
N_JOINTS = 5
# 300 of identity and 50 of expression are used; FLAME's files hold 400.
MIN_SHAPES, N_SHAPES = 350, 400

ARRAY_KEYS = (
    "v_template",
    "f",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "weights",
    "kintree_table",
)
_FORMAT = "lsf-flame-1"
_TEXT_KEYS = ("format", "version", "evidence", "source_sha256", "source_name")


@dataclasses.dataclass(frozen=True)
class FlameFile:
    """A checked FLAME model: ``arrays`` under FLAME's own names, float32 (indices int64).

    ``v_template`` [V, 3] m, ``f`` [F, 3], ``shapedirs`` [V, 3, 400] (300 identity, 100 expression),
    ``posedirs`` [V, 3, 36], ``J_regressor`` [5, V], ``weights`` [V, 5], ``kintree_table`` [2, 5].
    """

    arrays: dict[str, np.ndarray]
    version: str
    evidence: str
    source_sha256: str
    source_name: str

    @property
    def has_flame_topology(self) -> bool:
        """Whether vertices and triangles are as many as FLAME's."""
        sizes = self.arrays["v_template"].shape[0], self.arrays["f"].shape[0]
        return sizes == (FLAME_VERTICES, FLAME_TRIANGLES)


def read_flame(path: str | Path, version: str = "") -> FlameFile:
    """Read and check a FLAME ``.pkl`` or ``.npz``; ``version`` states what the name does not.

    Raises :class:`LsfError` (``model_missing`` or ``model_invalid``) with one sentence.
    """
    path = Path(path)
    if version and version not in FLAME_VERSIONS:
        raise LsfError(
            "request_invalid",
            f"There is no FLAME version {version!r}.",
            f"Known versions: {', '.join(FLAME_VERSIONS)}.",
        )
    data = _read_bytes(path)
    chumpy, texts = False, dict[str, str]()
    try:
        if data[:4] == b"PK\x03\x04":
            arrays, texts = _read_npz(data)
        else:
            arrays, chumpy = load_pickle_arrays(data, ARRAY_KEYS)
        arrays = _checked(arrays)
    except (UnsafePickle, zipfile.BadZipFile) as error:
        message = str(error) if isinstance(error, UnsafePickle) else "it is a damaged zip."
        raise LsfError(
            "model_invalid",
            f"{path.name} was refused: {message}",
            "Download the model again from flame.is.tue.mpg.de and choose that file.",
        ) from error
    found, evidence = _recognised(path, texts, chumpy, version)
    return FlameFile(
        arrays=arrays,
        version=found,
        evidence=evidence,
        source_sha256=texts.get("source_sha256") or hashlib.sha256(data).hexdigest(),
        source_name=texts.get("source_name") or path.name,
    )


def cache_folder() -> Path:
    """Folder for converted files: ``LSF_CACHE_DIR``, or the system's cache folder for this user."""
    chosen = os.environ.get("LSF_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lsf-animation"


def convert_flame(path: str | Path, version: str = "", folder: Path | None = None) -> Path:
    """Return the safe ``.npz`` of a FLAME file, converted now or earlier.

    The stored file needs no unpickling and loads with ``numpy.load(allow_pickle=False)``.
    """
    path = Path(path)
    folder = folder or cache_folder()
    if path.suffix == ".npz" and path.parent.resolve() == folder.resolve():
        read_flame(path, version)
        return path  # a safe copy already
    digest = hashlib.sha256(_read_bytes(path)).hexdigest()
    # The name takes part: two copies of one file may state different versions by their names.
    key = hashlib.sha256(f"{digest} {path.name} {version}".encode()).hexdigest()[:24]
    target = folder / f"flame-{key}.npz"
    if target.exists():
        try:
            if read_flame(target).source_sha256 == digest:
                return target
        except LsfError:
            pass  # a conversion that was cut short or altered is simply made again
    save_flame(read_flame(path, version), target)
    return target


def save_flame(flame: FlameFile, path: Path) -> None:
    """Write ``flame`` as ``.npz``, whole or not at all."""
    texts = {
        "format": _FORMAT,
        "version": flame.version,
        "evidence": flame.evidence,
        "source_sha256": flame.source_sha256,
        "source_name": flame.source_name,
    }
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **flame.arrays, **{key: np.array(text) for key, text in texts.items()})
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise LsfError(
            "output_unwritable",
            f"The converted FLAME file could not be written to {path.parent}: {error.strerror}.",
            "Free some space, or set LSF_CACHE_DIR to a folder that can be written.",
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise LsfError(
                "model_invalid",
                f"{path.name} has {size >> 20} MB; a FLAME file has about 50 MB.",
            )
        return path.read_bytes()
    except OSError as error:
        raise LsfError(
            "model_missing",
            f"The FLAME file {path} could not be read: {error.strerror}.",
            "FLAME is downloaded by you, under its own licence, from flame.is.tue.mpg.de.",
        ) from error


def _read_npz(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        wanted = {key: members[key] for key in (*ARRAY_KEYS, *_TEXT_KEYS) if key in members}
        if sum(info.file_size for info in wanted.values()) > MAX_FILE_BYTES:
            raise UnsafePickle(f"it unpacks to more than {MAX_FILE_BYTES >> 20} MB.")
        found = {}
        for key, info in wanted.items():
            try:
                with archive.open(info) as stream:
                    found[key] = _read_npy(stream, key, info.file_size)
            except (RuntimeError, NotImplementedError, EOFError, OSError) as error:
                raise UnsafePickle(f"{key} in it cannot be unpacked.") from error
    texts = {key: str(found.pop(key)) for key in _TEXT_KEYS if key in found}
    return found, texts


def _read_npy(stream: IO[bytes], key: str, size: int) -> np.ndarray:
    """Read one array whose size is known before any memory is taken for it."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, fortran, dtype = readers[np.lib.format.read_magic(stream)](stream)
    except (ValueError, KeyError) as error:
        raise UnsafePickle(f"{key} in it is not a numpy array.") from error
    allowed = "U" if key in _TEXT_KEYS else "fiu"
    if dtype.kind == "O":
        raise UnsafePickle(
            f"{key} in it is a pickled object; choose the .pkl that it was made from."
        )
    if dtype.kind not in allowed or len(shape) > 4 or dtype.itemsize > 4096:
        raise UnsafePickle(f"{key} in it holds {dtype} elements.")
    count = int(np.prod([int(length) for length in shape], dtype=object)) if shape else 1
    if not 0 <= count * dtype.itemsize <= size:
        raise UnsafePickle(f"{key} in it claims the shape {list(shape)}, more than it holds.")
    raw = stream.read(count * dtype.itemsize)
    if len(raw) != count * dtype.itemsize:
        raise UnsafePickle(f"{key} in it is cut short.")
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _checked(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Check every shape against the others; return float32 arrays and int64 indices."""
    missing = [key for key in ARRAY_KEYS if key not in arrays]
    if missing:
        raise UnsafePickle(f"it has no {', '.join(missing)}, so it is no FLAME model.")
    n = arrays["v_template"].shape[0] if arrays["v_template"].ndim == 2 else 0
    shapes = arrays["shapedirs"].shape[-1] if arrays["shapedirs"].ndim == 3 else 0
    expected = {
        "v_template": (n, 3),
        "f": (arrays["f"].shape[0] if arrays["f"].ndim else 0, 3),
        "shapedirs": (n, 3, min(max(shapes, MIN_SHAPES), N_SHAPES)),
        "posedirs": (n, 3, 9 * (N_JOINTS - 1)),
        "J_regressor": (N_JOINTS, n),
        "weights": (n, N_JOINTS),
        "kintree_table": (2, N_JOINTS),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape or 0 in shape:
            raise UnsafePickle(
                f"{key} in it has the shape {list(arrays[key].shape)} instead of {list(shape)}."
            )
    result = {}
    for key, array in arrays.items():
        if key in ("f", "kintree_table"):
            result[key] = array.astype(np.int64)
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            result[key] = np.ascontiguousarray(array, dtype=np.float32)
        if not np.isfinite(result[key]).all():
            raise UnsafePickle(f"{key} in it holds values that are not numbers.")
    if shapes < N_SHAPES:
        wider = ((0, 0), (0, 0), (0, N_SHAPES - shapes))
        result["shapedirs"] = np.pad(result["shapedirs"], wider)
    if result["f"].min() < 0 or result["f"].max() >= n:
        raise UnsafePickle("a triangle in it uses a vertex that does not exist.")
    parents = result["kintree_table"][0]
    parents[0] = -1  # FLAME writes 2**32 - 1 here
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise UnsafePickle("the joints in it are not a tree.")
    return result


def _recognised(path: Path, texts: dict[str, str], chumpy: bool, stated: str) -> tuple[str, str]:
    """Version and where it is known from: the file itself, then a statement, its name, chumpy."""
    if texts.get("format") == _FORMAT and texts.get("version") in FLAME_VERSIONS:
        found, evidence = texts["version"], texts.get("evidence", "")
    elif by_name := _version_by_name(path):
        found, evidence = by_name, "file name"
    elif chumpy:
        # Only the releases up to 2020 were pickled with chumpy; 2017 and 2019 share its layout.
        found, evidence = "2020", "chumpy arrays, as in the releases up to 2020"
    else:
        found, evidence = "unknown", "nothing in the file says it"
    if not stated or stated == found:
        return found, evidence
    if evidence == "file name" or found == "unknown":
        return stated, "stated"
    raise LsfError(
        "model_invalid",
        f"{path.name} was stated to be FLAME {stated}, but it is FLAME {found} ({evidence}).",
        "Expression coefficients of one version do not fit another.",
    )


def _version_by_name(path: Path) -> str:
    name = path.stem.lower()
    if "2023" in name:
        if "open" in name:
            return "2023-open"
        return "2023-no-jaw" if "no_jaw" in name or "nojaw" in name else "2023"
    folder = path.parent.name.lower()
    if "2020" in name or ("2020" in folder and name in ("generic_model", "flame_neutral")):
        return "2020"
    return ""
