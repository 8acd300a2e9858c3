# SPDX-License-Identifier: Apache-2.0
"""Names of the released code's weights, as a map to ours.

Facts read off the public repository's module names and checked on fabricated files of that layout;
no trained checkpoint was at hand. Three facts shape the map: the released fusion joins
[emotion ; motion], ours [motion ; emotion], so the columns of its key-value map swap halves; the
last emotion block, the last fusion block and ``out_norm`` reach no output and are dropped; the
frozen emotion2vec that the file carries is dropped too, as users bring it under its own licence.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsf_backend.model.config import ModelConfig

PRIOR = "motion_prior."
HUBERT = "feature_extractor.audiomodel."
CODEBOOK = "vqvae.quantiser.codebooks"
_PREDICTOR = "feature_predictor."
_IGNORED_STARTS = ("audio_model.", "_losses.", "losses.", "metrics.", "motion_prior._losses.")
_IGNORED_ENDS = (".pos_enc.pe", "_pos_embedding.pe")

_BLOCK = {
    "net.{i}.fn.norm": "attn_norm",
    "net.{i}.fn.fn.to_qkv": "attn.to_qkv",
    "net.{i}.fn.fn.to_out": "attn.to_out",
    "net.{j}.fn.norm": "ffn_norm",
    "net.{j}.fn.fn.l1": "ffn.up",
    "net.{j}.fn.fn.l2": "ffn.down",
}
_FUSION = {
    "norm_mm": "fusion.token_norm",
    "norm_a": "fusion.motion_norm",
    "norm_v": "fusion.emotion_norm",
    "attn.q": "fusion.to_q",
    "attn.kv": "fusion.to_kv",
    "attn.proj": "fusion.to_out",
    "norm_mlp": "token_norm",
    "mlp.fc1": "token_ffn.up",
    "mlp.fc2": "token_ffn.down",
}
_NO_BIAS = ("to_qkv", "attn.q", "attn.kv", "style_proj", "feature_mapping_reverse")


def predictor_map(config: ModelConfig) -> dict[str, str]:
    """Names of the released stage-2 network (without the prior) -> names in :class:`LSFModel`."""
    last = config.sie.n_layers - 1
    names = {
        "identity_extractor.0": "sie.identity.layers.0",
        "identity_extractor.2": "sie.identity.layers.1",
        "identity_extractor.4": "sie.identity.layers.2",
        _PREDICTOR + "audio_feat": "sie.motion_in",
        _PREDICTOR + "emo_feat": "sie.emotion_in",
        _PREDICTOR + "style_proj": "sie.style",
        _PREDICTOR + "squash_a.0": "sie.motion_stem.conv",
        _PREDICTOR + "squash_e.0": "sie.emotion_stem.conv",
        _PREDICTOR + "lin_embed.net": "sie.stream_linear",
    }
    for index in range(config.sie.n_layers):
        ours = f"sie.hifb.layers.{index}."
        names |= _block_map(f"{_PREDICTOR}audio_blocks.{index}.", ours + "motion_block.", 0)
        if index < last:
            names |= _block_map(f"{_PREDICTOR}emo_blocks.{index}.", ours + "emotion_block.", 0)
            start = f"{_PREDICTOR}fusion_blocks.{index}."
            names |= {start + theirs: ours + name for theirs, name in _FUSION.items()}
    full = dict(_with_parameters(names))
    full[_PREDICTOR + "fusion_tokens"] = "sie.hifb.fusion_tokens"
    return full


def prior_map(config: ModelConfig, prefix: str = PRIOR) -> dict[str, str]:
    """Names of the released VQ-VAE -> ours; ``prefix`` is empty in a stage-1 checkpoint."""
    encoder, decoder = prefix + "motion_encoder.", prefix + "motion_decoder."
    names = {
        encoder + "feature_mapping.0": "vqvae.motion_in",
        encoder + "squasher.0.0": "vqvae.encoder.stem.conv",
        encoder + "encoder_linear_embedding.net": "vqvae.encoder.linear",
        decoder + "expander.0.0": "vqvae.decoder.stem.conv",
        decoder + "decoder_linear_embedding.net": "vqvae.decoder.linear",
        decoder + "feature_mapping_reverse": "vqvae.motion_out",
    }
    for index in range(config.vq.n_layers):
        theirs, ours = f"{encoder}encoder_transformer.", f"vqvae.encoder.blocks.{index}."
        names |= _block_map(theirs, ours, 2 * index)
        theirs, ours = f"{decoder}decoder_transformer.", f"vqvae.decoder.blocks.{index}."
        names |= _block_map(theirs, ours, 2 * index)
    full = dict(_with_parameters(names))
    full[prefix + "quantize.embedding.weight"] = CODEBOOK
    return full


def ignored(name: str, config: ModelConfig) -> bool:
    """Whether a released name is known to be of no use here."""
    last = config.sie.n_layers - 1
    dead = tuple(f"{_PREDICTOR}{part}." for part in (f"emo_blocks.{last}", f"fusion_blocks.{last}"))
    starts = (*_IGNORED_STARTS, *dead, _PREDICTOR + "out_norm.")
    return name.startswith(starts) or name.endswith(_IGNORED_ENDS)


def _block_map(theirs: str, ours: str, first: int) -> dict[str, str]:
    numbers = {"i": first, "j": first + 1}
    return {theirs + a.format(**numbers): ours + b for a, b in _BLOCK.items()}


def _with_parameters(names: dict[str, str]) -> Iterator[tuple[str, str]]:
    for theirs, ours in names.items():
        yield theirs + ".weight", ours + ".weight"
        if not theirs.endswith(_NO_BIAS):
            yield theirs + ".bias", ours + ".bias"
