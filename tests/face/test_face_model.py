# SPDX-License-Identifier: Apache-2.0
"""Skinning against smplx, the jaw-only shortcut against full skinning, files that are no faces."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import BUNDLED_HEAD, FaceModel, rotations


def fabricated(n_vertices: int = 60) -> dict[str, np.ndarray]:
    """A face of the true layout in which every joint, jaw included, has skinning weights."""
    rng = np.random.default_rng(5)

    def draw(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def shares(*shape: int) -> np.ndarray:
        weights = rng.random(shape)
        return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)

    return {
        "v_template": draw(n_vertices, 3, scale=0.1),
        "f": rng.integers(0, n_vertices, (90, 3)).astype(np.int32),
        "shapedirs": draw(n_vertices, 3, 400, scale=0.001),
        "posedirs": draw(n_vertices, 3, 36, scale=0.01),
        "J_regressor": shares(5, n_vertices),
        "weights": shares(n_vertices, 5),
        "kintree_table": np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int32),
    }


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    path = tmp_path / "face.npz"
    np.savez(path, **fabricated())
    return path


def smplx_vertices(source: Path, folder: Path, **inputs: np.ndarray) -> np.ndarray:
    """The same through smplx.FLAME, which wants a folder with a landmark file beside the model."""
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    folder.mkdir()
    (folder / "FLAME_NEUTRAL.npz").write_bytes(source.read_bytes())
    landmarks = {"lmk_face_idx": np.zeros(1, np.int64), "lmk_b_coords": np.full((1, 3), 1 / 3)}
    (folder / "flame_static_embedding.pkl").write_bytes(pickle.dumps(landmarks))
    flame = smplx.FLAME(str(folder), ext="npz", num_betas=300, num_expression_coeffs=50)
    with torch.no_grad():
        output = flame(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return np.asarray(output.vertices)


def poses(n_frames: int, width: int, scale: float) -> np.ndarray:
    rng = np.random.default_rng(width)
    return (scale * rng.standard_normal((n_frames, width))).astype(np.float32)


@pytest.mark.parametrize("which", ["made up", "bundled"])
def test_skinning_agrees_with_smplx(which: str, made_up: Path, tmp_path: Path) -> None:
    path = made_up if which == "made up" else BUNDLED_HEAD
    n = 4
    betas, expression = poses(1, 300, 0.5)[0], np.abs(poses(n, 50, 0.4))
    jaw, neck, eyes, whole = (poses(n, w, 0.2) for w in (3, 3, 6, 3))
    face = FaceModel.load(path)
    ours = face.vertices(betas, expression, jaw, neck_pose=neck, eye_pose=eyes, global_pose=whole)
    theirs = smplx_vertices(
        path,
        tmp_path / "flame",
        betas=np.tile(betas, (n, 1)),
        expression=expression,
        jaw_pose=jaw,
        neck_pose=neck,
        leye_pose=eyes[:, :3].copy(),
        reye_pose=eyes[:, 3:].copy(),
        global_orient=whole,
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_jaw_only_shortcut_equals_full_skinning(made_up: Path) -> None:
    face = FaceModel.load(made_up)
    betas, expression, jaw = poses(1, 300, 1.0)[0], poses(7, 50, 1.0), poses(7, 3, 0.4)
    quick = face.vertices(betas, expression, jaw)
    full = face.vertices(betas, expression, jaw, neck_pose=np.zeros((7, 3)))
    np.testing.assert_allclose(quick, full, atol=2e-6)


def test_turning_the_root_turns_the_whole_head(made_up: Path) -> None:
    face = FaceModel.load(made_up)
    turn = np.array([[0.3, -0.5, 0.2]], np.float32)
    turned = face.vertices(None, np.zeros((1, 50)), np.zeros((1, 3)), global_pose=turn)[0]
    root = face.j_regressor[0] @ face.v_template
    expected = (face.v_template - root) @ rotations(turn)[0].T + root
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_rotations_are_rotations() -> None:
    turns = rotations(np.array([[0, 0, 0], [0, 0, np.pi / 2], [1e-9, 0, 0], [2.0, -1.0, 0.5]]))
    np.testing.assert_allclose(
        turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-6
    )
    np.testing.assert_allclose(turns[1] @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    assert np.linalg.det(turns) == pytest.approx(1.0, abs=1e-5)


def test_no_frames_give_no_vertices() -> None:
    face = FaceModel.load()
    assert face.vertices(None, np.zeros((0, 50)), np.zeros((0, 3))).shape == (0, face.n_vertices, 3)


def test_fewer_betas_are_padded_with_the_mean(made_up: Path) -> None:
    face = FaceModel.load(made_up)
    betas = poses(1, 300, 1.0)[0]
    betas[10:] = 0.0
    np.testing.assert_allclose(face.shaped(betas[:10]), face.shaped(betas), atol=1e-7)
    np.testing.assert_array_equal(face.shaped(None), face.v_template)


@pytest.mark.parametrize("betas", [np.zeros(301), np.zeros((2, 300)), np.full(300, np.nan)])
def test_bad_betas_are_refused_in_one_sentence(betas: np.ndarray) -> None:
    with pytest.raises(LsfError) as caught:
        FaceModel.load().shaped(betas)
    assert caught.value.code == "identity_invalid" and caught.value.message.endswith(".")


def broken_files(folder: Path) -> dict[str, Path]:
    """Files that are no faces, each by what is wrong with it."""
    good = fabricated()
    changes: dict[str, dict[str, np.ndarray | None]] = {
        "no weights": {"weights": None},
        "other vertex count": {"posedirs": good["posedirs"][:-1]},
        "not finite": {"v_template": np.full_like(good["v_template"], np.nan)},
        "scalar": {"v_template": np.array(1.0)},
        "text": {"J_regressor": np.full((5, 60), "x")},
        "bad faces": {"f": good["f"] + 1000},
        "no tree": {"kintree_table": np.array([[-1, 0, 4, 1, 1], [0, 1, 2, 3, 4]])},
        "objects": {"f": np.array([[None, {}, 1]], dtype=object)},
    }
    paths = {}
    for name, change in changes.items():
        paths[name] = folder / f"{name}.npz"
        np.savez(paths[name], **{k: v for k, v in (good | change).items() if v is not None})
    for name, data in (("empty", b""), ("cut short", BUNDLED_HEAD.read_bytes()[:5000])):
        paths[name] = folder / f"{name}.npz"
        paths[name].write_bytes(data)
    paths["pickle"] = folder / "pickle.npz"
    paths["pickle"].write_bytes(pickle.dumps(good))
    paths["one array"] = folder / "one array.npz"
    np.save(folder / "one.npy", good["f"])
    (folder / "one.npy").rename(paths["one array"])
    return paths


def test_files_that_are_no_faces_give_one_sentence(tmp_path: Path) -> None:
    for name, path in broken_files(tmp_path).items():
        with pytest.raises(LsfError) as caught:
            FaceModel.load(path)
        assert caught.value.code == "model_invalid", name
        assert str(path) in caught.value.message and caught.value.message.endswith("."), name
        assert "\n" not in caught.value.message and len(caught.value.message) < 300, name


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LsfError, match="is missing") as caught:
        FaceModel.load(tmp_path / "none.npz")
    assert caught.value.code == "model_missing"


def test_a_face_without_arkit_shapes_says_so(made_up: Path) -> None:
    with pytest.raises(LsfError, match="no ARKit shapes"):
        FaceModel.load(made_up).arkit_vertices(np.zeros((1, 52)))
