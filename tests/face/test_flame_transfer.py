# SPDX-License-Identifier: Apache-2.0
"""From a FLAME file alone: its landmarks are found, and motion goes to the head's space and back.

The file is the bundled head in disguise (no real FLAME is here), so the truth is known.
"""

from pathlib import Path

import numpy as np
import pytest

from lsf_backend.engine.base import EngineInfo
from lsf_backend.errors import LsfError
from lsf_backend.face import flame_transfer, nearest
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_transfer import FlameTransfer, flame_face
from lsf_backend.face.head_space import arkit_from_motion, motion_from_arkit
from lsf_backend.face.landmarks import detected_landmarks, head_landmarks
from lsf_backend.face_motion import FaceMotion
from lsf_backend.protocol import AnimateRequest
from tests.face.flame_disguise import SHIFT, SIZE, mixing
from tests.face.test_transfer import speech


@pytest.fixture(scope="module")
def face(flame_path: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSF_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache"))
        return flame_face(str(flame_path))[0]


def test_landmarks_are_found_by_geometry(face: FaceModel) -> None:
    head = FaceModel.load()
    truth = head_landmarks(head)
    for name, vertex in detected_landmarks(face).items():
        place = (face.v_template[vertex] - SHIFT) / SIZE
        off_mm = 1000 * np.linalg.norm(place - head.v_template[truth[name]])
        assert off_mm < 7, (name, off_mm)


def test_motion_goes_to_arkit_and_back_through_the_file(face: FaceModel, own_cache: Path) -> None:
    truth = speech(12)
    motion = motion_from_arkit(truth).astype(np.float64)
    motion[:, :50] = motion[:, :50] @ mixing()
    transfer = FlameTransfer(face)
    made = arkit_from_motion(transfer.head_motion(motion.astype(np.float32)))
    jaw = ARKIT_NAMES.index("jawOpen")
    assert np.abs(made[:, jaw] - truth[:, jaw]).mean() < 0.06
    assert np.abs(made - truth).mean() < 0.08
    error = transfer.error()
    assert error.mean_mm < 0.5 < 1.0 < error.moved_mm
    with np.load(flame_transfer.place(face)) as kept:  # for meshes of this topology
        np.testing.assert_array_equal(kept["triangles"], face.faces)
        assert kept["shapes"].shape == (52, len(kept["rows"]), 3)
        assert len(kept["vertices"]) == face.n_vertices
    back = FlameTransfer(face).flame_motion(motion_from_arkit(truth))
    assert np.abs(back[:, 50] - motion[:, 50]).mean() < 0.05


def test_frames_hardly_depend_on_how_they_are_cut(face: FaceModel) -> None:
    """All frames of a piece are solved until the slowest has settled: a hundredth of a weight."""
    motion = np.random.default_rng(0).normal(0, 0.3, (10, 53)).astype(np.float32)
    whole = FlameTransfer(face).head_motion(motion)
    parts = FlameTransfer(face)
    cut = np.concatenate([parts.head_motion(motion[:3]), parts.head_motion(motion[3:])])
    assert np.abs(whole - cut).max() < 0.01


def test_the_fit_is_made_once(face: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    FlameTransfer(face)
    monkeypatch.setattr(flame_transfer, "fit_other_topology", None)
    FlameTransfer(face)


def test_plain_numpy_finds_the_same_neighbours() -> None:
    pytest.importorskip("scipy")
    random = np.random.default_rng(0)
    points, asked = random.normal(size=(500, 3)) + 5.0, random.normal(size=(200, 3)) + 5.0
    for k in (1, 4):
        truth, _ = nearest.nearest(points).query(asked, k=k)
        found, index = nearest.PlainNearest(points).query(asked, k=k)
        assert found.shape == truth.shape
        assert np.abs(found - truth).max() < 2e-3 * truth.max()
        exact = np.linalg.norm(points[index] - (asked if k == 1 else asked[:, None]), axis=-1)
        assert np.allclose(exact, found)


def info(space: str = "flame", version: str = "2020") -> EngineInfo:
    return EngineInfo("test", True, "", space, ("cpu",), "", "", version)


def spaces(output: str, face: str, engine: EngineInfo, face_space: str = "") -> FaceMotion:
    request = AnimateRequest("a.wav", output=output, face=face, face_space=face_space)
    return FaceMotion(request, engine, lambda stage, fraction: None)


def test_spaces_meet_where_they_must(flame_path: Path) -> None:
    own = str(flame_path)
    motion = np.zeros((2, 53), np.float32)
    motion[:, 50] = 0.2
    to_arkit = spaces("arkit", own, info())
    assert (to_arkit.made, to_arkit.final) == ("head", "head")
    assert to_arkit.after_engine(motion)[0, 50] == pytest.approx(0.2, abs=0.05)
    assert "FLAME to ARKit" in to_arkit.notes()[0] and "mm" in to_arkit.notes()[0]
    to_flame = spaces("motion", own, info("head", ""), "flame")
    assert (to_flame.made, to_flame.final) == ("head", "flame")
    assert to_flame.going_out(motion)[0, 50] == pytest.approx(0.2, abs=0.05)
    plain = spaces("motion", "", info())
    assert plain.after_engine(motion) is motion and plain.going_out(motion) is motion


def test_spaces_that_cannot_meet_are_refused(flame_path: Path) -> None:
    with pytest.raises(LsfError, match="no ARKit weights of its own"):
        spaces("arkit", "", info())
    with pytest.raises(LsfError, match="no FLAME coefficients of its own"):
        spaces("motion", "", info("head", ""), "flame")
    with pytest.raises(LsfError, match="FLAME 2023, and the file is FLAME 2020"):
        spaces("motion", str(flame_path), info(version="2023"), "flame")
    assert "not known" in spaces("motion", str(flame_path), info(version=""), "flame").warnings[0]
