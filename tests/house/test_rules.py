# SPDX-License-Identifier: Apache-2.0
"""The rules of the house, read from the source: imports, calls that are never made, form."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("blender_addon", "lsf_backend", "training")
SOURCES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
SOURCES.append(ROOT / "build_addon.py")
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TORCH_ROOMS = ("lsf_backend/model/", "lsf_backend/engine/lsf")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every absolute module name that a file imports, with the names taken from it appended."""
    package = relative(path).removesuffix(".py").split("/")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def forbidden_import(place: str, name: str) -> bool:
    top = name.split(".")[0]
    room = place.split("/")[0]
    if room == "blender_addon":
        allowed = name.startswith("lsf_backend.protocol")
        heavy = {"training", "torch", "onnxruntime", "av", "scipy"}
        return (top == "lsf_backend" and not allowed) or top in heavy
    if room == "lsf_backend":
        torch_elsewhere = top in {"torch", "transformers", "funasr"} and not place.startswith(
            TORCH_ROOMS
        )
        return top in {"blender_addon", "training", "bpy", "anny"} or torch_elsewhere
    return top == "blender_addon"


def test_imports_go_one_way() -> None:
    wrong = [
        f"{relative(path)}:{line} imports {name}"
        for path in SOURCES
        if path.name != "build_addon.py"
        for line, name in imports(path)
        if forbidden_import(relative(path), name)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("place", "name", "forbidden"),
    [
        ("blender_addon/bridge/client.py", "lsf_backend.protocol.Message", False),
        ("blender_addon/bridge/client.py", "lsf_backend.audio.open_audio", True),
        ("blender_addon/rig/head.py", "torch", True),
        ("lsf_backend/serve.py", "bpy", True),
        ("lsf_backend/serve.py", "torch", True),
        ("lsf_backend/model/hifb.py", "torch.nn", False),
        ("lsf_backend/cli.py", "blender_addon.command_line", True),
        ("training/stage1.py", "lsf_backend.model.vqvae", False),
        ("training/stage1.py", "blender_addon", True),
    ],
)
def test_the_import_rule_itself(place: str, name: str, forbidden: bool) -> None:
    assert forbidden_import(place, name) is forbidden


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func), node


def unsafe(name: str, call: ast.Call) -> bool:
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in {"pickle.load", "pickle.loads", "eval", "exec", "os.system", "joblib.load"}:
        return True
    if name == "torch.load":
        return keywords.get("weights_only") != "True"
    return name in {"np.load", "numpy.load"} and keywords.get("allow_pickle") != "False"


def test_untrusted_files_are_never_executed() -> None:
    wrong = [
        f"{relative(path)}:{line} calls {name}"
        for path in SOURCES
        for line, name, call in calls(path)
        if unsafe(name, call)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_sockets_between_the_processes() -> None:
    names = {"socket", "http", "multiprocessing", "xmlrpc", "asyncio"}
    wrong = [
        f"{relative(path)}:{line} imports {name}"
        for path in SOURCES
        if relative(path).startswith(("blender_addon/", "lsf_backend/serve", "lsf_backend/proto"))
        for line, name in imports(path)
        if name.split(".")[0] in names
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=relative)
def test_a_file_is_one_idea(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    licence = "GPL-3.0-or-later" if relative(path).startswith("blender_addon/") else "Apache-2.0"
    first = text.split("\n")[0]
    assert first == f"# SPDX-License-Identifier: {licence}", "the first line is the licence"
    assert text.count("\n") <= (600 if path in TESTS else 400), "over 400 lines"
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or path in TESTS, "a module says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path not in TESTS:
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is over 60 lines"
        is_print = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
        prints = re.search(r"cli|__main__|command_line|build_addon|^training/", relative(path))
        assert not is_print or prints or path in TESTS, f"print at line {node.lineno}"


def run(*command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_ruff() -> None:
    run("ruff", "check", *PACKAGES, "tests", "build_addon.py")


def test_mypy() -> None:
    run("mypy")
