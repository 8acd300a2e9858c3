# SPDX-License-Identifier: Apache-2.0
"""Systems by name: Table 1's seven, Table 2's nine rows, in the paper's order and three sizes.

"paper" has the published widths, "small" trains on a CPU in minutes, "tiny" is for tests. The paper
does not spell out Table 2's conditions; each row here says how it was read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from lsf_backend.model.config import BlockConfig, ModelConfig, SIEConfig, VQConfig
from training.baselines.base import Baseline, LabelConfig, MotionScale
from training.baselines.codes import SpeechToCodes
from training.baselines.codetalker import CodeTalker, CodeTalkerConfig
from training.baselines.decoder import DecoderConfig
from training.baselines.emote import Emote, EmoteConfig
from training.baselines.encoders import Fusion, SpeechToCodesConfig, Style
from training.baselines.facediffuser import FaceDiffuser, FaceDiffuserConfig
from training.baselines.faceformer import FaceFormer, FaceFormerConfig

Size = Literal["paper", "small", "tiny"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the data set fixes for all systems.

    Widths of the features, label sizes, face space and the spread of its motion.
    """

    size: Size = "paper"
    d_motion_features: int = 768
    d_emotion_features: int = 768
    labels: LabelConfig = LabelConfig()
    face_space: Literal["head", "flame"] = "flame"

    @property
    def scale(self) -> MotionScale:
        """Spread of motion: FLAME's coefficients are z-scores, the head's are ARKit weights.

        The head's are those of the bundled model's corpus.
        """
        return MotionScale(1.0, 0.2) if self.face_space == "flame" else MotionScale(0.1, 0.05)


class _Widths(NamedTuple):
    """Sizes of one :data:`Size`: width, heads, FFN, layers of prior, encoder and one-stream net."""

    d: int
    heads: int
    ffn: int
    prior_layers: int
    fused_layers: int
    stream_layers: int
    d_code: int
    n_codes: int


_WIDTHS: dict[Size, _Widths] = {
    "paper": _Widths(256, 8, 384, 6, 4, 12, 128, 256),
    "small": _Widths(64, 4, 128, 2, 3, 3, 32, 128),
    "tiny": _Widths(16, 2, 24, 1, 2, 1, 8, 16),
}


class Row(NamedTuple):
    """A row of Table 2: title as printed, and how it was read."""

    title: str
    style: tuple[Style, ...]
    fusion: Fusion


TABLE2: dict[str, Row] = {
    "no_style": Row("w/o style one-hot", (), "none"),
    "no_identity": Row("w/o identity", ("emotion", "intensity"), "none"),
    "raw_shape": Row("emotion one-hot + raw shape", ("emotion", "intensity", "betas"), "none"),
    "baseline": Row("baseline (true one-hots)", ("subject", "emotion", "intensity"), "none"),
    "emotion_feature": Row("+ emotion feature", ("subject", "emotion_feature"), "none"),
    "emotion_identity": Row(
        "+ emotion and identity feature", ("identity", "emotion_feature"), "none"
    ),
    "gate": Row("gate fusion", ("identity",), "gate"),
    "cross_attention": Row("cross-attention fusion", ("identity",), "cross_attention"),
    "hifb": Row("HIFB", ("identity",), "hifb"),
}


def build(name: str, setting: Setting, vertex_gram: Tensor | None = None) -> Baseline:
    """The system of a name, with fresh weights; ``vertex_gram`` [53, 53] is EMOTE's vertex loss."""
    if name == "emote":
        return Emote(emote_config(setting), vertex_gram)
    if name in TABLE2:
        return SpeechToCodes(codes_config(TABLE2[name], setting))
    if name not in _TABLE1:
        raise ValueError(f"system {name!r} is none of {', '.join((*TABLE1, *TABLE2))}")
    return _TABLE1[name](setting)


def model_config(setting: Setting) -> ModelConfig:
    """LSF-Animation at the setting's size: the paper's at "paper"."""
    w = _WIDTHS[setting.size]
    block = BlockConfig(d=w.d, n_heads=w.heads, d_ffn=w.ffn)
    wide = BlockConfig(d=768, n_heads=8, d_ffn=1536) if setting.size == "paper" else block
    vq = VQConfig(block, w.prior_layers, n_codes=w.n_codes, d_code=w.d_code)
    if setting.face_space == "head":
        # As in FLAME's space, six times the spread, so that the paper's loss weights fit.
        scale = setting.scale
        vq = dataclasses.replace(
            vq,
            expression_offset=0.0,
            expression_scale=6 * scale.expression,
            jaw_offset=0.0,
            jaw_scale=6 * scale.jaw,
        )
    sie = SIEConfig(
        d_motion_features=setting.d_motion_features,
        d_emotion_features=setting.d_emotion_features,
        block=wide,
        n_layers=w.fused_layers,
        n_fusion_tokens=4,
        fusion_heads=wide.n_heads,
        fusion_inner=wide.d,
        d_latent=w.d,
    )
    return ModelConfig(f"{setting.size} comparison", sie, vq, setting.face_space)


def codes_config(row: Row, setting: Setting) -> SpeechToCodesConfig:
    """Configuration of a row of Table 2."""
    return SpeechToCodesConfig(
        model_config(setting),
        row.style,
        row.fusion,
        _WIDTHS[setting.size].stream_layers,
        setting.labels,
    )


def faceformer_config(setting: Setting) -> FaceFormerConfig:
    """FaceFormer at the setting's size."""
    d = {"paper": 128, "small": 64, "tiny": 16}[setting.size]
    decoder = DecoderConfig(d, 4 if setting.size != "tiny" else 2, 2 * d, n_layers=1)
    return FaceFormerConfig(setting.d_motion_features, decoder, setting.labels, setting.scale)


def codetalker_config(setting: Setting) -> CodeTalkerConfig:
    """CodeTalker at the setting's size: 4 codes a frame."""
    w = _WIDTHS[setting.size]
    vq = dataclasses.replace(model_config(setting).vq, d_code=w.d // 4)
    layers = {"paper": 6, "small": 2, "tiny": 2}[setting.size]
    decoder = DecoderConfig(w.d, min(4, w.heads), 2 * w.d, layers)
    return CodeTalkerConfig(setting.d_motion_features, vq, decoder, setting.labels)


def facediffuser_config(setting: Setting, sampler: Literal["ddpm", "ddim"]) -> FaceDiffuserConfig:
    """FaceDiffuser at the setting's size; fewer steps at the tiny one only."""
    w, tiny = _WIDTHS[setting.size], setting.size == "tiny"
    return FaceDiffuserConfig(
        setting.d_motion_features,
        w.d,
        n_steps=20 if tiny else 1000,
        sampler=sampler,
        ddim_steps=5 if tiny else 100,
        labels=setting.labels,
        scale=setting.scale,
    )


def emote_config(setting: Setting) -> EmoteConfig:
    """EMOTE at the setting's size."""
    if setting.size == "paper":
        return EmoteConfig(setting.d_motion_features, labels=setting.labels, scale=setting.scale)
    w = _WIDTHS[setting.size]
    block = BlockConfig(w.d, w.heads, w.ffn, dropout=0.1)
    return EmoteConfig(
        setting.d_motion_features, block, d_latent=w.d, labels=setting.labels, scale=setting.scale
    )


_TABLE1: dict[str, Callable[[Setting], Baseline]] = {
    "faceformer": lambda setting: FaceFormer(faceformer_config(setting)),
    "codetalker": lambda setting: CodeTalker(codetalker_config(setting)),
    "facediffuser_ddpm": lambda setting: FaceDiffuser(facediffuser_config(setting, "ddpm")),
    "facediffuser_ddim": lambda setting: FaceDiffuser(facediffuser_config(setting, "ddim")),
    "probtalk3d": lambda setting: SpeechToCodes(codes_config(TABLE2["baseline"], setting)),
    "lsf": lambda setting: SpeechToCodes(codes_config(TABLE2["hifb"], setting)),
}
TABLE1: tuple[str, ...] = (
    "faceformer",
    "codetalker",
    "emote",
    "facediffuser_ddpm",
    "facediffuser_ddim",
    "probtalk3d",
    "lsf",
)


def weights_of(name: str) -> str:
    """The system whose trained weights ``name`` uses: two samplers share one FaceDiffuser."""
    shared = {"facediffuser_ddim": "facediffuser_ddpm", "probtalk3d": "baseline", "lsf": "hifb"}
    return shared.get(name, name)


def fusion_of(name: str) -> Fusion:
    """How the system fuses an emotion stream into speech."""
    row = TABLE2.get(weights_of(name))
    return "none" if row is None else row.fusion


def prior_of(name: str) -> str | None:
    """The prior that ``name`` starts phase "speech" from; equal names share one training of it."""
    if weights_of(name) in TABLE2:
        return "vqvae"
    return name if name in ("codetalker", "emote") else None
