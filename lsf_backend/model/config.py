# SPDX-License-Identifier: Apache-2.0
"""Sizes and switches of the network as frozen dataclasses, with the three presets.

`paper` follows the paper's text, `released` the sizes and quirks of the authors' published code,
`compact` is the bundled model. They differ in these numbers only: one set of modules reads them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

N_EXPRESSION = 50
N_JAW = 3
N_MOTION = N_EXPRESSION + N_JAW
N_BETAS = 300
FPS = 25

Norm = Literal["layer", "instance"]
Gelu = Literal["none", "tanh"]


@dataclasses.dataclass(frozen=True)
class BlockConfig:
    """One pre-LN transformer block.

    ``scale_dim``: attention logits are multiplied by ``scale_dim ** -0.5`` (None: head width).
    ``gelu`` is the approximation that :class:`torch.nn.GELU` takes.
    """

    d: int
    n_heads: int
    d_ffn: int
    scale_dim: int | None = None
    dropout: float = 0.0
    gelu: Gelu = "none"

    def __post_init__(self) -> None:
        """Refuse widths that do not divide into heads."""
        _check(self.d % self.n_heads == 0, f"d={self.d} does not divide by {self.n_heads} heads")
        _check(0 <= self.dropout < 1, f"dropout={self.dropout} is not in [0, 1)")


@dataclasses.dataclass(frozen=True)
class SIEConfig:
    """The SIE encoder: speech and emotion features and identity to the latent [B, T, d_latent].

    ``d_motion_features`` (Dm) and ``d_emotion_features`` (De) are the widths of one 50 Hz frame.
    ``identity``: "mlp" embeds the betas, "softmax" is the released code's soft one-hot over people.
    ``fusion_inner`` is the width of all fusion heads together; ``fusion_scale_dim`` as in a block.
    ``output_head`` adds LayerNorm + Linear(d, d_latent) after the last block.
    """

    d_motion_features: int
    d_emotion_features: int
    block: BlockConfig
    n_layers: int
    n_fusion_tokens: int
    fusion_heads: int
    fusion_inner: int
    d_latent: int
    fusion_scale_dim: int | None = None
    d_identity: int = 64
    identity: Literal["mlp", "softmax"] = "mlp"
    identity_hidden: tuple[int, ...] = (256, 128)
    position_dropout: float = 0.0
    norm: Norm = "layer"
    output_head: bool = True
    n_betas: int = N_BETAS

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        _check(
            self.fusion_inner % self.fusion_heads == 0,
            f"fusion_inner={self.fusion_inner} does not divide by {self.fusion_heads} heads",
        )
        _check(self.n_layers >= 1, f"n_layers={self.n_layers} is under 1")
        _check(self.n_fusion_tokens >= 1, f"n_fusion_tokens={self.n_fusion_tokens} is under 1")
        _check(
            self.output_head or self.d_latent == self.block.d,
            f"without an output head d_latent={self.d_latent} must be d={self.block.d}",
        )


@dataclasses.dataclass(frozen=True)
class VQConfig:
    """The motion VQ-VAE. K = ``n_codes`` codes of C = ``d_code`` numbers, R = ``n_levels`` levels.

    ``layout``: "frame" cuts each frame's latent into d / C tokens; "raster" is the released code's
    channel-major cut and exists only to run weights trained with it.
    Data scaling: y = (x - offset) / scale for expression and for jaw (radians).
    ``tau`` is the start value of the sampling unit; a checkpoint holds the calibrated one.
    """

    block: BlockConfig
    n_layers: int
    n_codes: int = 256
    d_code: int = 128
    n_levels: int = 1
    layout: Literal["frame", "raster"] = "frame"
    norm: Norm = "layer"
    tau: float = 0.2
    commitment: float = 0.25
    position_dropout: float = 0.0
    n_motion: int = N_MOTION
    expression_offset: float = -3.0
    expression_scale: float = 6.0
    jaw_offset: float = -0.1
    jaw_scale: float = 0.6

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built."""
        _check(self.block.d % self.d_code == 0, f"d={self.block.d} is no multiple of {self.d_code}")
        _check(self.n_levels >= 1, f"n_levels={self.n_levels} is under 1")
        _check(
            self.layout == "frame" or self.n_levels == 1,
            "the raster layout has no residual levels",
        )

    @property
    def n_tokens(self) -> int:
        """Tokens per frame at one level (G)."""
        return self.block.d // self.d_code

    @property
    def n_draws(self) -> int:
        """Random numbers that one frame takes when sampling: G * R."""
        return self.n_tokens * self.n_levels


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The whole model. ``face_space`` names what the 53 numbers mean: ``head`` or ``flame``."""

    name: str
    sie: SIEConfig
    vq: VQConfig
    face_space: Literal["head", "flame"] = "flame"

    def __post_init__(self) -> None:
        """Refuse an encoder and a quantiser that do not meet."""
        _check(
            self.sie.d_latent == self.vq.block.d,
            f"the encoder's latent ({self.sie.d_latent}) is not the decoder's ({self.vq.block.d})",
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from :meth:`to_dict`; an unknown field is refused by name."""
        sie, vq = dict(values["sie"]), dict(values["vq"])
        sie["block"] = _build(BlockConfig, sie["block"])
        sie["identity_hidden"] = tuple(sie["identity_hidden"])
        vq["block"] = _build(BlockConfig, vq["block"])
        rest = {key: value for key, value in values.items() if key not in ("sie", "vq")}
        return _build(cls, {**rest, "sie": _build(SIEConfig, sie), "vq": _build(VQConfig, vq)})

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> ModelConfig:
        """Read what :meth:`save` wrote."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))


def paper() -> ModelConfig:
    """Sizes of the paper's text (d = 768); L = 4 is ours, the paper gives none."""
    return ModelConfig(
        name="paper",
        sie=SIEConfig(
            d_motion_features=768,
            d_emotion_features=768,
            block=BlockConfig(d=768, n_heads=8, d_ffn=1536),
            n_layers=4,
            n_fusion_tokens=4,
            fusion_heads=8,
            fusion_inner=768,
            d_latent=256,
        ),
        vq=VQConfig(block=BlockConfig(d=256, n_heads=8, d_ffn=384), n_layers=6),
    )


def released(n_train_ids: int = 32) -> ModelConfig:
    """Sizes, scales and quirks of the released code; ``n_train_ids`` people in its identity."""
    block = BlockConfig(d=256, n_heads=8, d_ffn=384, scale_dim=256, gelu="tanh")
    return ModelConfig(
        name="released",
        sie=SIEConfig(
            d_motion_features=768,
            d_emotion_features=768,
            block=block,
            n_layers=12,
            n_fusion_tokens=4,
            fusion_heads=8,
            fusion_inner=64,
            fusion_scale_dim=32,
            d_latent=256,
            d_identity=n_train_ids,
            identity="softmax",
            position_dropout=0.1,
            norm="instance",
            output_head=False,
        ),
        vq=VQConfig(
            block=block, n_layers=6, layout="raster", norm="instance", position_dropout=0.1
        ),
    )


def compact(n_prosody: int = 8) -> ModelConfig:
    """The bundled model: Whisper tiny.en layers (384) and ``n_prosody`` numbers, in head space."""
    block = BlockConfig(d=128, n_heads=4, d_ffn=256)
    return ModelConfig(
        name="compact",
        sie=SIEConfig(
            d_motion_features=384,
            d_emotion_features=384 + n_prosody,
            block=block,
            n_layers=3,
            n_fusion_tokens=4,
            fusion_heads=4,
            fusion_inner=128,
            d_latent=128,
            d_identity=32,
            identity_hidden=(64,),
        ),
        vq=VQConfig(
            block=block,
            n_layers=3,
            d_code=64,
            n_levels=2,
            expression_offset=0.0,
            expression_scale=1.0,
            jaw_offset=0.0,
            jaw_scale=0.4,
        ),
        face_space="head",
    )


PRESETS = {"paper": paper, "released": released, "compact": compact}


def _build(cls: type[Any], values: Mapping[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}.")
    return cls(**values)


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"Model configuration: {what}.")
