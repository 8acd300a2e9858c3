# SPDX-License-Identifier: Apache-2.0
"""Hostile FLAME files: each trick first works on a careless reader, then is refused by ours.

Every exploit makes a folder or a file at ``marker``: if that exists, code from the file ran.
"""

import copyreg
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsf_backend.errors import LsfError
from lsf_backend.face import flame_file, flame_pickle
from lsf_backend.face.flame_file import read_flame
from tests.face.hostile_pickles import ARRAYS, EXPLOITS, Calls, text


@pytest.fixture
def cached_extension() -> Any:
    """An extension code that this process has already used, so that no name is asked for."""
    copyreg.add_extension("os", "mkdir", 240)
    copyreg._extension_cache[240] = os.mkdir
    yield
    copyreg.remove_extension("os", "mkdir", 240)
    copyreg._extension_cache.pop(240, None)


@pytest.mark.parametrize("exploit", EXPLOITS, ids=lambda exploit: exploit.__name__)
@pytest.mark.usefixtures("cached_extension")
def test_an_exploit_runs_in_a_careless_reader_and_not_in_ours(
    tmp_path: Path, exploit: Callable[[str], bytes]
) -> None:
    marker = tmp_path / "ran"
    data = exploit(str(marker))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pickle.loads(data)
    assert marker.exists(), "the exploit itself does nothing: the test would prove nothing"
    marker.rmdir()

    path = tmp_path / "generic_model.pkl"
    path.write_bytes(data)
    with pytest.raises(LsfError) as caught:
        read_flame(path)
    assert not marker.exists()
    assert caught.value.code == "model_invalid"
    assert caught.value.message.startswith("generic_model.pkl was refused: ")
    assert "\n" not in caught.value.message


class NaiveUnpickler(pickle.Unpickler):
    """A reader that trusts its list of names, as many shims for chumpy do."""

    class Ch:
        pass

    def find_class(self, module: str, name: str) -> Any:
        assert (module, name) == ("chumpy.ch", "Ch")
        return self.Ch

    def persistent_load(self, pid: Any) -> Any:
        os.mkdir(pid)


def test_attributes_cannot_be_smuggled_onto_a_class(tmp_path: Path) -> None:
    state = b"N}" + text("poisoned") + text("yes") + b"s\x86b"
    data = b"\x80\x02cchumpy.ch\nCh\n" + state + b"."
    NaiveUnpickler(io.BytesIO(data)).load()
    assert NaiveUnpickler.Ch.poisoned == "yes", "the list of names alone does not stop this"
    with pytest.raises(flame_pickle.UnsafePickle, match="sets attributes"):
        flame_pickle.load_pickle_arrays(data, ("f",))


def test_a_state_cannot_replace_another(tmp_path: Path) -> None:
    made = b"\x80\x02cchumpy.ch\nCh\n)\x81}b"
    with pytest.raises(flame_pickle.UnsafePickle, match="sets attributes"):
        flame_pickle.load_pickle_arrays(made + b"}b.", ("f",))


def test_the_result_of_a_call_cannot_be_called(tmp_path: Path) -> None:
    data = b"\x80\x02cchumpy.ch\nCh\n)R)R."
    with pytest.raises(flame_pickle.UnsafePickle, match="calls something"):
        flame_pickle.load_pickle_arrays(data, ("f",))


@pytest.mark.parametrize("opcode", [b"P", b"Q"])
def test_persistent_ids_are_refused(tmp_path: Path, opcode: bytes) -> None:
    marker = tmp_path / "ran"
    if opcode == b"P":
        data = b"P" + str(marker).encode() + b"\n."
    else:
        data = b"\x80\x02" + text(str(marker)) + b"Q."
    NaiveUnpickler(io.BytesIO(data)).load()
    assert marker.exists()
    marker.rmdir()
    with pytest.raises(flame_pickle.UnsafePickle, match="instruction (BIN)?PERSID"):
        flame_pickle.load_pickle_arrays(data, ("f",))
    assert not marker.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02h\x07.",  # a memo entry that was never stored
        b"\x80\x02j\xff\xff\xff\x7f.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # stored at 2**31 - 1: the C reader takes 16 GB for it
        b"g-1\n.",
        b"\x80\x02}]Ns.",  # a list as a key
        b"\x80\x02}}e.",  # items appended to a dictionary
        b"\x80\x02cchumpy.ch\nCh\n(Ne.",
        b"\x80\x7f}.",  # a protocol that does not exist
        b"\x80\x05\x97.",  # out-of-band buffers
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.",  # a frame larger than the file
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # bytes larger than the memory
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",  # the same as a bytearray
        b"\x80\x02\x8b\xff\xff\xff\x7f.",  # an integer of 2 GB
        b"I" + b"9" * 100_000 + b"\n.",  # an integer that takes its time
        b"\x80\x02" + b"]q\x00" * 200_000 + b"a" * 199_999 + b".",  # lists in lists
        b"\x80\x02)" + b"\x85" * 200_000 + b"0}U\x01fh\x00s.",
        b"\x80\x02}U\x01fcchumpy.ch\nCh\n)\x81q\x01}U\x01xh\x01sbs.",  # holds itself
        b"\x80\x02}U\x01f" + b"cchumpy.ch\nCh\n)\x81}U\x01x" * 5000 + b"N" + b"sb" * 5000 + b"s.",
    ],
)
def test_misused_instructions_give_a_sentence(data: bytes) -> None:
    with pytest.raises(flame_pickle.UnsafePickle):
        flame_pickle.load_pickle_arrays(data, ("f",))


def test_object_arrays_in_an_npz_are_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = np.array([Calls(os.mkdir, str(marker))], dtype=object)
    path = tmp_path / "flame2023.npz"
    np.savez(path, **{**ARRAYS, "J_regressor": evil})
    assert np.load(path, allow_pickle=True)["J_regressor"] is not None
    assert marker.exists()
    marker.rmdir()
    with pytest.raises(LsfError, match="J_regressor in it is a pickled object"):
        read_flame(path)
    assert not marker.exists()


def array_record(shape: bytes, code: bytes = b"f8", data: bytes = b"") -> bytes:
    """A dictionary with one hand-written array under ``f``, as Python 2 pickles it."""
    return (
        b"\x80\x02}U\x01fcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU"
        + bytes([len(code)])
        + code
        + b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(data)])
        + data
        + b"tbs."
    )


def test_the_hand_written_array_is_understood() -> None:
    data = array_record(b"K\x02\x85", data=np.array([1.5, -2.0]).tobytes())
    arrays, chumpy = flame_pickle.load_pickle_arrays(data, ("f",))
    assert arrays["f"].tolist() == [1.5, -2.0]
    assert not chumpy


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (array_record(b"J\xff\xff\xff\x7f\x85"), "no usable shape"),
        (array_record(b"J\x00\x00\x00\x10J\x00\x00\x00\x10\x86"), "claims"),
        (array_record(b"J\xff\xff\xff\xff\x85"), "no usable shape"),
        (array_record(b"K\x64\x85", data=b"12345678"), "another length"),
        (array_record(b"K\x01\x85", b"O8", b"12345678"), "elements instead of numbers"),
        (array_record(b"K\x01\x85", b"V8", b"12345678"), "elements instead of numbers"),
        (array_record(b"K\x01\x85", b"S8", b"12345678"), "elements instead of numbers"),
        (array_record(b"K\x01\x85", b"f8,O8", b"12345678"), "elements instead of numbers"),
    ],
)
def test_an_array_that_lies_about_itself_is_refused(record: bytes, sentence: str) -> None:
    with pytest.raises(flame_pickle.UnsafePickle, match=sentence):
        flame_pickle.load_pickle_arrays(record, ("f",))


def test_a_sparse_matrix_of_any_claimed_size_takes_no_memory(tmp_path: Path) -> None:
    state = {"_shape": (1 << 28, 1), "data": 0, "indices": 0, "indptr": 0}
    data = b"\x80\x02}U\x01fcscipy.sparse.csc\ncsc_matrix\n)\x81" + pickle.dumps(state, 2)[2:-1]
    with pytest.raises(flame_pickle.UnsafePickle, match="sparse matrix in it claims"):
        flame_pickle.load_pickle_arrays(data + b"bs.", ("f",))


def test_a_flood_of_small_objects_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flame_pickle, "MAX_READS", 50_000)
    with pytest.raises(flame_pickle.UnsafePickle, match="far more small objects"):
        flame_pickle.load_pickle_arrays(b"]" * 60_000, ("f",))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flame2023.npz"
    np.savez_compressed(path, **{**ARRAYS, "shapedirs": np.zeros((2000, 3, 400))})
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(flame_file, "MAX_FILE_BYTES", 10 << 20)
    with pytest.raises(LsfError, match="unpacks to more than 10 MB"):
        read_flame(path)


@pytest.mark.parametrize("shape", [(1 << 40, 3), (-1, 3), (4, 3, 1 << 60)])
def test_an_npy_header_that_claims_more_than_it_holds(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "flame2023.npz"
    np.savez(path, **{key: value for key, value in ARRAYS.items() if key != "f"})
    with zipfile.ZipFile(path, "a") as archive, archive.open("f.npy", "w") as stream:
        header = {"descr": "<i8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(b"12345678")
    with pytest.raises(LsfError, match="claims the shape"):
        read_flame(path)


def test_a_huge_file_is_not_even_opened(tmp_path: Path) -> None:
    path = tmp_path / "flame2023.pkl"
    with path.open("wb") as stream:
        stream.truncate(600 << 20)  # sparse: takes no disk
    with pytest.raises(LsfError, match="has 600 MB"):
        read_flame(path)
