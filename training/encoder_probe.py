# SPDX-License-Identifier: Apache-2.0
"""Which speech encoder, and which of its layers, knows most about the lips: a linear read-out.

``python -m training.encoder_probe CORPUS WHISPER OUT``: ridge regression from every layer of
Whisper tiny.en and base to the teacher's lip gap and closures, on speakers left out, language by
language, and on recorded English prompts (closures against aligned sounds), to
``OUT/encoders.json``.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsf_backend.engine.features import log_mel
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm
from training import whisper
from training.corpus.make import clip_stems, read_clip
from training.voices.align import Phones
from training.voices.aligned import aligned_prompts
from training.voices.measures import CLOSED_MM, SoundFrames

log = logging.getLogger(__name__)
CONTEXT = 1
RIDGE = 30.0
TEST_EVERY = 4
# Layers read together, beside each layer alone.
TOGETHER = {"tiny.en": ((2, 3), (2, 4), (3, 4), (2, 3, 4)), "base": ((3, 4), (4, 5), (3, 4, 5))}


def layer_features(encoder: whisper.WhisperEncoder, audio: np.ndarray) -> list[np.ndarray]:
    """Every layer's features at 25 fps: audio [N] -> [T, 2 * width] each, two 50 Hz frames."""
    level = np.sqrt(np.mean(audio**2)) + 1e-6
    mel = torch.from_numpy(log_mel(audio * np.float32(0.06 / level)))[None]
    with torch.no_grad():
        layers = encoder.layers(mel)
    count = audio.size // 640
    return [layer[0, : 2 * count].reshape(count, -1).numpy() for layer in layers]


def with_context(features: np.ndarray) -> np.ndarray:
    """Neighbouring frames side by side, and a one: [T, D] -> [T, (2 CONTEXT + 1) D + 1]."""
    rows = np.arange(len(features))
    near = [np.clip(rows + k, 0, len(rows) - 1) for k in range(-CONTEXT, CONTEXT + 1)]
    ones = np.ones((len(features), 1), np.float32)
    return np.concatenate([features[index] for index in near] + [ones], axis=1)


class Ridge:
    """Least squares with a penalty, summed up clip by clip: x [T, D] -> y [T, 2]."""

    def __init__(self) -> None:
        self._xx: Any = 0.0
        self._xy: Any = 0.0
        self.weights = np.zeros((0, 2), np.float32)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Count one clip."""
        self._xx = self._xx + x.T @ x
        self._xy = self._xy + x.T @ y

    def solve(self) -> None:
        """Find the weights of all clips added."""
        penalty = RIDGE * np.eye(len(self._xx), dtype=self._xx.dtype)
        self.weights = np.linalg.solve(self._xx + penalty, self._xy)


def clips(corpus: Path) -> Iterator[tuple[str, bool, np.ndarray, np.ndarray]]:
    """Language, whether its speaker is left out, audio [N] and the teacher's lip gap [T] mm."""
    face = FaceModel.load()
    speakers: dict[str, list[str]] = {}
    for stem in clip_stems(corpus):
        language = json.loads((corpus / "phones" / f"{stem}.json").read_text())["voice"]["language"]
        known = speakers.setdefault(language, [])
        if stem[:4] not in known:
            known.append(stem[:4])
        param = np.load(corpus / "param" / f"{stem}.npy", allow_pickle=False)[0]
        motion = np.concatenate([param[:, 300:350], param[:, 400:]], axis=1)
        gap = lip_gap_mm(face, arkit_from_motion(motion), param[0, :300])
        left_out = known.index(stem[:4]) % TEST_EVERY == 0
        yield language, left_out, read_clip(corpus, stem).audio, gap


def average_precision(score: np.ndarray, truth: np.ndarray) -> float:
    """Area under precision over recall of score [N] for truth [N] bool."""
    hits = truth[np.argsort(-score)]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def probe(name: str, corpus: Path, folder: Path, prompts: list[tuple[np.ndarray, Phones]]) -> Any:
    """Every layer's read-out of one encoder: figures by layer and language, and its speed."""
    encoder = whisper.load(folder, name)
    chosen = [(n,) for n in range(encoder.n_layers + 1)] + list(TOGETHER[name])
    readers = [Ridge() for _ in chosen]
    held: list[tuple[str, list[np.ndarray], np.ndarray]] = []
    seconds, busy_s = 0.0, 0.0
    for language, left_out, audio, gap in clips(corpus):
        begun = time.monotonic()
        layers = layer_features(encoder, audio)
        busy_s, seconds = busy_s + time.monotonic() - begun, seconds + audio.size / 16_000
        wanted = np.stack([np.clip(gap, 0, None), gap < CLOSED_MM], axis=1).astype(np.float32)
        if left_out:
            held.append((language, layers, wanted))
            continue
        for reader, numbers in zip(readers, chosen, strict=True):
            reader.add(with_context(_joined(layers, numbers)), wanted)
    recorded = [(layer_features(encoder, audio), phones, audio) for audio, phones in prompts]
    rows = {}
    for numbers, reader in zip(chosen, readers, strict=True):
        reader.solve()
        key = "+".join(map(str, numbers))
        rows[key] = _read(numbers, reader.weights, held, recorded)
        log.info("%s layer %s: %s", name, key, rows[key])
    return {"seconds_a_second": round(busy_s / seconds, 4), "layers": rows}


def _joined(layers: list[np.ndarray], numbers: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([layers[n] for n in numbers], axis=1)


def _read(
    numbers: tuple[int, ...], weights: np.ndarray, held: Any, recorded: Any
) -> dict[str, float]:
    found: dict[str, float] = {}
    for language in sorted({language for language, _, _ in held}):
        mine = [(_joined(x, numbers), wanted) for spoken, x, wanted in held if spoken == language]
        guess = np.concatenate([with_context(layer) @ weights for layer, _ in mine])
        wanted = np.concatenate([w for _, w in mine])
        found[f"{language} gap r"] = float(np.corrcoef(guess[:, 0], wanted[:, 0])[0, 1])
        found[f"{language} closed AP"] = average_precision(guess[:, 1], wanted[:, 1] > 0.5)
    scores = [(with_context(_joined(layers, numbers)) @ weights)[:, 1] for layers, _, _ in recorded]
    sounds = [SoundFrames(len(s), p, a) for s, (_, p, a) in zip(scores, recorded, strict=True)]
    best = (0.0, 0.0, 0.0)
    for threshold in np.arange(0.15, 0.8, 0.05):
        marks = [f.closures(s > threshold) for f, s in zip(sounds, scores, strict=True)]
        recall = float(np.mean([hit for hits, _ in marks for hit in hits]))
        precision = float(np.mean([right for _, rights in marks for right in rights]))
        best = max(best, (2 * recall * precision / (recall + precision), recall, precision))
    found |= dict(zip(("en recorded F", "en recorded recall", "en recorded precision"), best,
                      strict=True))  # fmt: skip
    return {key: round(value, 3) for key, value in found.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.encoder_probe", description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("whisper", type=Path, help="folder for the wheels")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=254, help="recorded prompts at most")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    prompts = [(r.audio(), phones) for r, phones in aligned_prompts(options.out, options.clips)]
    found = {
        name: probe(name, options.corpus, options.whisper, prompts) for name in whisper.SOURCES
    }
    (options.out / "encoders.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
