# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from lsf_backend.errors import LsfError  # noqa: E402
from lsf_backend.model import config  # noqa: E402
from lsf_backend.model.encoders import SpeechEncoders  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402
from lsf_backend.model.pipeline import Pipeline, Request  # noqa: E402
from lsf_backend.model.windows import measure_clip, window_audio, windows  # noqa: E402
from tests.model.conftest import needs_funasr, shrink  # noqa: E402
from tests.model.test_encoders import reader, small_emotion2vec, small_hubert, voice  # noqa: E402

pytestmark = needs_funasr
BETAS = np.zeros(300, np.float32)


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    cfg = shrink(config.paper())
    sie = dataclasses.replace(cfg.sie, d_motion_features=16, d_emotion_features=32)
    model = LSFModel(dataclasses.replace(cfg, sie=sie))
    torch.nn.init.normal_(model.vqvae.quantiser.codebooks)
    return Pipeline(model, SpeechEncoders(small_hubert(), small_emotion2vec()))


def run(pipeline, audio, core=250, **fields):
    pieces = list(pipeline.run(reader(audio), audio.size, Request(BETAS, **fields), core))
    assert [p.first_frame for p in pieces] == list(
        np.cumsum([0, *(len(p.motion) for p in pieces[:-1])])
    )
    return np.concatenate([p.motion for p in pieces])


AUDIO = voice(5.03)


def test_every_frame_comes_once_and_progress_names_the_stages(pipeline):
    heard = []
    motion = run(pipeline, AUDIO, core=60, progress=lambda s, f: heard.append((s, f)))
    assert motion.shape == (125, 53) and np.isfinite(motion).all()
    assert {s for s, _ in heard} == {"listening", "speech", "emotion", "motion"}
    fractions = [f for _, f in heard]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_seeds_decide_samples_and_zero_temperature_needs_none(pipeline):
    same = [run(pipeline, AUDIO, seed=5, temperature=1.0) for _ in range(2)]
    assert np.array_equal(*same)
    assert not np.array_equal(same[0], run(pipeline, AUDIO, seed=6, temperature=1.0))
    assert np.array_equal(run(pipeline, AUDIO, seed=5), run(pipeline, AUDIO, seed=6))


def test_draws_belong_to_absolute_frames_however_windows_are_cut(pipeline):
    whole = next(windows(125, 0, 250))
    part = list(windows(125, 0, 50))[1]
    a, b = pipeline.uniforms(whole, 3)[0], pipeline.uniforms(part, 3)[0]
    assert torch.equal(a[part.start : part.stop], b)


def test_samples_share_one_pass_and_equal_single_runs(pipeline):
    window = next(windows(125))
    audio = window_audio(reader(AUDIO), window)
    clip = measure_clip(reader(AUDIO), AUDIO.size)
    features = pipeline.features(audio, clip)
    many = pipeline.samples(features, window, Request(BETAS, temperature=1.0), [1, 2, 3])
    for i, seed in enumerate((1, 2, 3)):
        one = pipeline.motion(features, window, Request(BETAS, seed=seed, temperature=1.0))
        assert np.abs(many[i] - one).max() < 1e-5


def test_samples_of_a_clip_equal_its_single_runs(pipeline):
    many = pipeline.sample_clip(reader(AUDIO), AUDIO.size, Request(BETAS, temperature=1.0), [4, 5])
    assert many.shape == (2, 125, 53)
    for i, seed in enumerate((4, 5)):
        assert np.abs(many[i] - run(pipeline, AUDIO, seed=seed, temperature=1.0)).max() < 1e-5


@pytest.mark.gpu
def test_a_gpu_in_half_precision_agrees_with_the_cpu(pipeline):
    encoders = SpeechEncoders(small_hubert(), small_emotion2vec(), "cuda", "half")
    other = Pipeline(copy.deepcopy(pipeline.model), encoders)
    window = next(windows(125))
    clip = measure_clip(reader(AUDIO), AUDIO.size)
    audio = window_audio(reader(AUDIO), window)
    want, got = pipeline.features(audio, clip), other.features(audio, clip)
    for a, b in zip(want, got, strict=True):
        assert (a - b.cpu()).square().mean().sqrt() < 0.05 * a.std()
    assert np.isfinite(other.motion(got, window, Request(BETAS))).all()


def test_out_of_memory_goes_on_in_smaller_windows_and_says_so(pipeline, monkeypatch):
    sizes, said = [], []
    real = pipeline.encoders.motion_features

    def small_only(audio, clip):
        sizes.append(audio.size // 640)
        if audio.size // 640 > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(audio, clip)

    monkeypatch.setattr(pipeline.encoders, "motion_features", small_only)
    motion = run(pipeline, AUDIO, warn=said.append)
    assert motion.shape == (125, 53)
    assert sizes[0] == 125 and max(sizes[2:]) <= 100
    assert len(said) == 2 and "out of memory" in said[0] and "windows of 5 s" in said[0]

    def never(audio, clip):
        raise MemoryError

    monkeypatch.setattr(pipeline.encoders, "motion_features", never)
    with pytest.raises(LsfError, match="too little memory"):
        run(pipeline, AUDIO)


def test_other_errors_are_not_taken_for_memory(pipeline, monkeypatch):
    def broken(audio, clip):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(pipeline.encoders, "motion_features", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        run(pipeline, AUDIO)


def test_check_stops_inside_a_window(pipeline):
    class Stop(Exception):
        pass

    calls = []

    def check():
        calls.append(1)
        if len(calls) > 12:
            raise Stop

    with pytest.raises(Stop):
        run(pipeline, AUDIO, check=check)
    assert len(calls) == 13
    run(pipeline, AUDIO)
    assert len(calls) == 13
