# SPDX-License-Identifier: Apache-2.0
"""Which compact model is in use: one that the user put in place, or the bundled one."""

from pathlib import Path

import pytest

from lsf_backend.engine.compact import CompactEngine
from lsf_backend.engine.compact_files import FOLDER, compact_folder


def test_an_own_model_goes_before_the_bundled_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LSF_COMPACT", raising=False)
    monkeypatch.setenv("LSF_MODELS", str(tmp_path))
    assert compact_folder() == FOLDER and CompactEngine().info().reason == ""
    own = tmp_path / "compact"
    own.mkdir()
    assert compact_folder() == FOLDER  # nothing in it yet
    (own / "config.json").write_bytes((FOLDER / "config.json").read_bytes())
    assert compact_folder() == own
    assert str(own) in CompactEngine().info().reason
    monkeypatch.setenv("LSF_COMPACT", str(tmp_path / "named"))
    assert compact_folder() == tmp_path / "named"
    assert not CompactEngine().info().available
