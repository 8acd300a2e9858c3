# SPDX-License-Identifier: Apache-2.0
"""Names, times and files: the parts of the add-on that need no Blender."""

from pathlib import Path

import numpy as np
import pytest

from blender_addon.output import files
from blender_addon.rig import timing
from blender_addon.rig.names import ARKIT_NAMES, match, plain
from lsf_backend.face.arkit import ARKIT_NAMES as ORDER


def test_the_add_on_and_the_backend_name_the_same_shapes() -> None:
    assert tuple(ARKIT_NAMES) == tuple(ORDER)
    assert len({plain(name) for name in ARKIT_NAMES}) == 52


@pytest.mark.parametrize(
    "spelling", ["jawOpen", "JawOpen", "jaw_open", "JAW-OPEN", "jaw.open", " jaw Open"]
)
def test_any_spelling_of_a_name_matches(spelling) -> None:
    assert match(ARKIT_NAMES, ["Basis", spelling]) == {"jawOpen": spelling}


def test_sides_may_be_letters_but_only_at_the_end() -> None:
    keys = ["eyeBlink_L", "eyeBlink.R", "mouth_L_mole", "browDown_Left"]
    assert match(ARKIT_NAMES, keys) == {
        "eyeBlinkLeft": "eyeBlink_L",
        "eyeBlinkRight": "eyeBlink.R",
        "browDownLeft": "browDown_Left",
    }


@pytest.mark.parametrize("fps", [24.0, 25.0, 30 / 1.001, 30.0, 60.0])
def test_times_survive_the_way_to_the_scene_and_back(fps) -> None:
    frames = timing.scene_frames_from_motion(100, 50, 12.0, fps)
    seconds = [timing.seconds_from_scene_frame(frame, 12.0, fps) for frame in frames]
    assert np.allclose(seconds, np.arange(100, 150) / 25, atol=1e-12)


def test_the_last_frame_holds_the_whole_sound() -> None:
    assert timing.last_scene_frame(3.0, 1, 25.0) == 75
    assert timing.last_scene_frame(3.01, 1, 25.0) == 76
    assert timing.last_scene_frame(0.01, 1, 24.0) == 1


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.fbx"
    with pytest.raises(files.OutputError, match="did not write"), files.written_whole(path):
        pass
    with pytest.raises(RuntimeError), files.written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with files.written_whole(path) as temporary:
        temporary.write_text("all")
    assert [p.name for p in tmp_path.iterdir()] == ["x.fbx"]


def test_outputs_are_refused_before_work_begins(tmp_path: Path) -> None:
    (tmp_path / "x.fbx").write_text("mine")
    with pytest.raises(files.OutputError, match="exists already"):
        files.check(tmp_path / "x.fbx", overwrite=False)
    files.check(tmp_path / "x.fbx", overwrite=True)
    with pytest.raises(files.OutputError, match="is a folder"):
        files.check(tmp_path, overwrite=True)
    with pytest.raises(files.OutputError, match="cannot be written"):
        files.check(tmp_path / "x.fbx" / "y.fbx", overwrite=True)
