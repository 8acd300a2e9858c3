# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m blender_addon animate speech.wav --out x.blend``: the add-on under pip's bpy."""

import os
import sys
import tempfile


def main() -> int:
    """Register the add-on in a Blender without settings, run the command, take it away again."""
    with tempfile.TemporaryDirectory(prefix="lsf-blender-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("BLENDER_USER_RESOURCES", folder)
        try:
            import bpy
        except ImportError as error:
            print(
                f'Blender is not here: {error}. Install it: pip install "lsf-animation[blender]"',
                file=sys.stderr,
            )
            return 2
        import blender_addon

        bpy.ops.wm.read_factory_settings(use_empty=True)
        blender_addon.register()
        from blender_addon import command_line

        try:
            return command_line.main(sys.argv[1:], "python -m blender_addon")
        finally:
            blender_addon.unregister()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # bpy 4.2 crashes at Python's end after a glTF export; everything is closed
