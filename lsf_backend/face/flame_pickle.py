# SPDX-License-Identifier: Apache-2.0
"""Read a FLAME ``.pkl`` without running anything that is written in it.

A pickle is a program. This reader follows it symbolically: a name becomes an inert ``_Name``, a
call becomes a ``_Record`` of that name and its arguments, a state is only kept beside them. Nothing
from the file is ever called or assigned to an attribute. Arrays are made afterwards, from records
of the few known classes (numpy, scipy sparse, chumpy without chumpy), each checked before use.
Names may be Python 2's (``copy_reg``, ``__builtin__``), strings are latin1.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
import pickletools
from typing import Any

import numpy as np

MAX_FILE_BYTES = 512 << 20
# A FLAME file takes some thousand; 512 MB of one-byte opcodes would take 30 GB of memory.
MAX_READS = 2_000_000

_SPARSE = ("csc", "csr", "coo")
_ALLOWED = {
    **{("numpy", name): name for name in ("ndarray", "dtype")},
    **{
        (f"numpy.{core}.{module}", name): name
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    },
    **{
        (f"scipy.sparse{module}", f"{kind}_{suffix}"): kind
        for kind in _SPARSE
        for module in ("", f".{kind}", f"._{kind}")
        for suffix in ("matrix", "array")
    },
    ("chumpy", "Ch"): "Ch",
    ("chumpy.ch", "Ch"): "Ch",
    ("chumpy.reordering", "Select"): "Select",
    **{(module, "_reconstructor"): "_reconstructor" for module in ("copy_reg", "copyreg")},
    **{
        (module, name): name
        for module in ("__builtin__", "builtins")
        for name in ("object", "set", "frozenset", "bytearray")
    },
    ("collections", "OrderedDict"): "OrderedDict",
    ("_codecs", "encode"): "encode",
}
_OPCODES = (
    "PROTO STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 "
    "LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_LIST LIST APPEND APPENDS "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET ADDITEMS "
    "FROZENSET GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL"
).split()
_OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}


class UnsafePickle(ValueError):
    """The file asks for something that a FLAME file never needs, or is damaged: one sentence."""


@dataclasses.dataclass(frozen=True)
class _Name:
    """A class or function that the file names; ``kind`` says which known one it is."""

    kind: str


@dataclasses.dataclass(eq=False)
class _Record:
    """A call that the file asks for: never made, only read."""

    kind: str
    args: tuple[Any, ...]
    state: Any = None


class _BoundedFile:
    """The file's bytes; refuses to read past the end and to be read without end."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._left = len(data)
        self._reads = 0

    def _count(self) -> None:
        self._reads += 1
        if self._reads > MAX_READS:
            raise UnsafePickle("it holds far more small objects than a FLAME file does.")

    def read(self, count: int) -> bytes:
        self._count()
        if not 0 <= count <= self._left:
            raise UnsafePickle("it ends in the middle of an object.")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        self._count()
        line = self._file.readline()
        self._left -= len(line)
        return line


# The pure Python class: its opcodes are a table, so that what is not listed does not exist here.
# (The C class serves extension codes from a cache without asking find_class.)
_Unpickler: Any = pickle._Unpickler


class _SymbolicUnpickler(_Unpickler):
    dispatch = {
        code: _Unpickler.dispatch[code]
        for code in (ord(getattr(pickle, name)) for name in _OPCODES)
    }

    def find_class(self, module: str, name: str) -> _Name:
        kind = _ALLOWED.get((module, name))
        if kind is None:
            raise UnsafePickle(
                f"it asks for {str(module)[:60]}.{str(name)[:60]}, which no FLAME file does; "
                "it was not run."
            )
        return _Name(kind)

    def _frame(self) -> None:
        self.read(8)  # a hint for buffering only; the bytes follow all the same

    def _bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))  # read first: the size may be a lie

    def _call(self) -> None:
        args = self.stack.pop()
        name = self.stack.pop()
        if not isinstance(name, _Name) or not isinstance(args, tuple):
            raise UnsafePickle("it calls something that is not a known class.")
        self.append(_Record(name.kind, args))

    def _state(self) -> None:
        state = self.stack.pop()
        record = self.stack[-1]
        if not isinstance(record, _Record) or record.state is not None:
            raise UnsafePickle("it sets attributes where a FLAME file has none.")
        record.state = state

    dispatch[ord(pickle.FRAME)] = _frame
    dispatch[ord(pickle.BYTEARRAY8)] = _bytearray
    dispatch[ord(pickle.REDUCE)] = _call
    dispatch[ord(pickle.NEWOBJ)] = _call
    dispatch[ord(pickle.BUILD)] = _state


def load_pickle_arrays(data: bytes, keys: tuple[str, ...]) -> tuple[dict[str, np.ndarray], bool]:
    """Return the arrays under ``keys`` of a pickled dictionary, and whether chumpy was inside.

    Sparse matrices come back dense. Keys that the file lacks are left out; others are ignored.
    Raises :class:`UnsafePickle` with one sentence for anything that a FLAME file does not hold.
    """
    if len(data) > MAX_FILE_BYTES:
        raise UnsafePickle(f"it is over {MAX_FILE_BYTES >> 20} MB.")
    try:
        loaded = _SymbolicUnpickler(_BoundedFile(data), encoding="latin1").load()
    except UnsafePickle:
        raise
    except KeyError as error:
        name = _OPCODE_NAMES.get(error.args[0]) if error.args else None
        what = f"uses the pickle instruction {name}" if name else "is damaged"
        raise UnsafePickle(f"it {what}, so it is no FLAME file.") from error
    except Exception as error:  # every way in which a damaged stream of opcodes can fail
        raise UnsafePickle("it is not a readable pickle; it may be damaged.") from error
    if not isinstance(loaded, dict):
        raise UnsafePickle("it does not hold a dictionary of arrays.")
    wanted = {key: loaded[key] for key in keys if key in loaded}
    chumpy = any(
        isinstance(value, _Record) and _kind(value) in ("Ch", "Select") for value in loaded.values()
    )
    try:
        return {key: _array(value) for key, value in wanted.items()}, chumpy
    except UnsafePickle:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise UnsafePickle("an array in it is damaged.") from error


def _kind(record: _Record) -> str:
    """Kind of object that a record makes, seen through ``copy_reg._reconstructor(cls, ...)``."""
    if record.kind in ("_reconstructor", "_reconstruct") and record.args:
        return record.args[0].kind if isinstance(record.args[0], _Name) else ""
    return record.kind


def _array(value: Any, depth: int = 0) -> np.ndarray:
    if not isinstance(value, _Record) or depth > 4:
        raise UnsafePickle("a value in it is not an array.")
    kind = _kind(value)
    if kind == "ndarray":
        _, shape, dtype, fortran, data = value.state
        return _from_bytes(data, dtype, shape, "F" if fortran else "C")
    if kind == "_frombuffer":
        data, dtype, shape, order = value.args
        return _from_bytes(data, dtype, shape, order)
    if kind == "scalar":
        return _from_bytes(value.args[1], value.args[0], (), "C")
    if kind in _SPARSE:
        return _dense(kind, value.state)
    if kind == "Ch":
        return _array(value.state["x"], depth + 1)
    if kind == "Select":
        source, index = (_array(value.state[name], depth + 1) for name in ("a", "idxs"))
        return source.ravel()[index].reshape(_shape(value.state["preferred_shape"]))
    raise UnsafePickle(f"a value in it is a {kind or 'call'}, not an array.")


def _bytes(data: Any) -> bytes:
    if isinstance(data, _Record) and data.kind == "encode":
        data = data.args[0]  # Python 3 writes bytes so into old protocols
    elif isinstance(data, _Record) and data.kind == "bytearray":
        data = data.args[0]
    return data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or len(shape) > 4:
        raise UnsafePickle("an array in it has no usable shape.")
    if not all(isinstance(size, int) and 0 <= size <= MAX_FILE_BYTES for size in shape):
        raise UnsafePickle("an array in it has no usable shape.")
    if math.prod(shape) > MAX_FILE_BYTES:
        raise UnsafePickle(f"an array in it claims {math.prod(shape)} numbers.")
    return shape


def _dtype(record: Any) -> np.dtype:
    if not isinstance(record, _Record) or record.kind != "dtype":
        raise UnsafePickle("an array in it has no element type.")
    code = _bytes(record.args[0]).decode("latin1")
    state = record.state or (3, "|", None, None, None)
    if code[:1] not in "fiub" or code[1:] not in ("1", "2", "4", "8"):
        raise UnsafePickle(f"an array in it holds {code[:8]!r} elements instead of numbers.")
    if any(part is not None for part in state[2:5]):
        raise UnsafePickle("an array in it holds structures instead of numbers.")
    order = _bytes(state[1]).decode("latin1")
    return np.dtype((order if order in ("<", ">") else "=") + code)


def _from_bytes(data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    element, size = _dtype(dtype), _shape(shape)
    raw = _bytes(data)
    if len(raw) != math.prod(size) * element.itemsize:
        raise UnsafePickle("an array in it has another length than its shape says.")
    flat = np.frombuffer(raw, dtype=element)
    return flat.reshape(size, order="F" if order == "F" else "C")


def _dense(kind: str, state: dict[str, Any]) -> np.ndarray:
    rows, columns = _shape(state.get("_shape", state.get("shape")))
    if rows * columns > 16 << 20:
        raise UnsafePickle(f"a sparse matrix in it claims {rows} x {columns} numbers.")
    data = _array(state["data"])
    if kind == "coo":
        places = state["coords"] if "coords" in state else (state["row"], state["col"])
        row, column = (_array(place).astype(np.int64) for place in places)
    else:
        pointers = _array(state["indptr"]).astype(np.int64)
        counts = np.diff(pointers)
        if (counts < 0).any() or pointers[0] != 0 or pointers[-1] != data.size:
            raise UnsafePickle("a sparse matrix in it is damaged.")
        major = np.repeat(np.arange(counts.size), counts)
        minor = _array(state["indices"]).astype(np.int64)
        row, column = (minor, major) if kind == "csc" else (major, minor)
    if row.size and (min(row.min(), column.min()) < 0 or row.max() >= rows):
        raise UnsafePickle("a sparse matrix in it is damaged.")
    dense = np.zeros((rows, columns))
    np.add.at(dense, (row, column), data)
    return dense
