# SPDX-License-Identifier: Apache-2.0
"""Pickles that run code: one real exploit for each trick. Each makes a folder at ``marker``."""

import copyreg
import functools
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.face.flame_fabricate import flame_arrays

ARRAYS = flame_arrays(12, 8)


class Calls:
    """Pickles as a call of ``function`` with ``args``."""

    def __init__(self, function: Callable, *args: Any) -> None:
        self.parts = (function, args)

    def __reduce__(self) -> tuple:
        return self.parts


class TouchesInSetState:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __setstate__(self, state: dict[str, str]) -> None:
        os.mkdir(state["marker"])


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def os_system(marker: str) -> bytes:
    return pickle.dumps({**ARRAYS, "v_template": Calls(os.system, f'mkdir "{marker}"')})


def evaluated(marker: str) -> bytes:
    return pickle.dumps({**ARRAYS, "bs_style": Calls(eval, f"__import__('os').mkdir({marker!r})")})


def getattr_chain(marker: str) -> bytes:
    module = pickle.dumps(Calls(__import__, "os"), 2)[2:-1]
    function = b"\x80\x02cbuiltins\ngetattr\n" + module + text("mkdir") + b"\x86R"
    return function + text(marker) + b"\x85R."


def object_array(marker: str) -> bytes:
    array = np.array([Calls(os.mkdir, marker)], dtype=object)
    return pickle.dumps({**ARRAYS, "weights": array})


def nested_in_a_set_inside_chumpy_state(marker: str) -> bytes:
    evil = pickle.dumps(Calls(os.mkdir, marker), 2)[2:-1]
    return b"\x80\x02cbuiltins\nset\n]" + evil + b"a\x85R."


def reconstructor_builds_a_process(marker: str) -> bytes:
    command = [sys.executable, "-c", f"import os; os.mkdir({marker!r})"]
    partial = Calls(copyreg.__newobj_ex__, functools.partial, (subprocess.run, command), {})
    return pickle.dumps(partial)[:-1] + b")R."


def set_state(marker: str) -> bytes:
    return pickle.dumps(TouchesInSetState(marker))


def extension_from_the_cache(marker: str) -> bytes:
    return b"\x80\x02\x82\xf0" + text(marker) + b"\x85R."


def instance_opcode(marker: str) -> bytes:
    return b"(S" + repr(marker).encode() + b"\nios\nmkdir\n."


def object_opcode(marker: str) -> bytes:
    return b"(cos\nmkdir\nS" + repr(marker).encode() + b"\no."


def newobj_ex_opcode(marker: str) -> bytes:
    """A class made with keywords, then called: functools.partial(os.mkdir, marker)()."""
    partial = b"\x80\x04cfunctools\npartial\ncos\nmkdir\n" + text(marker) + b"\x86}\x92"
    return partial + b")R."


def dotted_name(marker: str) -> bytes:
    return b"\x80\x04" + text("shutil") + text("os.mkdir") + b"\x93" + text(marker) + b"\x85R."


def allowed_module_other_name(marker: str) -> bytes:
    code = f"__import__('os').mkdir({marker!r})"
    return b"\x80\x02cbuiltins\nexec\n" + text(code) + b"\x85R."


def numpy_inner_module(marker: str) -> bytes:
    """A function of numpy's own that runs a string: trusting all of numpy is not enough."""
    code = f"__import__('os').mkdir({marker!r})"
    return b"\x80\x02cnumpy.testing\nrunstring\n" + text(code) + b"}\x86R."


def python_2_names(marker: str) -> bytes:
    code = f"__import__('os').mkdir({marker!r})"
    return b"c__builtin__\neval\n(V" + code.encode() + b"\ntR."


def newobj_opcode(marker: str) -> bytes:
    """NEWOBJ makes a ``map`` of os.mkdir over the marker; a tuple of it runs it."""
    lazy = b"\x80\x02cbuiltins\nmap\ncos\nmkdir\n]" + text(marker) + b"a\x86\x81"
    return b"\x80\x02cbuiltins\ntuple\n" + lazy[2:] + b"\x85\x81."


def state_of_a_known_class(marker: str) -> bytes:
    """BUILD on a partial: its ``__setstate__`` swaps in the function that a later call runs."""
    made = b"\x80\x02cfunctools\npartial\ncbuiltins\nlen\n\x85R"
    state = b"(cos\nmkdir\n" + text(marker) + b"\x85}Nt"
    return made + state + b"b)R."


def attributes_of_a_state(marker: str) -> bytes:
    """BUILD writes ``__dict__``: os.mkdir becomes a logging filter, which a harmless call asks."""
    made = b"\x80\x04clogging\nFilterer\n)\x81"
    state = b"}" + text("filters") + b"]" + b"cos\nmkdir\nas"
    call = b"clogging\nFilterer.filter\n"
    return made + state + b"b\x940" + call + b"h\x00" + text(marker) + b"\x86R."


def slots_of_a_state(marker: str) -> bytes:
    """BUILD with a pair puts os.mkdir onto a function of the library, where any name finds it."""
    poisoned = b"\x80\x02cshutil\n_samefile\nN}" + text("run") + b"cos\nmkdir\ns\x86b0"
    return (
        b"\x80\x04"
        + poisoned[2:]
        + text("shutil")
        + text("_samefile.run")
        + (b"\x93" + text(marker) + b"\x85R.")
    )


def foreign_class_through_reconstructor(marker: str) -> bytes:
    """copy_reg._reconstructor gives an instance of any class; BUILD then runs its __setstate__."""
    module, name = TouchesInSetState.__module__, TouchesInSetState.__qualname__
    made = f"ccopyreg\n_reconstructor\nc{module}\n{name}\ncbuiltins\nobject\nN".encode()
    state = b"}" + text("marker") + text(marker) + b"s"
    return b"\x80\x02" + made + b"\x87R" + state + b"b."


def deep_inside_an_allowed_call(marker: str) -> bytes:
    """os.mkdir as the argument of allowed calls in lists in tuples, thirty levels down."""
    call = b"cos\nmkdir\n" + text(marker) + b"\x85R"
    for _ in range(30):
        call = b"ccollections\nOrderedDict\n)R0](" + call + b"e\x85"
    return b"\x80\x02" + call + b"."


def numpy_load_reads_a_second_pickle(marker: str) -> bytes:
    """numpy.load as a gadget: it unpickles bytes that stand inside the first pickle."""
    inner = pickle.dumps(pickle.dumps(Calls(os.mkdir, marker)), 2)[2:-1]
    stream = b"cio\nBytesIO\n" + inner + b"\x85R"
    return b"\x80\x03cnumpy\nload\n" + stream + b"N\x88\x87R."


def pickle_in_a_pickle(marker: str) -> bytes:
    inner = pickle.dumps(Calls(os.mkdir, marker))
    return pickle.dumps({**ARRAYS, "kintree_table": Calls(pickle.loads, inner)})


def object_element_from_multiarray_scalar(marker: str) -> bytes:
    """The call stands where an allowed function of numpy has the bytes of an object scalar."""
    made = pickle.dumps(Calls(os.mkdir, marker), 2)[2:-1]
    dtype = b"cnumpy\ndtype\nU\x01OK\x00K\x01\x87R"
    return b"\x80\x02cnumpy.core.multiarray\nscalar\n" + dtype + made + b"\x86R."


def sparse_matrix_with_a_foreign_part(marker: str) -> bytes:
    """An allowed scipy class whose state holds the call."""
    state = {"_shape": (1, 1), "data": Calls(os.mkdir, marker), "indices": 0, "indptr": 0}
    return b"\x80\x02cscipy.sparse\ncsc_matrix\n)\x81" + pickle.dumps(state, 2)[2:-1] + b"b."


EXPLOITS = [
    newobj_opcode,
    state_of_a_known_class,
    foreign_class_through_reconstructor,
    deep_inside_an_allowed_call,
    numpy_load_reads_a_second_pickle,
    pickle_in_a_pickle,
    object_element_from_multiarray_scalar,
    sparse_matrix_with_a_foreign_part,
    attributes_of_a_state,
    slots_of_a_state,
    os_system,
    evaluated,
    getattr_chain,
    object_array,
    nested_in_a_set_inside_chumpy_state,
    reconstructor_builds_a_process,
    set_state,
    extension_from_the_cache,
    instance_opcode,
    object_opcode,
    newobj_ex_opcode,
    dotted_name,
    allowed_module_other_name,
    numpy_inner_module,
    python_2_names,
]
