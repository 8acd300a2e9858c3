# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lsf_backend.model import config  # noqa: E402
from lsf_backend.model.hifb import PairAttention  # noqa: E402
from tests.model.conftest import shrink  # noqa: E402
from training.bench.measure import growth_exponent, peak_bytes  # noqa: E402
from training.bench.memory import noise  # noqa: E402
from training.bench.pairwise import pairwise_attention  # noqa: E402
from training.bench.train import measure_training  # noqa: E402


def test_peak_counts_what_is_alive_at_once():
    x = torch.zeros(1000, 1000)
    million = 1000 * 1000 * 4
    assert peak_bytes(lambda: x + 1) == million
    assert peak_bytes(lambda: ((x + 1) + 1) + 1) == 2 * million
    assert peak_bytes(lambda: x.t()[:10]) == 0


def test_fusion_memory_grows_linearly_where_pairs_grow_with_the_square():
    module = PairAttention(shrink(config.paper()).sie).eval()
    sizes = (64, 128, 256)
    costs = {module: [], pairwise_attention: []}
    with torch.inference_mode():
        for n in sizes:
            inputs = [torch.randn(1, k, 16) for k in (4, n, n)]
            costs[module].append(peak_bytes(lambda i=inputs: module(*i)))
            costs[pairwise_attention].append(
                peak_bytes(lambda i=inputs: pairwise_attention(module, *i))
            )
    assert growth_exponent(sizes, costs[module]) < 1.05
    assert growth_exponent(sizes, costs[pairwise_attention]) > 1.9


def test_noise_is_the_same_wherever_it_is_read():
    whole = noise(0, 50_000, 40_000)
    assert whole.size == 40_000
    assert np.array_equal(noise(15_000, 9_000, 40_000), whole[15_000:24_000])
    assert noise(40_000, 5, 40_000).size == 0


def test_training_is_measured_both_ways():
    row = measure_training(shrink(config.compact()), "cpu", clips=2, batch=2)
    for stage in ("stage1", "stage2"):
        speed_up = row[f"{stage}_batched"] / row[f"{stage}_single"]
        assert row[f"{stage}_speed_up"] == pytest.approx(speed_up, abs=0.3) and speed_up > 0


@pytest.mark.slow
def test_the_command_writes_json(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "training.bench", "training", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(out.read_text())["training"][0]["size"] == "compact"
