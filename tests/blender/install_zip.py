# SPDX-License-Identifier: Apache-2.0
"""Installs a built zip into this Python's bpy, as drag and drop does, and makes a take with it.

python tests/blender/install_zip.py dist/lsf_animation-...zip   (the bpy and the zip must fit)
"""

import importlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = "bl_ext.user_default.lsf_animation"


def main(archive: Path) -> int:
    """Give 0 where the installed add-on, with its own wheels, saved a file."""
    sys.path = [place for place in sys.path if Path(place or ".").resolve() != ROOT]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BLENDER_USER_RESOURCES"] = folder
        import bpy

        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.extensions.package_install_files(
            filepath=str(archive.resolve()), repo="user_default", enable_on_install=True
        )
        command = importlib.import_module(f"{MODULE}.command_line")
        launch = importlib.import_module(f"{MODULE}.bridge.launch")
        places = launch.package_folders()
        assert all(place.startswith(folder) for place in places[:1]), places
        out = Path(folder) / "out.blend"
        code = command.main(["animate", str(command.sample_sound()), "--out", str(out)])
        assert code == 0 and out.stat().st_size > 100_000
        print(f"Blender {bpy.app.version_string}, Python {sys.version.split()[0]}: {places}")
        bpy.ops.preferences.addon_disable(module=MODULE)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    os._exit(main(Path(sys.argv[1])))
