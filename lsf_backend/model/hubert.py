# SPDX-License-Identifier: Apache-2.0
"""HuBERT-base (facebook/hubert-base-ls960) through transformers, from a folder on this machine.

The architecture is fixed here; of the folder only tensors are read. The first convolution's group
norm measures over the whole clip, so in a window it takes the clip's statistics instead of the
window's: a pause would otherwise be blown up to the level of speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lsf_backend.model.state_files import Tensors, load_exactly, read_tensors
from lsf_backend.model.weight_folders import HUBERT_FILES, weights_file
from lsf_backend.model.windows import ClipStats

D_FEATURES = 768
N_LAYERS = 12
_EPS = 1e-7
# Old weight norm names -> what transformers uses since torch's parametrizations.
_RENAMED = {
    "encoder.pos_conv_embed.conv.weight_g": (
        "encoder.pos_conv_embed.conv.parametrizations.weight.original0"
    ),
    "encoder.pos_conv_embed.conv.weight_v": (
        "encoder.pos_conv_embed.conv.parametrizations.weight.original1"
    ),
}
# Used in masked pre-training and in speech recognition only.
_UNUSED = ("masked_spec_embed", "lm_head.", "label_embs_concat", "final_proj.")


def build_hubert(**changes: Any) -> nn.Module:
    """The bare network with random weights; ``changes`` to the base sizes are for tests."""
    import transformers

    sizes = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0} | changes
    return transformers.HubertModel(transformers.HubertConfig(**sizes))


def hubert_tensors(tensors: Mapping[str, Tensor]) -> Tensors:
    """Tensors of either layout under the names of the installed transformers."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix("hubert.")
        if not bare.startswith(_UNUSED):
            found[_RENAMED.get(bare, bare)] = tensor
    return found


class ClipGroupNorm(nn.Module):
    """GroupNorm with one channel a group whose statistics may be given: x [B, C, T] -> same."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.statistics: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the given statistics, or by those of ``x``."""
        if self.statistics is None:
            return nn.functional.group_norm(x, x.shape[1], self.weight, self.bias, self.eps)
        mean, var = (value.to(x)[None, :, None] for value in self.statistics)
        scale = self.weight[:, None] * torch.rsqrt(var + self.eps)
        return (x - mean) * scale + self.bias[:, None]


class HubertEncoder(nn.Module):
    """Waveform at 16 kHz to motion features at 50 Hz."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        first = network.feature_extractor.conv_layers[0]
        first.layer_norm = ClipGroupNorm(first.layer_norm)
        self.eval()

    @classmethod
    def load(cls, folder: Path, fine_tuned: Mapping[str, Tensor] | None = None) -> HubertEncoder:
        """Load from a folder (or file) of either layout, or from a checkpoint's own tensors."""
        tensors = fine_tuned or read_tensors(weights_file(folder, HUBERT_FILES, "HuBERT"))
        with torch.device("meta"):
            network = build_hubert()
        load_exactly(network, hubert_tensors(tensors), "HuBERT-base")
        return cls(network)

    def forward(self, audio: Tensor, clip: ClipStats | None = None) -> Tensor:
        """Audio [B, N] float, -1..1, not normalised -> [B, T50, 768].

        ``clip`` holds the statistics of the whole clip; without it ``audio`` is the clip.
        """
        norm = self.network.feature_extractor.conv_layers[0].layer_norm
        if clip is None:
            mean = audio.mean(dim=1, keepdim=True)
            var = audio.var(dim=1, keepdim=True, unbiased=False)
            norm.statistics = None
        else:
            mean, var = (audio.new_tensor(x) for x in (clip.mean, clip.variance))
            norm.statistics = self._channel_statistics(clip)
        x = (audio - mean) * torch.rsqrt(var + _EPS)
        dtype = next(self.network.parameters()).dtype
        return self.network(x.to(dtype)).last_hidden_state.to(audio.dtype)

    def freeze_for_training(self) -> HubertEncoder:
        """Freeze what stage 2 keeps: convolutions, projection and layers 0 and 1."""
        frozen = (self.network.feature_extractor, self.network.feature_projection)
        for module in (*frozen, *self.network.encoder.layers[:2]):
            module.requires_grad_(False)
        return self

    def fold_weight_norm(self) -> HubertEncoder:
        """Make the positional convolution's weight plain, for inference."""
        conv = self.network.encoder.pos_conv_embed.conv
        if nn.utils.parametrize.is_parametrized(conv):
            nn.utils.parametrize.remove_parametrizations(conv, "weight")
        return self

    def steps(self) -> list[nn.Module]:
        """Parts that run one after the other, to stop in between."""
        return [*self.network.feature_extractor.conv_layers, *self.network.encoder.layers]

    def _channel_statistics(self, clip: ClipStats) -> tuple[Tensor, Tensor]:
        conv = self.network.feature_extractor.conv_layers[0].conv
        kernels = conv.weight.detach().double().cpu().numpy()[:, 0]
        mean, var = clip.channel_statistics(np.asarray(kernels), _EPS)
        return torch.from_numpy(mean).float(), torch.from_numpy(var).float()
