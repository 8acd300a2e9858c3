# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from lsf_backend.model import config  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402
from tests.model.conftest import shrink  # noqa: E402


@pytest.mark.filterwarnings("ignore")
def test_compact_exports_with_a_free_time_axis_and_agrees():
    pytest.importorskip("onnx")
    torch.manual_seed(0)
    cfg = shrink(config.compact())
    model = LSFModel(cfg).eval()

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, m, e, betas, temperature, uniform):
            return self.model(m, e, betas, None, temperature, uniform).motion

    def inputs(t):
        return (
            torch.randn(1, 2 * t, cfg.sie.d_motion_features),
            torch.randn(1, 2 * t, cfg.sie.d_emotion_features),
            torch.randn(1, 300),
            torch.tensor(1.0),
            torch.rand(1, t, cfg.vq.n_draws),
        )

    names = ["m", "e", "betas", "temperature", "uniform"]
    axes = {"m": {1: "t50"}, "e": {1: "t50"}, "uniform": {1: "t"}}
    file = io.BytesIO()
    torch.onnx.export(
        Whole(),
        inputs(10),
        file,
        input_names=names,
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    session = ort.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for t in (10, 37):
        args = inputs(t)
        (got,) = session.run(None, {n: x.numpy() for n, x in zip(names, args, strict=True)})
        with torch.no_grad():
            want = Whole()(*args).numpy()
        assert np.abs(got - want).max() < 1e-4
