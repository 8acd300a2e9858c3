# SPDX-License-Identifier: Apache-2.0
"""How the compact engine moves the lips for recorded people it never heard in training.

``python -m training.evaluate_voices OUT``: English prompts are aligned with their text, the engine
animates them, and closures, pauses, vowels, rounding, tuck, lag and jitter are measured in mm on
the bundled head; plots of the lip gap over the spectrogram are drawn for English and Italian.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np

from lsf_backend.engine.base import AnimateJob
from lsf_backend.engine.compact import CompactEngine
from lsf_backend.engine.features import raw_prosody
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm, mouth_width_mm
from training.align import Phones, align, prompts, read_g722
from training.corpus.make import merged
from training.corpus.phones import gestures_of
from training.corpus.teacher import Teacher
from training.voice_sheets import contact_sheet

log = logging.getLogger(__name__)
CLOSED_MM = 1.0
WITHIN_S = 0.040
OPEN_VOWELS = ("AA", "AE", "AO", "AY", "AW")
PLOTTED = ("browInnerUp", "browDownLeft", "mouthPucker", "mouthStretchLeft", "mouthRollLower")
ROUND = ("UW", "OW", "W", "UH")


class SoundInMemory:
    """What the engine needs of an AudioReader, over an array [N] float32 at 16 kHz."""

    def __init__(self, audio: np.ndarray) -> None:
        self.audio, self.n_samples = audio, audio.size

    def read(self, start_sample: int, count: int) -> np.ndarray:
        """Samples from ``start_sample``; fewer at the end."""
        return self.audio[start_sample : start_sample + count]


def animate(
    audio: np.ndarray, temperature: float = 0.0, seed: int = 0, folder: Path | None = None
) -> np.ndarray:
    """Run the engine: audio [N] 16 kHz -> motion [T, 53]."""
    engine = CompactEngine() if folder is None else CompactEngine(folder)
    sound: Any = SoundInMemory(audio)
    job = AnimateJob(sound, None, seed, temperature, "cpu", lambda s, f: None, lambda: False)
    return np.concatenate([chunk.motion for chunk in engine.animate(job)])


def gestures_from_phones(phones: Phones, end_s: float) -> tuple[tuple[str, float, float], ...]:
    """Aligned ARPAbet phones as the teacher's gestures, up to ``end_s``."""
    found: list[tuple[str, float, float]] = []
    for symbol, start, stop in phones:
        names = gestures_of(symbol, "arpabet")
        middle = start + 0.55 * (stop - start)
        spans = [(start, stop)] if len(names) == 1 else [(start, middle), (middle, stop)]
        found += [(name, a, b) for name, (a, b) in zip(names, spans, strict=False)]
    if found and found[-1][2] < end_s:
        found.append(("sil", found[-1][2], end_s))
    return tuple(merged(found))


class Counts(dict[str, list[float]]):
    """Named lists of zeros and ones (or values), summed up by their means."""

    def note(self, name: str, value: float) -> None:
        """Add one observation."""
        self.setdefault(name, []).append(float(value))

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and number of observations for every name."""
        return {k: {"mean": round(float(np.mean(v)), 4), "n": len(v)} for k, v in self.items()}


def measure_clip(
    face: FaceModel,
    motion: np.ndarray,
    wanted: np.ndarray,
    phones: Phones,
    quiet: list[tuple[int, int]],
    counts: Counts,
) -> None:
    """Add one clip: motion and the teacher's [T, 53], aligned phones, frames of the pauses."""
    arkit = arkit_from_motion(motion)
    gap, aim = lip_gap_mm(face, arkit), lip_gap_mm(face, arkit_from_motion(wanted))
    width = mouth_width_mm(face, arkit)
    times = np.arange(len(gap)) / 25.0
    speech = np.zeros(len(gap), bool)
    tuck = arkit[:, ARKIT_NAMES.index("mouthRollLower")]
    lips_allowed = np.zeros(len(gap), bool)

    def frames(start: float, stop: float, around: float = 0.0) -> np.ndarray:
        inside = (times >= start - around) & (times <= stop + around)
        if not inside.any():
            inside[min(len(times) - 1, round(25 * 0.5 * (start + stop)))] = True
        return inside

    for name, start, stop in phones:
        if name == "SIL":
            lips_allowed |= frames(start, stop, 0.08)
            continue
        speech |= frames(start, stop)
        if name in ("P", "B", "M"):
            inside = frames(start, stop, WITHIN_S)
            lips_allowed |= inside
            counts.note("p/b/m closure recall", gap[inside].min() < CLOSED_MM)
            counts.note("p/b/m closure recall, teacher", aim[inside].min() < CLOSED_MM)
        inside = frames(start, stop)
        if name in OPEN_VOWELS and stop - start >= 0.06:
            counts.note("open vowels", gap[inside].max() > 0.4 * aim[inside].max())
        if name in ROUND and stop - start >= 0.06:
            counts.note("rounded: narrower", width[inside].min() < np.median(width))
        if name in ("F", "V"):
            counts.note("f/v tuck", tuck[frames(start, stop, WITHIN_S)].max() > 0.15)
    for first, last in runs(gap < CLOSED_MM):
        if speech[first:last].any() and first > 0 and last < len(gap):
            counts.note("p/b/m closure precision", lips_allowed[first:last].any())
    for first, last in quiet:
        for value in gap[first:last]:
            counts.note("silence closed", value < CLOSED_MM)
    counts.note("lag, frames", lag_frames(gap, aim))
    counts.note("gap correlation with teacher", np.corrcoef(gap, aim)[0, 1])
    counts.note("jitter over 8 Hz, mm", fast_part(gap))
    counts.note("jitter over 8 Hz, mm, teacher", fast_part(aim))
    counts.note("mean gap in speech, mm", gap[speech].mean())
    counts.note("mean gap in speech, mm, teacher", aim[speech].mean())


def pauses(audio: np.ndarray) -> list[tuple[int, int]]:
    """Frames (first, after last) inside pauses over 0.25 s, by level: the aligner's are too rough.

    A pause is 30 dB under the speech; its first 0.1 s and last 0.06 s are left out.
    """
    level = raw_prosody(audio)[:, 2]
    found = []
    for first, last in runs(level < np.percentile(level, 95) - 30.0):
        if last - first > 12:
            found.append((-(-(first + 5) // 2), (last - 3) // 2 + 1))
    return [(a, b) for a, b in found if b > a]


def runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True in flags [T] as (first, after last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def lag_frames(gap: np.ndarray, aim: np.ndarray, most: int = 5) -> float:
    """Frames by which ``gap`` comes after ``aim``: where they correlate best (a parabola's top)."""
    scores = []
    for lag in range(-most, most + 1):
        a = gap[max(0, lag) : len(gap) + min(0, lag)]
        b = aim[max(0, -lag) : len(aim) + min(0, -lag)]
        scores.append(float(np.corrcoef(a, b)[0, 1]))
    best = int(np.clip(np.argmax(scores), 1, 2 * most - 1))
    left, mid, right = scores[best - 1 : best + 2]
    curve = left - 2 * mid + right
    return best - most + (0.5 * (left - right) / curve if curve < 0 else 0.0)


def fast_part(gap: np.ndarray) -> float:
    """RMS of what moves faster than 8 Hz, mm."""
    spectrum = np.fft.rfft(gap)
    spectrum[np.fft.rfftfreq(len(gap), 1 / 25.0) <= 8.0] = 0.0
    return float(np.sqrt(np.mean(np.fft.irfft(spectrum, len(gap)) ** 2)))


def aligned_prompts(out: Path, most: int) -> list[tuple[Path, Phones]]:
    """Aligned English prompts, kept in ``out/aligned.json`` for the next time."""
    kept = out / "aligned.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    result: list[tuple[Path, Phones]] = []
    for path, text in prompts("en"):
        if len(result) == most:
            break
        if path.stem not in known:
            known[path.stem] = align(read_g722(path), text)
            kept.write_text(json.dumps(known))
        if known[path.stem]:
            result.append((path, known[path.stem]))
    return result


def evaluate(out: Path, most: int, folder: Path | None, temperature: float) -> dict[str, Any]:
    """Measure ``most`` English prompts; writes ``voices.json`` and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    face, teacher, counts = FaceModel.load(), Teacher.load(), Counts()
    seconds, busy_s = 0.0, 0.0
    for number, (path, phones) in enumerate(aligned_prompts(out, most)):
        audio = read_g722(path)
        seconds += audio.size / 16_000
        begun = time.monotonic()
        motion = animate(audio, temperature, folder=folder)
        busy_s += time.monotonic() - begun
        gestures = gestures_from_phones(phones, audio.size / 16_000)
        wanted = teacher.motion(audio, gestures, np.zeros(300, np.float32), seed=0)
        measure_clip(face, motion, wanted, phones, pauses(audio), counts)
        if number < 3:
            plot(audio, motion, wanted, phones, face, out / f"en_{path.stem}.png")
        if number == 0:
            sheet(motion, phones, out / f"en_{path.stem}_faces.png")
    for path, _ in [p for p in prompts("it") if p[0].stem.startswith(("agent-new", "auth-inc"))]:
        audio = read_g722(path)
        motion = animate(audio, temperature, folder=folder)
        plot(audio, motion, None, [], face, out / f"it_{path.stem}.png")
    summary = {
        "clips": most,
        "seconds": round(seconds, 1),
        "temperature": temperature,
        "real_time_factor": round(busy_s / seconds, 4),
        "measures": counts.summary(),
    }
    name = "voices.json" if temperature == 0.0 else f"voices_temperature_{temperature:g}.json"
    (out / name).write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def sheet(motion: np.ndarray, phones: Phones, path: Path) -> None:
    """Draw the mouth in the middle of the first sounds of a clip."""
    shown = [p for p in phones if p[0] != "SIL"][:40]
    frames = [min(len(motion) - 1, round(12.5 * (start + stop))) for _, start, stop in shown]
    titles = [
        f"{name} {frame / 25:.2f} s" for (name, _, _), frame in zip(shown, frames, strict=True)
    ]
    contact_sheet(motion[frames], titles, path, columns=10, mouth_only=True)


def plot(
    audio: np.ndarray, motion: np.ndarray, wanted: np.ndarray | None, phones: Phones,
    face: FaceModel, path: Path,
) -> None:  # fmt: skip
    """Draw the lip gap in mm over the spectrogram, with the phones and the teacher's gap."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(16, 7), sharex=True, height_ratios=[3, 1]
    )
    top.specgram(audio + 1e-6, NFFT=400, Fs=16_000, noverlap=240, cmap="Greys")
    top.set_ylim(0, 6000)
    top.set_yticks([])
    axis = top.twinx()
    arkit = arkit_from_motion(motion)
    times = np.arange(len(motion)) / 25.0
    axis.plot(times, lip_gap_mm(face, arkit), "C3", lw=2, label="engine")
    if wanted is not None:
        gap = lip_gap_mm(face, arkit_from_motion(wanted))
        axis.plot(times, gap, "C0", lw=1, label="rules on the aligned phones")
    axis.axhline(CLOSED_MM, color="C2", lw=0.8, ls="--")
    axis.set_ylim(-2, 18)
    axis.set_ylabel("lip gap, mm")
    axis.legend(loc="upper right")
    for name, start, stop in phones:
        colour = "C3" if name in ("P", "B", "M") else "k"
        axis.text(0.5 * (start + stop), 16.2, name, fontsize=7, color=colour, ha="center")
        axis.axvline(start, lw=0.3, color="k")
        if name in ("P", "B", "M"):
            axis.axvspan(start, stop, color="C3", alpha=0.15, lw=0)
    for name in PLOTTED:
        bottom.plot(times, arkit[:, ARKIT_NAMES.index(name)], label=name)
    bottom.legend(loc="upper right", fontsize=7)
    bottom.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=60)
    pyplot.close(figure)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate_voices", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--model", type=Path, help="folder of an exported model")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    summary = evaluate(options.out, options.clips, options.model, options.temperature)
    log.info("%s", json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
