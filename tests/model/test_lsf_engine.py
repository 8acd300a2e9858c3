# SPDX-License-Identifier: Apache-2.0
import dataclasses
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from lsf_backend.engine import lsf as engine_module  # noqa: E402
from lsf_backend.engine.base import AnimateJob  # noqa: E402
from lsf_backend.engine.lsf import LSFEngine, warm_models  # noqa: E402
from lsf_backend.engine.warm import WarmStore  # noqa: E402
from lsf_backend.errors import LsfError  # noqa: E402
from lsf_backend.model import config, emotion2vec, hubert  # noqa: E402
from lsf_backend.model.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from lsf_backend.model.checkpoint_info import CheckpointInfo  # noqa: E402
from lsf_backend.model.encoders import SpeechEncoders  # noqa: E402
from lsf_backend.model.lsf import LSFModel  # noqa: E402
from lsf_backend.model.weight_folders import WeightFolders, weight_folders  # noqa: E402
from tests.model.conftest import needs_funasr, shrink  # noqa: E402
from tests.model.test_encoders import (  # noqa: E402
    SMALL,
    SMALL_E2V,
    small_emotion2vec,
    small_hubert,
    voice,
)

pytestmark = needs_funasr


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A checkpoint and both encoders in miniature, in the layout that users have."""
    torch.manual_seed(0)
    cfg = shrink(config.paper())
    sie = dataclasses.replace(cfg.sie, d_motion_features=16, d_emotion_features=32)
    model = LSFModel(dataclasses.replace(cfg, sie=sie))
    info = CheckpointInfo(model.config, "2020", "none", "for tests")
    save_checkpoint(tmp_path / "lsf", model, info)
    (tmp_path / "h").mkdir()
    (tmp_path / "e").mkdir()
    torch.save(small_hubert().network.state_dict(), tmp_path / "h" / "pytorch_model.bin")
    torch.save({"model": small_emotion2vec().network.state_dict()}, tmp_path / "e" / "model.pt")
    build_h, build_e = hubert.build_hubert, emotion2vec.build_emotion2vec
    monkeypatch.setattr(hubert, "build_hubert", lambda: build_h(**SMALL))
    monkeypatch.setattr(emotion2vec, "build_emotion2vec", lambda: build_e(**SMALL_E2V))
    yield WeightFolders(tmp_path / "h", tmp_path / "e", tmp_path / "lsf")
    warm_models().drop()


def job(seconds=2.0, cancelled=lambda: False, **changes):
    samples = voice(seconds)
    audio = types.SimpleNamespace(
        n_samples=samples.size, read=lambda start, count: samples[start : start + count]
    )
    fields = {
        "audio": audio,
        "betas": None,
        "seed": 1,
        "temperature": 0.0,
        "device": "cpu",
        "progress": lambda s, f: None,
        "cancelled": cancelled,
    }
    return AnimateJob(**(fields | changes))


def test_engine_gives_all_frames_and_keeps_the_model_warm(folders, monkeypatch):
    loads = []
    real = LSFEngine._load
    monkeypatch.setattr(LSFEngine, "_load", lambda self, d: loads.append(d) or real(self, d))
    stages = set()
    chunks = list(LSFEngine(folders).animate(job(progress=lambda s, f: stages.add(s))))
    assert [c.first_frame for c in chunks] == [0] and chunks[0].motion.shape == (50, 53)
    again = list(LSFEngine(folders).animate(job()))
    assert np.array_equal(chunks[0].motion, again[0].motion)
    assert loads == ["cpu"] and "loading" in stages


def test_info_needs_no_torch_and_names_digest_and_devices(folders):
    info = LSFEngine(folders).info()
    assert info.available and info.face_space == "flame" and len(info.digest) == 64
    assert info.devices[-1] == "cpu" and info.license == "for tests"
    assert info.flame_version == "2020" and "runs on" in info.reason
    code = (
        "import sys; from lsf_backend.engine.lsf import LSFEngine; i = LSFEngine().info();"
        "assert not i.available and i.reason, i; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_is_missing_is_said(folders, tmp_path):
    (folders.hubert / "pytorch_model.bin").unlink()
    info = LSFEngine(folders).info()
    assert not info.available
    assert "HuBERT" in info.reason and str(folders.hubert) in info.reason
    nothing = WeightFolders(tmp_path / "x", tmp_path / "y", tmp_path / "z")
    assert "no checkpoint" in LSFEngine(nothing).info().reason


def test_cancel_is_answered_within_half_a_second(folders, monkeypatch):
    """Every layer takes a second here; the answer must not wait for one."""
    began = threading.Event()

    def slow(self, audio, clip=None):
        began.set()
        time.sleep(1.0)
        return torch.zeros(1, audio.shape[1] // 320, 16)

    list(LSFEngine(folders).animate(job()))
    monkeypatch.setattr(hubert.HubertEncoder, "forward", slow)
    asked = []

    def cancelled():
        if began.is_set() and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    assert list(LSFEngine(folders).animate(job(cancelled=cancelled))) == []
    assert time.monotonic() - asked[0] < 0.5
    monkeypatch.undo()


def test_errors_of_the_worker_reach_the_job(folders):
    (folders.emotion2vec / "model.pt").write_bytes(b"not a model")
    with pytest.raises(LsfError, match=r"model\.pt"):
        list(LSFEngine(folders).animate(job()))


def test_a_model_that_does_not_fit_is_a_sentence(folders, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SpeechEncoders, "load", full)
    with pytest.raises(LsfError, match="too little memory to load"):
        list(LSFEngine(folders).animate(job()))


def test_unknown_device_and_precision_are_refused(folders, monkeypatch):
    if not torch.cuda.is_available():
        with pytest.raises(LsfError, match="finds no device 'cuda'"):
            list(LSFEngine(folders).animate(job(device="cuda")))
    monkeypatch.setenv("LSF_PRECISION", "half")
    with pytest.raises(LsfError, match="float32 or int8"):
        list(LSFEngine(folders).animate(job()))


def test_the_window_may_be_chosen(folders, monkeypatch):
    monkeypatch.setenv("LSF_WINDOW_S", "2")
    chunks = list(LSFEngine(folders).animate(job(seconds=5.0)))
    assert len(chunks) == 3 and sum(len(c.motion) for c in chunks) == 125
    for wrong in ("1", "nan", "ten"):
        monkeypatch.setenv("LSF_WINDOW_S", wrong)
        with pytest.raises(LsfError, match="from 2 to 600"):
            list(LSFEngine(folders).animate(job()))


def test_int8_runs_and_stays_close(folders, monkeypatch):
    exact = list(LSFEngine(folders).animate(job()))[0].motion
    monkeypatch.setenv("LSF_PRECISION", "int8")
    near = list(LSFEngine(folders).animate(job()))[0].motion
    assert near.shape == exact.shape and np.isfinite(near).all()
    assert warm_models().key[-1] == "int8"


def test_warm_store_unloads_when_idle_and_never_during_use():
    dropped, loads = [], []
    store = WarmStore(0.1, lambda: dropped.append(1))
    with store.use("a", lambda: loads.append(1) or object()):
        time.sleep(0.25)
        assert not dropped
    with store.use("a", lambda: loads.append(1) or object()):
        pass
    assert len(loads) == 1
    deadline = time.monotonic() + 10
    while not dropped and time.monotonic() < deadline:
        time.sleep(0.02)
    assert dropped and store.key is None


def test_folders_follow_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LSF_MODELS", str(tmp_path))
    monkeypatch.setenv("LSF_HUBERT", str(tmp_path / "elsewhere"))
    folders = weight_folders()
    assert folders.hubert == tmp_path / "elsewhere"
    assert folders.emotion2vec == tmp_path / "emotion2vec_base"
    assert folders.checkpoint == tmp_path / "lsf"


def test_device_choice_gives_a_reason():
    choice = engine_module.choose_device("auto")
    assert choice.name in ("cuda", "mps", "cpu") and choice.reason.startswith("running on")


def test_fine_tuned_hubert_inside_a_checkpoint_is_used_and_needs_no_folder(folders):
    plain = list(LSFEngine(folders).animate(job()))[0].motion
    tuned = dict(hubert.build_hubert().state_dict())
    tuned = {k: v + 0.1 * torch.randn_like(v) if v.dim() > 1 else v for k, v in tuned.items()}
    old = load_checkpoint(folders.checkpoint)
    save_checkpoint(folders.checkpoint, old.model, old.info, tuned)
    (folders.hubert / "pytorch_model.bin").unlink()
    assert LSFEngine(folders).info().available
    again = list(LSFEngine(folders).animate(job()))[0].motion
    assert not np.allclose(plain, again, atol=1e-4)
