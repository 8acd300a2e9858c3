# SPDX-License-Identifier: Apache-2.0
"""A kill at any moment costs a clip, and half a store is never a store."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.data import prepare as prepare_module
from training.data.clips import BadClip, PrepareConfig, SourceError
from training.data.journal import JOURNAL
from training.data.prepare import prepare
from training.data.store import AUDIO, BETAS, FACTS, FILES, MOTION, Store

from .conftest import add_cache_clip, tone, write_wav

CONFIG = PrepareConfig()
MADE = (*FILES, FACTS, JOURNAL, "report.json", "report.md")


class Stop(Exception):
    """Stands for a kill."""


def contents(folder: Path) -> dict[str, bytes]:
    assert {path.name for path in folder.iterdir()} == set(MADE)
    return {name: (folder / name).read_bytes() for name in MADE}


@pytest.fixture
def whole(cache: Path) -> dict[str, bytes]:
    prepare(cache, cache.parent / "whole", CONFIG)
    return contents(cache.parent / "whole")


def stop_after(clips: int, cache: Path, out: Path) -> None:
    """Run until ``clips`` clips are done."""

    def progress(done: int, total: int) -> None:
        if done == clips:
            raise Stop

    with pytest.raises(Stop):
        prepare(cache, out, CONFIG, progress)


def read_clips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the sounds that are read from now on."""
    read: list[str] = []
    original = prepare_module.read_audio

    def counted(path: Path) -> np.ndarray:
        read.append(path.stem)
        return original(path)

    monkeypatch.setattr(prepare_module, "read_audio", counted)
    return read


@pytest.mark.parametrize("clips", range(1, 7))
def test_a_resumed_run_is_byte_for_byte_the_whole_one(
    cache: Path, whole: dict[str, bytes], clips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = cache.parent / "out"
    stop_after(clips, cache, out)
    assert not out.exists()
    with pytest.raises(SourceError, match="not a finished store"):
        Store.open(cache.parent / "out.unfinished")
    read = read_clips(monkeypatch)
    prepare(cache, out, CONFIG)
    assert len(read) == 6 - clips
    assert contents(out) == whole and not (cache.parent / "out.unfinished").exists()


@pytest.mark.parametrize("moment", ["append", "tell", "facts", "rename"])
def test_a_process_killed_in_the_middle_of_writing(
    cache: Path, whole: dict[str, bytes], moment: str
) -> None:
    out = cache.parent / "out"
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed.py")), moment, str(cache), str(out)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists() and (cache.parent / "out.unfinished" / JOURNAL).is_file()
    prepare(cache, out, CONFIG)
    assert contents(out) == whole and Store.open(out).verify() == []


@pytest.mark.parametrize("name", [*FILES, JOURNAL])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_files_that_lost_bytes_in_a_power_cut(
    cache: Path, whole: dict[str, bytes], name: str, damage: str
) -> None:
    out = cache.parent / "out"
    stop_after(4, cache, out)
    path = cache.parent / "out.unfinished" / name
    content = path.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:middle])
    else:
        path.write_bytes(content[:middle] + bytes(8) + content[middle + 8 :])
    prepare(cache, out, CONFIG)
    assert contents(out) == whole


def test_a_file_that_changed_between_two_runs_is_read_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = cache.parent / "out"
    stop_after(4, cache, out)
    write_wav(cache / "wav" / "M032_001_0_0.wav", tone(17 / 25, seed=99))
    read = read_clips(monkeypatch)
    prepare(cache, out, CONFIG)
    assert read == ["M032_001_0_0", "M032_030_6_2", "M037_001_0_0", "M037_030_6_2"]
    np.testing.assert_array_equal(Store.open(out).audio(2) * 32768, tone(17 / 25, seed=99))


def test_a_mended_clip_comes_in_and_refusing_goes_on_from_it(cache: Path) -> None:
    out, sound = cache.parent / "out", cache / "wav" / "M032_001_0_0.wav"
    good = sound.read_bytes()
    sound.unlink()
    with pytest.raises(BadClip):
        prepare(cache, out, PrepareConfig(on_bad="refuse"))
    stop_after(4, cache, out)  # skipped it
    with pytest.raises(BadClip):
        prepare(cache, out, PrepareConfig(on_bad="refuse"))
    sound.write_bytes(good)
    assert prepare(cache, out, PrepareConfig(on_bad="refuse")).kept == 6


def test_a_finished_store_is_left_as_it_is(cache: Path, whole: dict[str, bytes]) -> None:
    out = cache.parent / "whole"
    assert prepare(cache, out, CONFIG).was_there
    with pytest.raises(SourceError, match="betas was 'first', now 'mean'"):
        prepare(cache, out, PrepareConfig(betas="mean"))
    add_cache_clip(cache, "M037_002_0_0")
    with pytest.raises(SourceError, match="have changed"):
        prepare(cache, out, CONFIG)
    assert contents(out) == whole


def test_other_settings_do_not_go_on_with_half_a_store(cache: Path) -> None:
    out = cache.parent / "out"
    stop_after(2, cache, out)
    with pytest.raises(SourceError, match="betas was 'first', now 'mean'"):
        prepare(cache, out, PrepareConfig(betas="mean"))


def test_a_folder_with_other_things_is_never_written_into(cache: Path) -> None:
    out = cache.parent / "out"
    out.mkdir()
    prepare(cache, out, CONFIG)  # empty: it may be used
    (cache.parent / "mine").mkdir()
    (cache.parent / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(SourceError, match="not empty and no store"):
        prepare(cache, cache.parent / "mine", CONFIG)
    with pytest.raises(SourceError, match="is a file"):
        prepare(cache, cache / "param" / "M003_001_0_0.npy", CONFIG)


@pytest.mark.skipif(sys.platform == "win32", reason="a lock of POSIX")
def test_two_runs_at_once_do_not_write_into_one_store(cache: Path) -> None:
    out = cache.parent / "out"

    def second(done: int, total: int) -> None:
        if done == 3:
            with pytest.raises(SourceError, match="another process"):
                prepare(cache, out, CONFIG)

    assert prepare(cache, out, CONFIG, second).kept == 6


@pytest.mark.parametrize("name", [MOTION, AUDIO, BETAS, FACTS])
def test_a_store_with_a_cut_file_is_no_store(cache: Path, whole: dict, name: str) -> None:
    path = cache.parent / "whole" / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SourceError, match="not a finished store"):
        Store.open(cache.parent / "whole")


def test_changed_bytes_are_found_by_their_checksum(cache: Path, whole: dict) -> None:
    path = cache.parent / "whole" / AUDIO
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = Store.open(cache.parent / "whole")
    assert store.verify() == [store.clips[-1].stem]
