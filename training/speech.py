# SPDX-License-Identifier: Apache-2.0
"""HuBERT inside stage 2: layers 2 to 11 learn, the rest is frozen and stays in eval mode.

Unequal clips run in one batch and give what each gives alone: the convolutions, whose group norm
measures a whole clip, run clip by clip without gradients, the transformer under a mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lsf_backend.model.hubert import HubertEncoder
from lsf_backend.model.layers import mask_from_lengths
from lsf_backend.timing import SAMPLES_PER_FRAME
from training.data.sources import TAIL_SAMPLES

_EPS = 1e-7


class TrainedHubert(nn.Module):
    """Sound of a batch to motion features, with gradients for the upper layers."""

    def __init__(self, hubert: HubertEncoder) -> None:
        super().__init__()
        self.hubert = hubert.freeze_for_training()
        self.train(False)

    def train(self, mode: bool = True) -> TrainedHubert:
        """Set the training mode, of everything but the frozen parts."""
        super().train(mode)
        for part in self.frozen():
            part.eval()
        return self

    def frozen(self) -> list[nn.Module]:
        """Parts without any trained parameter, outermost first."""
        network = self.hubert.network
        return [network.feature_extractor, network.feature_projection, *network.encoder.layers[:2]]

    def forward(self, audio: Tensor, lengths: Sequence[int]) -> Tensor:
        """Audio [B, 640 T + 80], real frames of each clip -> features [B, 2T, 768]; 50 Hz."""
        network, rows = self.hubert.network, []
        network.feature_extractor.conv_layers[0].layer_norm.statistics = None
        with torch.no_grad():
            for sound, count in zip(audio, lengths, strict=True):
                own = sound[None, : SAMPLES_PER_FRAME * count + TAIL_SAMPLES]
                var, mean = torch.var_mean(own, dim=1, keepdim=True, unbiased=False)
                heard = network.feature_extractor((own - mean) * torch.rsqrt(var + _EPS))
                rows.append(network.feature_projection(heard.transpose(1, 2))[0])
        hidden = pad_sequence(rows, batch_first=True)
        counts = torch.tensor([len(row) for row in rows], device=hidden.device)
        mask = mask_from_lengths(counts, hidden.shape[1])
        out: Tensor = network.encoder(hidden, attention_mask=mask).last_hidden_state
        return out
