# SPDX-License-Identifier: Apache-2.0
"""A FLAME file with a real face in it, made once: the bundled head in disguise."""

from pathlib import Path

import pytest

from tests.face.flame_disguise import write_disguise


@pytest.fixture(scope="session")
def flame_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_disguise(tmp_path_factory.mktemp("flame") / "flame2020.npz")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("LSF_CACHE_DIR", str(folder))
    return folder
