# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from lsf_backend.engine import registry
from tests.backend import engines
from tests.backend.sounds import speechlike, write_wav


@pytest.fixture(autouse=True)
def test_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_factories", dict(registry._factories))
    engines.register_all()


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """5.02 s of something like speech: 125 whole frames."""
    return write_wav(tmp_path / "Привет мир.wav", speechlike(5.02))
