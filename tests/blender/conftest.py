# SPDX-License-Identifier: Apache-2.0
"""Tests inside bpy: an empty Blender for each, the add-on registered, a fake backend."""

import os
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="lsf-blender-"))
bpy = pytest.importorskip("bpy")

import blender_addon  # noqa: E402
from blender_addon import runtime  # noqa: E402
from blender_addon.bridge.launch import Launch  # noqa: E402
from blender_addon.rig import fitted  # noqa: E402
from lsf_backend.face.arkit import ARKIT_NAMES  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.blender)


def fake_launch(*arguments: str) -> Launch:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    command = (sys.executable, str(HERE / "fake_backend.py"), *arguments)
    return Launch(command, environment, "a test")


@pytest.fixture(autouse=True)
def empty_blender(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.edit.use_global_undo = True
    blender_addon.register()
    fitted.forget()
    monkeypatch.setattr(runtime.launch, "choose", lambda python="": fake_launch())
    yield
    blender_addon.unregister()


@pytest.fixture
def scene() -> "bpy.types.Scene":
    return bpy.context.scene


@pytest.fixture
def speech(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "hello.wav", seconds: float = 3.0) -> Path:
        path = tmp_path / name
        t = np.arange(int(16000 * seconds)) / 16000
        sound = (8000 * np.sin(2 * np.pi * 220 * t)).astype("<i2")
        with wave.open(str(path), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(16000)
            stream.writeframes(sound.tobytes())
        return path

    return make


def make_face(name: str = "Face", names: tuple[str, ...] = ARKIT_NAMES) -> "bpy.types.Object":
    """A small grid whose shape keys move different vertices by 10 mm along different ways."""
    side = 8
    grid = [(x / side, 0.0, z / side) for z in range(side) for x in range(side)]
    quads = [
        (z * side + x, z * side + x + 1, (z + 1) * side + x + 1, (z + 1) * side + x)
        for z in range(side - 1)
        for x in range(side - 1)
    ]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(grid, [], quads)
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    if not names:
        return obj
    obj.shape_key_add(name="Basis")
    rest = np.array(grid, dtype=np.float32)
    rng = np.random.default_rng(0)
    for shape in names:
        block = obj.shape_key_add(name=shape, from_mix=False)
        moved = rest + 0.01 * rng.normal(size=rest.shape).astype(np.float32)
        block.data.foreach_set("co", moved.ravel())
    return obj


@pytest.fixture
def face() -> "bpy.types.Object":
    return make_face()


def animate(path: Path, **settings: object) -> set[str]:
    """Press the button in background."""
    for name, value in settings.items():
        setattr(bpy.context.scene.lsf, name, value)
    bpy.context.scene.lsf.audio = str(path)
    try:
        return bpy.ops.lsf.animate()
    except RuntimeError:  # an operator's ERROR report
        return {"CANCELLED"}
