# SPDX-License-Identifier: Apache-2.0
"""Features of one speech encoder for every clip of a store, computed once: [2T, D] float16, 50 Hz.

For encoders that a stage leaves as they are: emotion2vec always, HuBERT only where it is not
trained. They are computed as an engine computes them, in windows with the clip's own statistics.
Made in ``OUT.unfinished``, bound to its store and its weights by their checksums.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.timing import features_from_frames
from training.data.clips import SourceError
from training.data.journal import only_one
from training.data.store import Store

FORMAT = "lsf-animation features 1"
FACTS, FEATURES, PLAN = "features.json", "features.f16", "plan.json"
Hear = Callable[[np.ndarray], np.ndarray]


class FeatureCache:
    """Features of every clip of ``store``, mapped read-only."""

    def __init__(self, store: Store, features: np.ndarray, encoder: str) -> None:
        self.encoder = encoder
        self._store = store
        self._features = features

    @classmethod
    def open(cls, folder: str | Path, store: Store, encoder: str | None = None) -> FeatureCache:
        """Map a cache; raises SourceError where it is not whole, or of other clips or weights."""
        folder = Path(folder)
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            shape = (features_from_frames(store.n_frames), int(facts["width"]))
            if facts["format"] != FORMAT or facts["store"] != store.digest:
                raise ValueError("it belongs to another store")
            if encoder is not None and facts["encoder"] != encoder:
                raise ValueError("it was made with other weights")
            if (folder / FEATURES).stat().st_size != 2 * shape[0] * shape[1]:
                raise ValueError(f"{FEATURES} is cut")
            return cls(
                store, np.memmap(folder / FEATURES, "<f2", "r", shape=shape), facts["encoder"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{folder} cannot be used for these clips: {error}") from error

    @property
    def width(self) -> int:
        """Features per 50 Hz step."""
        return self._features.shape[1]

    def features(self, number: int) -> np.ndarray:
        """Features [2T, D] float16 of a clip, mapped."""
        clip = self._store.clips[number]
        first = features_from_frames(clip.first)
        return self._features[first : first + features_from_frames(clip.count)]


def cache_features(
    store: Store,
    out: Path,
    hear: Hear,
    encoder: str,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureCache:
    """Hear every clip, or those that an earlier run did not; ``encoder`` names the weights.

    ``hear``: audio [N] float32, 16 kHz -> features [2T, D], T = floor(N / 640).
    """
    if out.exists():
        return FeatureCache.open(out, store, encoder)
    work = out.with_name(f"{out.name}.unfinished")
    work.mkdir(parents=True, exist_ok=True)
    with only_one(work):
        width = int(hear(store.audio(0)).shape[1])
        facts = {"format": FORMAT, "store": store.digest, "encoder": encoder, "width": width}
        done, size = _resumed(work, store, facts)
        with (work / FEATURES).open("ab") as file:
            file.truncate(size)
            for number in range(done, len(store)):
                _append(file, store, number, hear, width)
                if progress is not None:
                    progress(number + 1, len(store))
        _write(work / FACTS, facts)
    for name in ("lock", PLAN):
        (work / name).unlink(missing_ok=True)
    os.rename(work, out)
    return FeatureCache.open(out, store, encoder)


def weights_digest(path: Path) -> str:
    """Checksum of a file of weights, sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hear_with(network: Any, device: str = "cpu") -> Hear:
    """Run an encoder of ``lsf_backend.model`` over a clip, window by window, as engines do."""
    import torch

    from lsf_backend.model.windows import measure_clip, window_audio, windows

    network = network.eval().to(device)

    @torch.inference_mode()
    def hear(audio: np.ndarray) -> np.ndarray:
        def read(start: int, count: int) -> np.ndarray:
            return audio[start : start + count]

        clip, parts = measure_clip(read, audio.size), []
        for window in windows(audio.size // 640):
            samples = torch.from_numpy(window_audio(read, window))[None].to(device)
            own = slice(
                features_from_frames(window.keep_start - window.start),
                features_from_frames(window.keep_stop - window.start),
            )
            parts.append(network(samples, clip)[0, own].float().cpu().numpy())
        return np.concatenate(parts)

    return hear


def _append(file: Any, store: Store, number: int, hear: Hear, width: int) -> None:
    features = hear(store.audio(number))
    clip = store.clips[number]
    if features.shape != (features_from_frames(clip.count), width):
        raise SourceError(
            f"{clip.stem} got features {list(features.shape)} for {clip.count} frames"
        )
    with np.errstate(over="ignore"):  # told below, by clip
        half = features.astype("<f2")
    if not np.isfinite(half).all():
        raise SourceError(f"the features of {clip.stem} are not finite in half precision")
    file.write(half.tobytes())
    # Slow beside a pass of an encoder it is not, and a power cut then costs one clip, too.
    file.flush()
    os.fsync(file.fileno())


def _resumed(work: Path, store: Store, facts: dict[str, Any]) -> tuple[int, int]:
    """Whole clips that an earlier run of the same plan wrote, and their bytes."""
    try:
        same = json.loads((work / PLAN).read_text(encoding="utf-8")) == facts
        found = (work / FEATURES).stat().st_size if same else 0
    except (FileNotFoundError, ValueError):
        found = 0
    _write(work / PLAN, facts)
    done = size = 0
    for clip in store.clips:
        step = 2 * facts["width"] * features_from_frames(clip.count)
        if size + step > found:
            break
        done, size = done + 1, size + step
    return done, size


def _write(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)
