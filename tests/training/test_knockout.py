# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model.lsf import LSFModel  # noqa: E402
from training.data.cache import D_MOTION  # noqa: E402
from training.data.clips import ClipName  # noqa: E402
from training.knockout import changes, knock_out  # noqa: E402
from training.left_out import LENGTH, Heard  # noqa: E402
from training.settings import model_config  # noqa: E402


def heard() -> list[Heard]:
    rng = np.random.default_rng(0)
    return [
        Heard(
            rng.standard_normal((2 * LENGTH, D_MOTION)).astype(np.float32),
            rng.standard_normal(300).astype(np.float32),
            0.2 * rng.random((LENGTH, 53)).astype(np.float32),
            ClipName(f"S{subject:03d}", "001", emotion, 0),
        )
        for subject in range(4)
        for emotion in range(2)
    ]


def test_each_part_is_taken_from_where_it_is_and_from_nowhere_else() -> None:
    crops = heard()
    full = changes(crops)["everything"](crops[0])
    for name, touched in (
        ("no emotion stream", [False, True, False]), ("no identity", [False, False, True]),
        ("no upper layer", [True, False, False]), ("no lower layer", [True, True, False]),
        ("no prosody", [True, True, False]),
    ):  # fmt: skip
        got = changes(crops)[name](crops[0])
        differs = [not np.array_equal(a, b) for a, b in zip(full, got, strict=True)]
        assert differs == touched, name
    assert np.array_equal(crops[0].features, heard()[0].features)


def test_the_model_is_as_it_was_afterwards() -> None:
    torch.manual_seed(0)
    model = LSFModel(model_config("compact", {"vq": {"n_levels": 1, "n_codes": 16}})).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = knock_out(model, heard())
    assert {"everything", "no fusion", "no codes", "no emotion stream"} <= set(found)
    assert found["no codes"] != found["everything"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
