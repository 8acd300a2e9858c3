# SPDX-License-Identifier: Apache-2.0
"""FLAME files of the true layouts without FLAME: random numbers, pickled as Python 2 and 3 do."""

import io
import pickle
import struct

import numpy as np
import scipy.sparse


class Ch:
    """What a chumpy array pickles: a new-style object with its numbers under ``x``."""

    def __init__(self, x: np.ndarray) -> None:
        self.__dict__.update(
            x=x,
            _dirty_vars={"x"},
            _itr=None,
            _make_dense=False,
            _make_sparse=False,
            _depends_on_deps={},
        )


class Select(Ch):
    """What chumpy pickles for a slice of an array."""

    def __init__(self, a: Ch, idxs: np.ndarray, preferred_shape: tuple[int, ...]) -> None:
        self.__dict__.update(a=a, idxs=idxs, preferred_shape=preferred_shape)


class OldPickler(pickle._Pickler):
    """Writes as Python 2 did: byte strings, ``scipy.sparse.csc``, ``copy_reg``, ``chumpy.ch``."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_old_string(self, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        if self.proto == 0:
            self.write(b"S" + repr(raw)[1:].encode("ascii") + b"\n")
        elif len(raw) < 256:
            self.write(b"U" + bytes([len(raw)]) + raw)
        else:
            self.write(b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(value)

    def save_old_class(self, value: type) -> None:
        modules = {Ch: "chumpy.ch", Select: "chumpy.reordering"}
        if value is scipy.sparse.csc_matrix:
            self.write(b"cscipy.sparse.csc\ncsc_matrix\n")
            self.memoize(value)
        elif value in modules:
            self.write(f"c{modules[value]}\n{value.__name__}\n".encode())
            self.memoize(value)
        else:
            self.save_global(value)

    dispatch[str] = dispatch[bytes] = save_old_string
    dispatch[type] = save_old_class


def old_pickle(value: object, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    OldPickler(stream, protocol=protocol, fix_imports=True).dump(value)
    return stream.getvalue()


def flame_arrays(vertices: int = 40, triangles: int = 60, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays under FLAME's names with FLAME's types: float64, uint32 triangles, 2**32 - 1 root."""
    random = np.random.default_rng(seed)
    weights = random.random((vertices, 5))
    return {
        "v_template": random.normal(0, 0.1, (vertices, 3)),
        "f": random.integers(0, vertices, (triangles, 3)).astype(np.uint32),
        "shapedirs": random.normal(0, 1e-3, (vertices, 3, 400)),
        "posedirs": random.normal(0, 1e-3, (vertices, 3, 36)),
        "J_regressor": np.where(random.random((5, vertices)) < 0.2, 0.25, 0.0),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }


def flame_2020(arrays: dict[str, np.ndarray], protocol: int = 2) -> bytes:
    """A pickle as FLAME 2020's: Python 2, chumpy shapes, sparse regressor, unused keys."""
    model = {
        **arrays,
        "shapedirs": Ch(arrays["shapedirs"]),
        "v_template": Ch(arrays["v_template"]),
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "posedirs": np.asfortranarray(arrays["posedirs"]),
        "J": np.zeros((5, 3)),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    return old_pickle(model, protocol)


def flame_2023(arrays: dict[str, np.ndarray], protocol: int = 4) -> bytes:
    """A pickle as FLAME 2023's: plain numpy, big tables, sparse regressor."""
    regressor = scipy.sparse.csc_matrix(arrays["J_regressor"])
    return pickle.dumps({**arrays, "J_regressor": regressor, "bs_type": "lrotmin"}, protocol)
