# SPDX-License-Identifier: Apache-2.0
"""FLAME files: every layout gives the same arrays, versions are told apart, conversions last."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from lsf_backend.errors import LsfError
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.flame_file import ARRAY_KEYS, convert_flame, read_flame, save_flame
from tests.face.flame_fabricate import (
    Ch,
    Select,
    flame_2020,
    flame_2023,
    flame_arrays,
    old_pickle,
)

ARRAYS = flame_arrays()


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def assert_same_model(flame: object, arrays: dict[str, np.ndarray] = ARRAYS) -> None:
    for key in ARRAY_KEYS:
        found = flame.arrays[key]
        expected = arrays[key].astype(found.dtype)
        if key == "kintree_table":
            expected = np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]])
        np.testing.assert_array_equal(found, expected, err_msg=key)
        assert found.dtype == (np.int64 if key in ("f", "kintree_table") else np.float32)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_python_2_pickle_with_chumpy_arrays_is_read_without_chumpy(
    tmp_path: Path, protocol: int
) -> None:
    data = flame_2020(ARRAYS, protocol)
    assert b"chumpy.ch" in data
    flame = read_flame(write(tmp_path / "generic_model.pkl", data))
    assert_same_model(flame)
    assert flame.version == "2020"
    assert "chumpy" in flame.evidence


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_of_every_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    flame = read_flame(write(tmp_path / "flame2023.pkl", flame_2023(ARRAYS, protocol)))
    assert_same_model(flame)
    assert (flame.version, flame.evidence) == ("2023", "file name")


@pytest.mark.parametrize("kind", ["csc", "csr", "coo"])
def test_every_sparse_layout_gives_the_same_regressor(tmp_path: Path, kind: str) -> None:
    sparse = getattr(scipy.sparse, f"{kind}_matrix")(ARRAYS["J_regressor"])
    data = pickle.dumps({**ARRAYS, "J_regressor": sparse})
    assert_same_model(read_flame(write(tmp_path / "model.pkl", data)))


def test_a_chumpy_slice_is_evaluated(tmp_path: Path) -> None:
    wide = np.concatenate([ARRAYS["shapedirs"], np.ones((40, 3, 5))], axis=2)
    places = np.arange(wide.size).reshape(wide.shape)[:, :, :400].ravel()
    model = {**ARRAYS, "shapedirs": Select(Ch(wide), places, ARRAYS["shapedirs"].shape)}
    assert_same_model(read_flame(write(tmp_path / "model.pkl", old_pickle(model))))


def test_big_endian_numbers_are_understood(tmp_path: Path) -> None:
    model = {**ARRAYS, "v_template": ARRAYS["v_template"].astype(">f8")}
    assert_same_model(read_flame(write(tmp_path / "model.pkl", pickle.dumps(model))))


def test_an_npz_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "flame2023_Open.npz", **ARRAYS)
    flame = read_flame(tmp_path / "flame2023_Open.npz")
    assert_same_model(flame)
    assert flame.version == "2023-open"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("flame2023.pkl", "2023"),
        ("flame2023_no_jaw.pkl", "2023-no-jaw"),
        ("flame2023_Open.pkl", "2023-open"),
        ("FLAME2020/generic_model.pkl", "2020"),
        ("FLAME_2020.pkl", "2020"),
        ("generic_model.pkl", "unknown"),
    ],
)
def test_the_version_is_read_from_the_name(tmp_path: Path, name: str, version: str) -> None:
    assert read_flame(write(tmp_path / name, flame_2023(ARRAYS))).version == version


def test_a_stated_version_fills_a_gap_and_may_not_contradict_the_content(tmp_path: Path) -> None:
    plain = write(tmp_path / "generic_model.pkl", flame_2023(ARRAYS))
    assert read_flame(plain, "2023-open").version == "2023-open"
    assert read_flame(plain, "2023-open").evidence == "stated"
    chumpy = write(tmp_path / "model.pkl", flame_2020(ARRAYS))
    with pytest.raises(LsfError, match="stated to be FLAME 2023, but it is FLAME 2020"):
        read_flame(chumpy, "2023")
    with pytest.raises(LsfError, match="no FLAME version '2021'"):
        read_flame(plain, "2021")


def test_the_true_sizes_are_recognised_as_flame(tmp_path: Path) -> None:
    arrays = flame_arrays(5023, 9976)
    flame = read_flame(write(tmp_path / "generic_model.pkl", flame_2020(arrays)))
    assert flame.has_flame_topology
    assert_same_model(flame, arrays)


def test_a_converted_file_is_a_face_model(tmp_path: Path) -> None:
    source = write(tmp_path / "generic_model.pkl", flame_2020(ARRAYS))
    face = FaceModel.load(convert_flame(source, folder=tmp_path))
    np.testing.assert_array_equal(face.v_template, ARRAYS["v_template"].astype(np.float32))
    np.testing.assert_array_equal(face.parents, [-1, 0, 1, 1, 1])
    posed = face.vertices(np.ones(300), np.ones((2, 50)), np.full((2, 3), 0.1))
    assert posed.shape == (2, 40, 3) and np.isfinite(posed).all()


def test_missing_expression_directions_are_zero_and_too_many_refused(tmp_path: Path) -> None:
    few = {**ARRAYS, "shapedirs": ARRAYS["shapedirs"][:, :, :350]}
    found = read_flame(write(tmp_path / "few.pkl", pickle.dumps(few)))
    assert found.arrays["shapedirs"].shape == (40, 3, 400)
    assert not found.arrays["shapedirs"][:, :, 350:].any()
    many = {**ARRAYS, "shapedirs": np.zeros((40, 3, 401))}
    with pytest.raises(LsfError, match=r"\[40, 3, 401\] instead of \[40, 3, 400\]"):
        read_flame(write(tmp_path / "many.pkl", pickle.dumps(many)))


def test_conversion_happens_once_and_needs_no_unpickling(tmp_path: Path) -> None:
    source = write(tmp_path / "generic_model.pkl", flame_2020(ARRAYS))
    target = convert_flame(source, folder=tmp_path / "cache")
    stamp = target.stat().st_mtime_ns
    assert convert_flame(source, folder=tmp_path / "cache") == target
    assert target.stat().st_mtime_ns == stamp, "the second call must not convert again"
    with np.load(target, allow_pickle=False) as stored:
        assert all(stored[key].dtype.kind in "fiU" for key in stored.files)
        assert str(stored["version"]) == "2020"
    assert convert_flame(target, folder=tmp_path / "cache") == target, "a safe copy is not copied"
    flame = read_flame(target)
    assert_same_model(flame)
    assert (flame.version, flame.source_name) == ("2020", "generic_model.pkl")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [target.name]


def test_an_altered_conversion_is_made_again(tmp_path: Path) -> None:
    source = write(tmp_path / "flame2023.pkl", flame_2023(ARRAYS))
    target = convert_flame(source, folder=tmp_path / "cache")
    target.write_bytes(target.read_bytes()[:5000])
    assert_same_model(read_flame(convert_flame(source, folder=tmp_path / "cache")))


def test_other_bytes_and_other_versions_get_other_files(tmp_path: Path) -> None:
    one = write(tmp_path / "model.pkl", flame_2023(ARRAYS))
    first = convert_flame(one, "2023", tmp_path / "cache")
    second = convert_flame(one, "2020", tmp_path / "cache")
    write(one, flame_2023(flame_arrays(seed=1)))
    third = convert_flame(one, "2023", tmp_path / "cache")
    assert len({first, second, third}) == 3
    assert [read_flame(path).version for path in (first, second, third)] == ["2023", "2020", "2023"]


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSF_CACHE_DIR", str(tmp_path / "mine"))
    source = write(tmp_path / "flame2023.pkl", flame_2023(ARRAYS))
    assert convert_flame(source).parent == tmp_path / "mine"


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = write(tmp_path / "blocked", b"a file, not a folder")
    source = write(tmp_path / "flame2023.pkl", flame_2023(ARRAYS))
    with pytest.raises(LsfError) as caught:
        save_flame(read_flame(source), blocked / "model.npz")
    assert caught.value.code == "output_unwritable"


def changed(**values: np.ndarray) -> dict[str, np.ndarray]:
    return {**ARRAYS, **values}


NAN = ARRAYS["v_template"].copy()
NAN[3, 1] = np.nan
BAD_TRIANGLE = ARRAYS["f"].copy()
BAD_TRIANGLE[0, 0] = 40


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"v_template": ARRAYS["v_template"]}, "has no f, shapedirs"),
        (changed(v_template=NAN), "v_template in it holds values that are not numbers"),
        (changed(f=BAD_TRIANGLE), "uses a vertex that does not exist"),
        (changed(shapedirs=ARRAYS["shapedirs"][:, :, :100]), r"shape \[40, 3, 100\]"),
        (changed(weights=ARRAYS["weights"][:39]), r"weights in it has the shape \[39, 5\]"),
        (changed(posedirs=ARRAYS["posedirs"].ravel()), "posedirs in it has the shape"),
        (changed(kintree_table=np.array([[-1, 0, 3, 1, 1], range(5)])), "not a tree"),
        (changed(v_template=np.array(["text"] * 40)), "elements"),
    ],
)
@pytest.mark.parametrize("suffix", ["pkl", "npz"])
def test_a_model_that_does_not_fit_together_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str, suffix: str
) -> None:
    path = tmp_path / f"model.{suffix}"
    if suffix == "pkl":
        write(path, pickle.dumps(arrays))
    else:
        np.savez(path, **arrays)
    with pytest.raises(LsfError, match=sentence) as caught:
        read_flame(path)
    assert caught.value.code == "model_invalid"
    assert caught.value.message.count("\n") == 0


@pytest.mark.parametrize("data", [b"", b"\x80\x02", b"PK\x03\x04junk", b"hello", pickle.dumps([1])])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(LsfError) as caught:
        read_flame(write(tmp_path / "model.pkl", data))
    assert caught.value.code == "model_invalid"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LsfError, match="nowhere.pkl could not be read") as caught:
        read_flame(tmp_path / "nowhere.pkl")
    assert caught.value.code == "model_missing"


def test_a_truncated_file_never_gives_a_model(tmp_path: Path) -> None:
    data = flame_2020(ARRAYS)
    for size in np.linspace(1, len(data) - 1, 40, dtype=int):
        with pytest.raises(LsfError):
            read_flame(write(tmp_path / "model.pkl", data[:size]))


def test_random_damage_gives_a_model_or_a_sentence(tmp_path: Path) -> None:
    data = bytearray(flame_2020(flame_arrays(8, 4)))
    random = np.random.default_rng(5)
    head = np.r_[0:400, len(data) - 3000 : len(data)]
    for _ in range(150):
        copy = bytearray(data)
        copy[int(random.choice(head))] = int(random.integers(256))
        try:
            read_flame(write(tmp_path / "model.pkl", bytes(copy)))
        except LsfError as error:
            assert error.code == "model_invalid"


def test_a_length_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    for opcode in (b"\x8e", b"\x8d", b"\x96"):  # BINBYTES8, BINUNICODE8, BYTEARRAY8
        data = b"\x80\x05" + opcode + struct.pack("<Q", 1 << 44) + b"x."
        with pytest.raises(LsfError, match="ends in the middle"):
            read_flame(write(tmp_path / "model.pkl", data))
