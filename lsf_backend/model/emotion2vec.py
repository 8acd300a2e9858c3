# SPDX-License-Identifier: Apache-2.0
"""emotion2vec-base (iic/emotion2vec_base) through FunASR's network class, from a local folder.

Only FunASR's network definition is imported. Its ``AutoModel`` is not used: it runs text from the
folder's config file and goes on with random weights where keys are missing. The architecture below
is ours to state, tensors alone come from the folder, and a key that does not fit is an error.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsf_backend.errors import LsfError
from lsf_backend.model.state_files import Tensors, load_exactly, read_tensors
from lsf_backend.model.weight_folders import EMOTION2VEC_FILES, weights_file
from lsf_backend.model.windows import ClipStats

D_FEATURES = 768
# The mask decoder and the teacher of pre-training, and a classifier, play no part in features.
_UNUSED = ("modality_encoders.AUDIO.decoder.", "_ema", "proj.")
_PREFIXES = ("module.", "d2v_model.")


def architecture(
    width: int = 768, heads: int = 12, depth: int = 8, prenet: int = 4, channels: int = 512
) -> dict[str, Any]:
    """Settings of FunASR's class for the base model; other sizes are for tests."""
    off = {"start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0}
    audio = {
        **off,
        "type": "AUDIO",
        "prenet_depth": prenet,
        "prenet_layerdrop": 0.0,
        "prenet_dropout": 0.0,
        "model_depth": depth,
        "num_extra_tokens": 10,
        "init_extra_token_zero": True,
        "local_grad_mult": 1.0,
        "use_alibi_encoder": True,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "alibi_max_pos": None,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": heads,
        "decoder": None,
        "extractor_mode": "layer_norm",
        # FunASR evaluates this text; it is made of our numbers, never read from a file.
        "feature_encoder_spec": str(
            [(int(channels), 10, 5)] + [(int(channels), 3, 2)] * 4 + [(int(channels), 2, 2)] * 2
        ),
        "conv_pos_width": 95,
        "conv_pos_groups": 16,
        "conv_pos_depth": 5,
        "conv_pos_pre_ln": False,
    }
    return {
        **off,
        "modalities": {"audio": audio},
        "depth": depth,
        "num_heads": heads,
        "embed_dim": width,
        "mlp_ratio": 4.0,
        "norm_eps": 1e-5,
        "norm_affine": True,
        "layer_norm_first": False,
        "encoder_dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "post_mlp_drop": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.0,
        "average_top_k_layers": depth,
        "end_of_block_targets": False,
        "clone_batch": 1,
        "loss_beta": 0.0,
        "loss_scale": None,
        "normalize": True,
    }


def build_emotion2vec(**sizes: int) -> nn.Module:
    """The bare network with random weights; sizes as in :func:`architecture`."""
    return _network_class()(model_conf=architecture(**sizes))


def emotion2vec_tensors(tensors: Mapping[str, Tensor]) -> Tensors:
    """Tensors of FunASR's or fairseq's layout under FunASR's names, unused parts left out."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if not name.startswith(_UNUSED):
            found[name] = tensor
    return found


class Emotion2vecEncoder(nn.Module):
    """Waveform at 16 kHz to emotion features at 50 Hz; frozen."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Emotion2vecEncoder:
        """Stay in eval mode: this encoder is frozen in every stage."""
        return super().train(False)

    @classmethod
    def load(cls, folder: Path) -> Emotion2vecEncoder:
        """Load from a folder (or file) of either layout."""
        tensors = read_tensors(weights_file(folder, EMOTION2VEC_FILES, "emotion2vec"))
        with torch.device("meta"):
            network = build_emotion2vec()
        load_exactly(network, emotion2vec_tensors(tensors), "emotion2vec-base")
        return cls(network)

    def forward(self, audio: Tensor, clip: ClipStats | None = None) -> Tensor:
        """Audio [B, N] float, -1..1, not normalised -> [B, T50, 768]; ``clip`` as in HuBERT."""
        if clip is None:
            mean = audio.mean(dim=1, keepdim=True)
            var = audio.var(dim=1, keepdim=True, unbiased=False)
        else:
            mean, var = (audio.new_tensor(x) for x in (clip.mean, clip.variance))
        x = (audio - mean) * torch.rsqrt(var + 1e-5)
        dtype = next(self.network.parameters()).dtype
        out: Tensor = self.network.extract_features(x.to(dtype), padding_mask=None)["x"]
        return out.to(audio.dtype)

    def steps(self) -> list[nn.Module]:
        """Parts that run one after the other, to stop in between."""
        audio = self.network.modality_encoders["AUDIO"]
        convolutions = list(audio.local_encoder.conv_layers)
        return [*convolutions, *audio.context_encoder.blocks, *self.network.blocks]


def _network_class() -> Any:
    """FunASR's class, without the ten seconds of imports that its package makes on loading."""
    name = "funasr.models.emotion2vec.model"
    if name in sys.modules:
        return sys.modules[name].Emotion2vec
    spec = importlib.util.find_spec("funasr")
    if spec is None or spec.submodule_search_locations is None:
        raise LsfError(
            "engine_unavailable",
            "The Python package funasr is missing.",
            'Install it with: pip install "lsf-animation[gpu]"',
        )
    real = sys.modules.get("funasr")
    if real is None:
        package = types.ModuleType("funasr")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["funasr"] = package
    try:
        return importlib.import_module(name).Emotion2vec
    except ImportError as error:
        raise LsfError(
            "engine_unavailable", f"FunASR's emotion2vec cannot be imported: {error}."
        ) from error
    finally:
        if real is None:
            # Whoever imports funasr itself later gets the real package.
            sys.modules.pop("funasr", None)
