# SPDX-License-Identifier: Apache-2.0
"""The whole model on one sound, stage by stage, with and without the speech encoders."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lsf_backend.model.config import ModelConfig
from lsf_backend.model.emotion2vec import Emotion2vecEncoder, build_emotion2vec
from lsf_backend.model.encoders import Precision, SpeechEncoders
from lsf_backend.model.hubert import HubertEncoder, build_hubert
from lsf_backend.model.lsf import LSFModel
from lsf_backend.model.pipeline import Pipeline
from lsf_backend.model.windows import measure_clip
from lsf_backend.timing import SAMPLE_RATE_HZ
from training.bench.measure import best_seconds

N_SAMPLES = 10


def make_pipeline(config: ModelConfig, device: str, precision: Precision) -> Pipeline:
    """The full model with random weights of the true sizes."""
    torch.manual_seed(0)
    encoders = SpeechEncoders(
        HubertEncoder(build_hubert()), Emotion2vecEncoder(build_emotion2vec()), device, precision
    )
    return Pipeline(LSFModel(config), encoders)


def make_sound(seconds: float) -> np.ndarray:
    """A swelling noise [N] float32 at 16 kHz; its content costs nothing."""
    n = int(seconds * SAMPLE_RATE_HZ)
    swell = 0.1 + 0.1 * np.sin(np.arange(n) / SAMPLE_RATE_HZ)
    return (swell * np.random.default_rng(0).normal(size=n)).astype(np.float32)


@torch.inference_mode()
def measure_network(config: ModelConfig, seconds: float, device: str) -> dict[str, Any]:
    """SIE encoder, quantiser and decoder on ready features, and 10 samples against one (s)."""
    torch.manual_seed(0)
    model = LSFModel(config).eval().to(device)
    t = int(25 * seconds)
    motion = torch.randn(1, 2 * t, config.sie.d_motion_features, device=device)
    emotion = torch.randn(1, 2 * t, config.sie.d_emotion_features, device=device)
    betas = torch.zeros(1, config.sie.n_betas, device=device)
    latent = model.sie(motion, emotion, betas)
    zq = model.vqvae.quantize(latent).zq
    one = torch.rand(1, 1, t, config.vq.n_draws, device=device)
    many = torch.rand(N_SAMPLES, 1, t, config.vq.n_draws, device=device)
    stages = {
        "sie": best_seconds(lambda: model.sie(motion, emotion, betas)),
        "quantiser": best_seconds(lambda: model.vqvae.quantize(latent)),
        "decoder": best_seconds(lambda: model.vqvae.decode(zq)),
        "one_sample": best_seconds(lambda: model.sample(latent, one)),
        "ten_samples": best_seconds(lambda: model.sample(latent, many)),
    }
    return {
        "preset": config.name,
        "seconds_of_sound": seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
        "stages": stages,
        "total": stages["sie"] + stages["quantiser"] + stages["decoder"],
    }


def measure_whole(
    config: ModelConfig, seconds: float, device: str, precision: Precision
) -> dict[str, Any]:
    """Encoders and network on one window of sound: seconds of each and the network's share."""
    pipeline = make_pipeline(config, device, precision)
    audio = make_sound(seconds)
    clip = measure_clip(lambda start, count: audio[start : start + count], audio.size)
    padded = np.pad(audio, (0, 80))
    encoders = pipeline.encoders
    hubert = best_seconds(lambda: encoders.motion_features(padded, clip))
    emotion2vec = best_seconds(lambda: encoders.emotion_features(padded, clip))
    network = measure_network(config, seconds, device)
    total = hubert + emotion2vec + network["total"]
    stages = network["stages"]
    shared = hubert + emotion2vec + stages["sie"]
    one, ten = stages["one_sample"], stages["ten_samples"]
    return {
        **network,
        "precision": precision,
        "hubert": hubert,
        "emotion2vec": emotion2vec,
        "total_with_encoders": total,
        "network_share": network["total"] / total,
        "ten_samples_over_one": (shared + ten) / (shared + one),
        "ten_samples_over_one_without_encoders": (stages["sie"] + ten) / (stages["sie"] + one),
    }
