# SPDX-License-Identifier: Apache-2.0
"""Registering twice leaves one add-on, unregistering none: no class, handler or process."""

import os
import subprocess
import sys
import time
from pathlib import Path

import bpy

import blender_addon
from blender_addon import runtime

from .conftest import animate


def traces() -> dict:
    return {
        "classes": sorted(name for name in dir(bpy.types) if name.startswith(("LSF", "LSF_PT"))),
        "operators": sorted(name for name in dir(bpy.ops) if name == "lsf"),
        "property": hasattr(bpy.types.Scene, "lsf"),
        "handlers": len(bpy.app.handlers.load_pre),
    }


def test_register_and_unregister_are_symmetric_twice() -> None:
    with_it = traces()
    assert with_it["property"] and with_it["classes"]
    blender_addon.unregister()
    without = traces()
    assert not without["property"] and not without["classes"] and not without["operators"]
    assert without["handlers"] == with_it["handlers"] - 1
    blender_addon.register()
    assert traces() == with_it
    blender_addon.unregister()
    assert traces() == without
    blender_addon.register()


def test_no_process_outlives_the_add_on(face, speech) -> None:
    animate(speech(), head=face)
    pid = runtime.backend().pid
    os.kill(pid, 0)
    blender_addon.unregister()
    try:
        for _ in range(50):
            os.kill(pid, 0)
            time.sleep(0.05)
        raise AssertionError("the backend still runs")
    except ProcessLookupError:
        pass
    finally:
        blender_addon.register()


def test_loading_another_file_ends_the_take_in_the_making(scene, face, speech) -> None:
    from blender_addon.properties import take_settings
    from blender_addon.take import Take

    scene.lsf.head, scene.lsf.audio = face, str(speech("slow.wav"))
    take = runtime.current = Take(runtime.backend(), scene, take_settings(scene.lsf), [])
    while not take.action_name:
        take.step(0.2)
    bpy.ops.wm.read_homefile(use_empty=True)
    assert runtime.current is None and take.finished
    assert animate(speech()) == {"FINISHED"}


def test_the_panels_draw(scene, face, speech) -> None:
    """Every panel's draw runs, by its text: labels come out through a stand-in layout."""
    from blender_addon import panels

    class Layout:
        said: list[str] = []

        def __getattr__(self, name: str):
            def call(*args, **kwargs):
                self.said.append(str(kwargs.get("text", "")))
                return Layout()

            return call

    for settings in ({}, {"head": face}, {"audio": str(speech())}):
        for name, value in settings.items():
            setattr(scene.lsf, name, value)
        for panel in panels.CLASSES:
            if panel is panels.LSF_PT_takes and not panel.poll(bpy.context):
                continue
            holder = type("Drawn", (), dict(panel.__dict__))()
            holder.layout = Layout()
            panel.draw(holder, bpy.context)
    text = " ".join(Layout.said)
    assert "Choose a sound file." in text
    assert "52 of 52" in text


def test_a_python_that_used_the_add_on_ends_well() -> None:
    """4.2 used to crash at its end over the settings' functions."""
    script = "import bpy, blender_addon as a; a.register(); a.unregister()"
    environment = {**os.environ, "PYTHONPATH": str(Path(blender_addon.__file__).parents[1])}
    told = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert told.returncode == 0
