# SPDX-License-Identifier: Apache-2.0
"""Which vertices are looked at: the bundled head's own, and the files that FLAME's users bring."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.face.face_model import FaceModel
from tests.face.flame_fabricate import flame_2023, flame_arrays, old_pickle
from training.data.clips import Face
from training.metrics import lip_gap, regions_of, score_clip, vertices_of
from training.metrics.clip import Truth
from training.metrics.face_files import FaceFiles, read_masks
from training.metrics.faces import rims_on_mesh

LIPS, UPPER = np.arange(0, 428), np.arange(2000, 3501)


@pytest.fixture
def flame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FLAME of the true size; the lower half of its lips hangs on the jaw."""
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path / "cache"))
    arrays = flame_arrays(5023, 9976)
    arrays["weights"][:] = np.eye(5)[0]
    arrays["weights"][LIPS[::2]] = np.eye(5)[2]
    path = tmp_path / "flame2023.pkl"
    path.write_bytes(flame_2023(arrays))
    return path


def listed(folder: Path) -> dict[str, str]:
    (folder / "lve.txt").write_text(", ".join(map(str, LIPS)))
    (folder / "fdd.txt").write_text("\n".join(map(str, UPPER)))
    return {"lips": str(folder / "lve.txt"), "upper_face": str(folder / "fdd.txt")}


def test_the_published_lists_are_taken_as_they_are(tmp_path: Path, flame: Path) -> None:
    files = FaceFiles.from_dict({"file": str(flame), **listed(tmp_path)})
    face, regions, note = files.open()
    assert face.n_vertices == 5023 and files.shows == Face("flame", "2023")
    assert np.array_equal(regions.lips, LIPS) and np.array_equal(regions.upper_face, UPPER)
    assert "428 of the lips, 1501 of the upper face" in note and "not the published" not in note
    # No file names the rims: they are found, and what the jaw carries is the lower one.
    assert set(regions.lower_rim) <= set(LIPS[::2]) and set(regions.upper_rim) <= set(LIPS[1::2])
    motion = np.random.default_rng(0).normal(0, 0.1, (2, 9, 53)).astype(np.float32)
    clip = Truth("a", "M003", "happy", motion[0], ((2, 4),))  # type: ignore[arg-type]
    values = score_clip(
        clip, motion[1:], vertices_of(face), regions, np.random.default_rng(0)
    ).values
    assert {"lve", "fdd", "closure_error", "region_lips"} <= set(values)


@pytest.mark.parametrize("old", [True, False])
def test_flame_masks_stand_in_and_say_so(tmp_path: Path, flame: Path, old: bool) -> None:
    masks = {
        "lips": LIPS[:254],
        **{name: UPPER[i::3] for i, name in enumerate(("forehead", "eye_region", "nose"))},
        "scalp": np.arange(4000, 4100),
    }
    path = tmp_path / "FLAME_masks.pkl"
    path.write_bytes(old_pickle(masks) if old else pickle.dumps(masks))
    _, regions, note = FaceFiles.from_dict({"file": str(flame), "masks": str(path)}).open()
    assert regions.lips.size == 254 and np.array_equal(regions.upper_face, UPPER)
    assert set(regions.named) == {"lips", "forehead", "eye_region", "nose"}
    assert "not the published lists" in note


def test_masks_run_nothing_and_bad_files_are_named(tmp_path: Path, flame: Path) -> None:
    path = tmp_path / "masks.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"masks\.pkl was refused: it asks for os\.system"):
        read_masks(path)
    path.write_bytes(pickle.dumps({"lips": LIPS}))
    with pytest.raises(ValueError, match=r"masks\.pkl has no region forehead, eye_region, nose"):
        read_masks(path)
    with pytest.raises(ValueError, match="needs its regions"):
        FaceFiles(flame).open()
    with pytest.raises(ValueError, match="face has no ears"):
        FaceFiles.from_dict({"ears": "x"})


def test_rims_found_on_the_mesh_measure_as_the_named_ones() -> None:
    face = FaceModel.load()
    named = regions_of(face)
    upper, lower = rims_on_mesh(face, named.lips)
    found = dataclasses.replace(named, upper_rim=upper, lower_rim=lower)
    motion = np.zeros((1, 20, 53), np.float32)
    motion[0, :, 50] = np.linspace(0, 0.25, 20)
    vertices = vertices_of(face)(motion)[0]
    gaps = [lip_gap(vertices, regions, face.v_template) * 1e3 for regions in (named, found)]
    assert gaps[0].max() > 10 and gaps[1] == pytest.approx(gaps[0], rel=0.15, abs=0.2)
