# SPDX-License-Identifier: Apache-2.0
"""The real backend with the ``lsf`` engine in miniature: FLAME 2020 space, random small weights.

``python small_lsf_backend.py FOLDER``: the weights are made in FOLDER, then it serves.
"""

import dataclasses
import sys
from pathlib import Path

import torch

from lsf_backend import serve
from lsf_backend.engine.lsf import LSFEngine
from lsf_backend.engine.registry import register_engine
from lsf_backend.model import config, emotion2vec, hubert
from lsf_backend.model.checkpoint import save_checkpoint
from lsf_backend.model.checkpoint_info import CheckpointInfo
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.weight_folders import WeightFolders
from tests.model.conftest import shrink
from tests.model.test_encoders import SMALL, SMALL_E2V, small_emotion2vec, small_hubert


def weights(folder: Path) -> WeightFolders:
    """A checkpoint and both encoders in the layout that users have."""
    torch.manual_seed(0)
    small = shrink(config.paper())
    sie = dataclasses.replace(small.sie, d_motion_features=16, d_emotion_features=32)
    model = LSFModel(dataclasses.replace(small, sie=sie))
    save_checkpoint(folder / "lsf", model, CheckpointInfo(model.config, "2020", "none", "tests"))
    for name in ("h", "e"):
        (folder / name).mkdir(exist_ok=True)
    torch.save(small_hubert().network.state_dict(), folder / "h" / "pytorch_model.bin")
    torch.save({"model": small_emotion2vec().network.state_dict()}, folder / "e" / "model.pt")
    return WeightFolders(folder / "h", folder / "e", folder / "lsf")


if __name__ == "__main__":
    folders = weights(Path(sys.argv[1]))
    build_h, build_e = hubert.build_hubert, emotion2vec.build_emotion2vec
    hubert.build_hubert = lambda: build_h(**SMALL)
    emotion2vec.build_emotion2vec = lambda: build_e(**SMALL_E2V)
    register_engine("lsf", lambda: LSFEngine(folders))
    serve.main()
