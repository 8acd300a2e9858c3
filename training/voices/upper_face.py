# SPDX-License-Identifier: Apache-2.0
"""What brows, lids, cheeks and nose do: follow the voice, never freeze, never jump at a border."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsf_backend import timing
from lsf_backend.engine.compact import FADE_FRAMES, HOP_FRAMES, load_model
from lsf_backend.engine.features import SpeechReference, prosody, raw_prosody
from lsf_backend.engine.quantise import quantise
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from training.voices.measures import Counts, runs

_PARTS = ("brow", "eyeSquint", "eyeWide", "cheekSquint", "noseSneer")
UPPER = [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(_PARTS)]
FROZEN_STEP = 1e-4
FROZEN_FRAMES = 5
_CORE_FRAMES, _AROUND_FRAMES = 25, 50


def voice_intensity(audio: np.ndarray) -> np.ndarray:
    """Slow loudness, in units of 15 dB about the voice's own: audio [N] -> [T] at 25 fps."""
    raw, reference = raw_prosody(audio), SpeechReference()
    reference.hear(raw)
    slow = prosody(raw, reference)[:, 5]
    return np.asarray(slow[: len(slow) // 2 * 2].reshape(-1, 2).mean(1))


def measure_upper_face(motion: np.ndarray, audio: np.ndarray, counts: Counts) -> None:
    """Add one clip: motion [T, 53], audio [N] 16 kHz."""
    upper = arkit_from_motion(motion)[:, UPPER]
    energy = np.convolve(np.sqrt((upper**2).mean(1)), np.hanning(15) / np.hanning(15).sum(), "same")
    voice = voice_intensity(audio)[: len(energy)]
    if len(voice) >= 50 and energy.std() > 0.0:
        counts.note("upper face energy with voice intensity, r", np.corrcoef(energy, voice)[0, 1])
    elif len(voice) >= 50:
        counts.note("upper face energy with voice intensity, r", 0.0)
    still = (np.abs(np.diff(upper, axis=0)) < FROZEN_STEP).all(1) & (voice[1:] > -1.0)
    frozen = np.zeros(len(still))
    for first, last in runs(still):
        frozen[first:last] = last - first >= FROZEN_FRAMES
    counts.note("frozen frames in speech", frozen[voice[1:] > -1.0].mean())


def without_borders(audio: np.ndarray, folder: Path, betas: np.ndarray | None = None) -> np.ndarray:
    """The model where it knows most: audio [N] -> motion [T, 53].

    The voice's level and pitch are those of the whole clip, and every second of motion comes from
    the middle of a window of its own, two seconds from either edge.
    """
    model = load_model(folder)
    n_frames = timing.frames_from_samples(audio.size)
    raw, reference = raw_prosody(audio), SpeechReference()
    reference.hear(raw)
    betas = np.zeros(300, np.float32) if betas is None else betas
    books, tau = model.codebook.books, model.codebook.tau
    found = []
    for core in range(0, n_frames, _CORE_FRAMES):
        first = max(0, core - _AROUND_FRAMES)
        last = min(n_frames, core + _CORE_FRAMES + _AROUND_FRAMES)
        part = audio[640 * first : 640 * last]
        latent = model.latent(model.encode(part, reference, raw_prosody(part)), betas)
        motion = model.decode(quantise(latent, books, tau, 0.0, 0, first))
        found.append(motion[core - first : core - first + _CORE_FRAMES])
    return np.concatenate(found)[:n_frames]


def measure_borders(motion: np.ndarray, whole: np.ndarray, face: FaceModel, counts: Counts) -> None:
    """Add one clip at its chunk borders: streamed against ``without_borders`` [T, 53]."""
    half = FADE_FRAMES // 2
    for border in range(HOP_FRAMES, len(motion) - half, HOP_FRAMES):
        rows = slice(border - half, border + half)
        streamed, aim = arkit_from_motion(motion[rows]), arkit_from_motion(whole[rows])
        apart = face.arkit_vertices(streamed) - face.arkit_vertices(aim)
        counts.note("border, squared mm", 1e6 * np.square(apart).sum(-1).mean())
        inside = streamed[:, UPPER] - streamed[:, UPPER].mean(0)
        wanted = aim[:, UPPER] - aim[:, UPPER].mean(0)
        counts.note("border, sign flip", float((inside * wanted).sum() < 0.0))
