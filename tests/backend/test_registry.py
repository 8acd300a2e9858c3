# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from lsf_backend.engine import registry
from lsf_backend.errors import ERROR_CODES, LsfError
from tests.backend.engines import ENGINES


def test_every_engine_is_listed_with_a_reason_if_it_cannot_run() -> None:
    infos = {name: registry.engine_info(name) for name in registry.engine_names()}
    assert {"compact", "lsf", *ENGINES} <= set(infos)
    assert infos["test"].available and infos["test"].face_space == "head"
    for name in ("absent", "no-module", "no-package", "inside-out"):
        assert not infos[name].available and infos[name].reason.endswith("."), name
    assert "a_package_that_nobody_has" in infos["no-package"].reason


@pytest.mark.parametrize("name", ["absent", "no-module", "no-package", "nobody", ""])
def test_an_engine_that_cannot_run_says_why_once(name: str) -> None:
    with pytest.raises(LsfError) as caught:
        registry.create_engine(name)
    assert caught.value.code == "engine_unavailable" and caught.value.user_fault
    assert str(caught.value).count("cannot run") <= 1


def test_a_later_registration_replaces_an_earlier_one() -> None:
    registry.register_engine("absent", ENGINES["test"])  # type: ignore[arg-type]
    assert registry.engine_info("absent").available


def test_listing_the_engines_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from lsf_backend.engine.registry import engine_info\n"
        "engine_info('compact'), engine_info('lsf')\n"
        "print(sorted({'torch', 'transformers', 'funasr', 'scipy.signal'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_codes_have_a_fault_and_can_be_overruled() -> None:
    for code, user_fault in ERROR_CODES.items():
        assert LsfError(code, "A sentence.").user_fault is user_fault
    assert LsfError("model_missing", "A sentence.", user_fault=False).user_fault is False
    assert str(LsfError("busy", "It works.", "Wait.")) == "It works. Wait."
