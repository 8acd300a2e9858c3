# SPDX-License-Identifier: Apache-2.0
import numpy as np

from training.data.clips import ClipName
from training.voices.emotion import (
    Felt,
    against_neutral,
    balanced_accuracy,
    confusion,
    measure_emotion,
)


def clips(told: float) -> list[Felt]:
    """Eight emotions of eight people; ``told`` is how far emotion moves the face."""
    rng = np.random.default_rng(0)
    found = []
    for subject in range(8):
        for emotion in range(8):
            for _ in range(2):
                motion = 0.3 + 0.05 * rng.standard_normal((40, 53)).astype(np.float32)
                motion[:, emotion] += told
                audio = 0.1 * rng.standard_normal(16_000).astype(np.float32)
                name = ClipName(f"S{subject:03d}", "001", emotion, 1)
                found.append(Felt(name, motion, motion, audio))
    return found


def test_emotions_that_move_the_face_are_told_apart_and_others_are_not() -> None:
    for told, least, most in ((0.2, 0.95, 1.0), (0.0, 0.0, 0.35)):
        many = clips(told)
        table = confusion(np.stack([c.motion.mean(0) for c in many]), [c.name for c in many])
        assert table.sum() == len(many)
        assert least <= balanced_accuracy(table) <= most


def test_nobody_is_tried_on_what_their_own_clips_taught() -> None:
    """Numbers that tell only the person apart tell nothing about anyone's emotion."""
    many = [clip.name for clip in clips(0.0)]
    labels = np.array([c.emotion for c in many])
    subjects = np.array([int(c.subject[1:]) for c in many])
    numbers = np.zeros((len(many), 8))
    numbers[np.arange(len(many)), (labels + subjects) % 8] = 1.0
    assert balanced_accuracy(confusion(numbers, many)) < 0.4


def test_arousal_counts_from_each_persons_neutral_clips() -> None:
    many = [clip.name for clip in clips(0.0)]
    offset = np.array([10.0 * int(c.subject[1:]) for c in many])
    moved = np.array([float(c.emotion) for c in many])
    assert np.corrcoef(against_neutral((offset + moved)[:, None], many), moved)[0, 1] > 0.999


def test_the_figures_have_a_confusion_table_for_each_source() -> None:
    found = measure_emotion(clips(0.2))
    assert found["clips"] == 128 and found["subjects"] == 8
    for source in ("face", "teacher's face", "voice"):
        assert np.shape(found[f"emotion from {source}"]["confusion"]) == (8, 8)
