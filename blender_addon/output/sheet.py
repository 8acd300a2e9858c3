# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet: frames of a take side by side, each with its time and its strongest shapes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bpy
import numpy as np

from ..rig.timing import seconds_from_scene_frame
from .files import written_whole
from .video import render_still

COLUMNS = 4
FRAMES = 12
TILE = 320


def contact_sheet(
    scene: bpy.types.Scene,
    head: bpy.types.Object,
    path: Path,
    caption: str = "",
    count: int = FRAMES,
    tile: int = TILE,
) -> None:
    """Render ``count`` frames, spread over the scene's range, and paste them into one .png."""
    span = np.linspace(scene.frame_start, scene.frame_end, count + 2)[1:-1]
    frames = [float(round(frame)) for frame in span]
    fps = scene.render.fps / scene.render.fps_base
    tiles = []
    with tempfile.TemporaryDirectory(prefix="lsf-sheet-") as folder:
        for index, frame in enumerate(frames):
            still = Path(folder) / f"{index}.png"
            scene.frame_set(int(frame))
            seconds = seconds_from_scene_frame(frame, scene.frame_start, fps)
            note = f"{seconds:.2f} s  {caption}\n{strongest(head)}"
            render_still(scene, head, frame, still, note, tile)
            tiles.append(_pixels(still))
    rows = -(-count // COLUMNS)
    height, width = tiles[0].shape[:2]
    sheet = np.ones((rows * height, COLUMNS * width, 4), dtype=np.float32)
    for index, pixels in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        top = (rows - 1 - row) * height  # Blender's images begin at the bottom
        sheet[top : top + height, column * width : (column + 1) * width] = pixels
    _save(sheet, path)


def strongest(head: bpy.types.Object, count: int = 2) -> str:
    """Give the shapes with the largest weights at the present frame, in words."""
    blocks = head.data.shape_keys.key_blocks[1:]
    order = sorted(blocks, key=lambda block: -abs(block.value))[:count]
    return ", ".join(f"{block.name} {block.value:.2f}" for block in order)


def _pixels(path: Path) -> np.ndarray:
    image = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        values = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(values)
        return values.reshape(height, width, 4)
    finally:
        bpy.data.images.remove(image)


def _save(sheet: np.ndarray, path: Path) -> None:
    height, width = sheet.shape[:2]
    image = bpy.data.images.new("LSF contact sheet", width, height)
    try:
        image.pixels.foreach_set(np.ascontiguousarray(sheet).ravel())
        with written_whole(path) as temporary:
            image.filepath_raw, image.file_format = str(temporary), "PNG"
            image.save()
    finally:
        bpy.data.images.remove(image)
