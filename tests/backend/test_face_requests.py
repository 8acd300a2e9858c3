# SPDX-License-Identifier: Apache-2.0
"""Faces through the process and the command: FLAME files converted, identity from a mesh."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.cli import main
from lsf_backend.errors import LsfError
from lsf_backend.exchange.mesh_in import Mesh
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.landmarks import head_landmarks
from lsf_backend.face_requests import answer, find_identity
from tests.backend.client import Client
from tests.face.flame_fabricate import flame_2020, flame_arrays


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def person(face: FaceModel) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 0.8, 300).astype(np.float32)


def write_obj(path: Path, points: np.ndarray, triangles: np.ndarray) -> Path:
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in points]
    lines += ["f " + " ".join(str(v + 1) for v in corners) for corners in triangles]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def test_a_flame_file_is_converted_on_request(
    client: Client, tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(flame_2020(flame_arrays()))
    client.send("convert_face", 1, face=str(path))
    done = client.finish(1)[-1].header
    assert done["version"] == "2020" and "FLAME 2020" in done["sentence"]
    assert FaceModel.load(done["path"]).n_vertices == 40
    client.send("convert_face", 2, face=str(tmp_path / "no.pkl"))
    assert client.finish(2)[-1].header["code"] == "model_missing"


def test_identity_through_the_process(client: Client, face: FaceModel, person: np.ndarray) -> None:
    points = 100 * face.shaped(person) + [1, 2, 3]
    rows = np.concatenate([points, face.faces])
    client.send("identity", 1, rows, vertices=len(points))
    done = client.finish(1)[-1]
    assert done.header["space"] == "head" and done.header["mean_mm"] < 0.05
    assert np.abs(done.array() - person).max() < 0.3
    client.send("identity", 2, np.full_like(rows, np.nan), vertices=len(points))
    failed = client.finish(2)[-1].header
    assert failed["code"] == "identity_invalid" and "NaN" in failed["message"]


def test_lsf_identity_writes_betas(
    face: FaceModel, person: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = write_obj(tmp_path / "me.obj", face.shaped(person), face.faces)
    out = tmp_path / "betas.npy"
    assert main(["identity", str(mesh), "--out", str(out)]) == 0
    assert np.load(out).shape == (300,) and "mm" in capsys.readouterr().out
    assert main(["identity", str(mesh), "--out", str(out)]) == 2
    assert main(["identity", str(mesh), "--out", str(tmp_path / "betas.txt")]) == 2


def test_another_topology_needs_landmarks(
    face: FaceModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, triangles = face.v_template[: face.n_vertices - 1], face.faces
    triangles = triangles[(triangles < len(points)).all(axis=1)]
    mesh = write_obj(tmp_path / "me.obj", points, triangles)
    arguments = ["identity", str(mesh), "--out", str(tmp_path / "betas.npy")]
    assert main(arguments) == 2
    assert "needs landmarks" in capsys.readouterr().err
    picks = tmp_path / "picks.json"
    places = {name: face.v_template[v].tolist() for name, v in head_landmarks(face).items()}
    picks.write_text(json.dumps(places))
    assert main([*arguments, "--landmarks", str(picks)]) == 0
    assert np.abs(np.load(tmp_path / "betas.npy")).max() < 1.5
    picks.write_text('{"nostril": [0, 0, 0]}')
    assert main([*arguments, "--landmarks", str(picks), "--overwrite"]) == 2
    assert "no landmark 'nostril'" in capsys.readouterr().err


def test_lsf_convert_face_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(flame_2020(flame_arrays()))
    assert main(["convert-face", str(path), "--flame-version", "2023"]) == 2
    assert main(["convert-face", str(path)]) == 0
    assert "FLAME 2020" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("header", "array"),
    [
        ({}, None),
        ({}, np.zeros(9)),
        ({"vertices": 99}, np.zeros((4, 3))),
        ({"landmarks": {"nose_tip": [0, 1]}}, np.zeros((4, 3))),
        ({"landmarks": ["nose_tip"]}, np.zeros((4, 3))),
        ({"face": 3}, np.zeros((4, 3))),
    ],
)
def test_broken_requests_are_one_sentence(header: dict, array: np.ndarray | None) -> None:
    with pytest.raises(LsfError):
        answer("identity", header, array)


def test_a_mesh_that_is_no_face_is_refused(face: FaceModel) -> None:
    random = np.random.default_rng(0)
    ball = random.normal(size=(2000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    triangles = random.integers(0, 2000, (3000, 3))
    picks = {name: tuple(0.1 * random.normal(size=3)) for name in head_landmarks(face)}
    with pytest.raises(LsfError, match="do not lie as on a face"):
        find_identity(Mesh(ball, triangles), "", picks)
