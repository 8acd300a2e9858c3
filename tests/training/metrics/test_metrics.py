# SPDX-License-Identifier: Apache-2.0
"""Hand-computed scores: a mesh whose motion numbers are plain shifts of named vertices."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from training.metrics import (
    METRICS,
    MovementAccumulator,
    Regions,
    Scores,
    Span,
    Truth,
    bilabial_spans,
    difference,
    lip_gap,
    metric_named,
    regions_from_lists,
    score_all,
    score_clip,
    silent_frames,
)

MM = 1e-3
V = 40
LIPS = np.arange(0, 8)
UPPER = np.arange(20, 30)
REGIONS = Regions(LIPS, UPPER, np.array([0, 1]), np.array([4, 5]), {"brows": np.arange(20, 24)})
RNG = np.random.default_rng(7)
TEMPLATE = RNG.normal(0, 0.05, (V, 3))


def mesh(motion: np.ndarray) -> np.ndarray:
    """Numbers 0..2 shift everything, 3 the upper face along x, 4 the lower rim down (all in m)."""
    out = np.broadcast_to(TEMPLATE, (*motion.shape[:2], V, 3)).astype(np.float64)
    out = out + motion[:, :, None, :3]
    out[:, :, UPPER, 0] += motion[:, :, None, 3]
    out[:, :, REGIONS.lower_rim, 1] -= motion[:, :, None, 4]
    return out.astype(np.float32)


def truth(t: int = 50, name: str = "a", **known: object) -> Truth:
    motion = np.zeros((t, 53), dtype=np.float32)
    return Truth(name, known.pop("subject", "M003"), known.pop("emotion", "happy"), motion, **known)  # type: ignore[arg-type]


def score(clip: Truth, samples: np.ndarray, **options: int) -> dict[str, float]:
    generator = np.random.default_rng(0)
    return dict(score_clip(clip, samples, mesh, REGIONS, generator, **options).values)


def still(s: int = 1, t: int = 50) -> np.ndarray:
    return np.zeros((s, t, 53), dtype=np.float32)


def test_a_uniform_shift_of_one_millimetre() -> None:
    samples = still(4)
    samples[:, :, 1] = MM
    values = score(truth(), samples)
    assert values["mve"] == pytest.approx(1e-3, rel=1e-4)
    for squared in ("lve", "mee", "ce"):
        assert values[squared] == pytest.approx(1e-6, rel=1e-4)
    assert values["region_brows"] == pytest.approx(1e-3, rel=1e-4)
    assert values["fdd"] == pytest.approx(0.0, abs=1e-12)
    assert values["diversity"] == 0.0 and values["jitter"] == 0.0
    assert METRICS["mve"].to_mm(values["mve"]) == pytest.approx(1.0, rel=1e-4)
    assert METRICS["lve"].to_mm(values["lve"]) == pytest.approx(1.0, rel=1e-4)


def test_the_truth_itself_scores_zero() -> None:
    clip = Truth("a", "M003", "sad", RNG.normal(0, 0.01, (30, 53)).astype(np.float32))
    values = score(clip, np.repeat(clip.motion[None], 3, axis=0))
    zero = {"mve", "lve", "mee", "ce", "fdd", "fdd_abs", "diversity", "region_brows"}
    assert all(values[name] == 0.0 for name in zero)
    assert values["jitter"] == values["jitter_truth"] > 0


def test_a_deterministic_system_has_one_lip_error_and_no_diversity() -> None:
    one = RNG.normal(0, 0.01, (1, 30, 53)).astype(np.float32)
    clip = Truth("a", "M003", "sad", RNG.normal(0, 0.01, (30, 53)).astype(np.float32))
    values = score(clip, np.repeat(one, 10, axis=0))
    assert values["lve"] == values["mee"] == values["ce"] > 0
    assert values["diversity"] == 0.0
    alone = score(clip, one)
    assert {name: alone[name] for name in values} == values


def test_lip_error_is_the_worst_lip_vertex_of_each_frame() -> None:
    samples = still()
    samples[0, :25, 4] = 2 * MM
    samples[0, :, 3] = 5 * MM
    values = score(truth(), samples)
    assert values["lve"] == pytest.approx(0.5 * 4e-6, rel=1e-4)
    assert values["mve"] == pytest.approx((0.5 * 2 * 2 * MM + 10 * 5 * MM) / V, rel=1e-4)


def test_samples_around_the_truth() -> None:
    samples = still(2)
    samples[0, :, 1], samples[1, :, 1] = 3 * MM, -1 * MM
    values = score(truth(), samples)
    assert values["lve"] == pytest.approx(9e-6, rel=1e-4)
    assert values["ce"] == pytest.approx(1e-6, rel=1e-4)
    assert values["mee"] == pytest.approx(1e-6, rel=1e-4)
    assert values["diversity"] == pytest.approx(4e-3, rel=1e-4)


def test_the_best_sample_is_chosen_per_clip_not_per_frame() -> None:
    samples = still(2)
    samples[0, :25, 1] = 2 * MM
    samples[1, 25:, 1] = 2 * MM
    assert score(truth(), samples)["ce"] == pytest.approx(2e-6, rel=1e-4)


def test_permuting_samples_changes_only_what_asks_for_the_first() -> None:
    clip = Truth("a", "M003", "sad", RNG.normal(0, 0.01, (30, 53)).astype(np.float32))
    samples = RNG.normal(0, 0.01, (6, 30, 53)).astype(np.float32)
    before, after = score(clip, samples), score(clip, samples[[0, 3, 5, 1, 2, 4]])
    for name in set(before) - {"diversity"}:
        assert after[name] == pytest.approx(before[name], rel=1e-6), name
    rotated = score(clip, samples[[1, 2, 3, 4, 5, 0]])
    for name in ("mee", "ce"):
        assert rotated[name] == pytest.approx(before[name], rel=1e-6)
    for name in ("mve", "lve", "fdd", "jitter"):
        assert rotated[name] != pytest.approx(before[name], rel=1e-3)


def test_diversity_pairs_every_sample_once() -> None:
    samples = still(6)
    samples[:, :, 0] = np.array([0, 1, 2, 4, 8, 16])[:, None] * MM
    totals = set()
    for seed in range(40):
        generator = np.random.default_rng(seed)
        row = score_clip(truth(), samples, mesh, REGIONS, generator)
        totals.add(round(row.values["diversity"] * 3 / MM))
    assert totals <= _pair_sums([0, 1, 2, 4, 8, 16]) and len(totals) > 3


def _pair_sums(values: list[int]) -> set[int]:
    """Sum of distances of every way to cut the values into pairs."""
    if not values:
        return {0}
    first, rest = values[0], values[1:]
    return {
        abs(first - other) + total
        for index, other in enumerate(rest)
        for total in _pair_sums(rest[:index] + rest[index + 1 :])
    }


def test_fdd_has_the_sign_of_truth_minus_prediction() -> None:
    clip = truth(40)
    clip.motion[::2, 3] = 2 * MM
    moving = score(clip, still(1, 40))
    # Squared displacement is 4e-6 on every other frame: standard deviation 2e-6.
    assert moving["fdd"] == pytest.approx(2e-6, rel=1e-3)
    assert moving["fdd_abs"] == moving["fdd"]
    lively = score(truth(40), clip.motion[None])
    assert lively["fdd"] == pytest.approx(-2e-6, rel=1e-3)
    assert lively["fdd_abs"] == -lively["fdd"]


@pytest.mark.parametrize("block_bytes", [1, 5000, 10**9])
def test_blocks_change_nothing(block_bytes: int) -> None:
    clip = Truth(
        "a",
        "M003",
        "sad",
        RNG.normal(0, 0.01, (33, 53)).astype(np.float32),
        (Span(3, 9), Span(30, 33)),
        np.arange(33) > 20,
    )
    samples = np.random.default_rng(1).normal(0, 0.01, (5, 33, 53)).astype(np.float32)
    whole, cut = score(clip, samples), score(clip, samples, block_bytes=block_bytes)
    assert set(whole) == set(cut)
    for name, value in whole.items():
        assert cut[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(("hz", "share"), [(10.0, 1.0), (2.0, 0.0)])
def test_jitter_counts_what_moves_above_8_hz(hz: float, share: float) -> None:
    t = 500
    samples = still(1, t)
    samples[0, :, 0] = MM * np.sin(2 * np.pi * hz * np.arange(t) / 25)
    values = score(truth(t), samples)
    assert values["jitter"] == pytest.approx(share * MM / np.sqrt(2), abs=0.02 * MM)
    assert values["jitter_truth"] == 0.0


def test_closure_and_silence() -> None:
    clip = truth(50, bilabials=(Span(10, 14), Span(30, 33)), silent=np.arange(50) >= 40)
    samples = still()
    samples[0, :, 4] = 6 * MM
    samples[0, 12, 4] = 0.0
    samples[0, 31, 4] = 2 * MM
    samples[0, 40:, 4] = 3 * MM
    values = score(clip, samples)
    assert values["closure_gap"] == pytest.approx(1 * MM, rel=1e-4)
    assert values["closure_error"] == pytest.approx(1 * MM, rel=1e-4)
    assert values["closure_gap_truth"] == pytest.approx(0.0, abs=1e-9)
    assert values["silence_error"] == pytest.approx(3 * MM, rel=1e-4)
    plain = score(truth(50), samples)
    assert not {"closure_error", "silence_error"} & set(plain)


def test_lips_pressed_together_are_closed() -> None:
    motion = still(1, 2)
    motion[0, :, 4] = [-2 * MM, 2 * MM]
    gap = lip_gap(mesh(motion)[0], REGIONS, TEMPLATE)
    assert gap == pytest.approx([0.0, 2 * MM], abs=1e-8)


def test_events_from_phones_and_audio() -> None:
    phones = [("P", 0.0, 0.04), ("AA1", 0.04, 0.4), ("m", 0.41, 0.5), ("B", 5.0, 5.1)]
    assert bilabial_spans(phones, 20) == (Span(0, 1), Span(10, 13))
    marked = [(name, 0.0, 0.04) for name in ("pʰ", "mʲ", "bː", "m̩", "EM0", "pau", "f")]
    assert len(bilabial_spans(marked, 20)) == 5
    audio = np.sin(np.arange(32000) * 0.3)
    audio[8000:16000] *= 1e-3
    silent = silent_frames(audio, 50)
    assert np.flatnonzero(silent).tolist() == list(range(15, 23))
    assert silent_frames(np.zeros(32000), 50).all()


def many(n: int, mm: float = 1.0) -> list[tuple[Truth, np.ndarray]]:
    pairs = []
    for index in range(n):
        t = 10 + 10 * (index % 2)
        samples = still(2, t)
        samples[:, :, 0] = mm * MM * (1 + index % 4)
        emotion, subject = ("happy", "angry")[index % 2], f"M{index % 3:03d}"
        pairs.append((truth(t, f"clip {index}", emotion=emotion, subject=subject), samples))
    return pairs


def test_means_weigh_clips_by_frames_and_groups_add_up() -> None:
    scores = score_all(many(8), mesh, REGIONS)
    # 10 frames at 1 and 3 mm, 20 frames at 2 and 4 mm.
    assert scores.mean("mve") == pytest.approx((1 + 3 + 2 * (2 + 4)) / 6 * MM, rel=1e-4)
    by_emotion = scores.by("emotion")
    assert list(by_emotion) == ["angry", "happy"]
    assert by_emotion["happy"].mean("mve") == pytest.approx(2 * MM, rel=1e-4)
    assert by_emotion["angry"].mean("lve") == pytest.approx(10e-6, rel=1e-4)
    assert sum(len(group.clips) for group in scores.by("subject").values()) == 8
    assert np.isnan(scores.mean("closure_error"))


def test_order_of_clips_changes_nothing() -> None:
    pairs = [
        (clip, RNG.normal(0, 0.01, (6, *clip.motion.shape)).astype(np.float32))
        for clip, _ in many(6)
    ]
    forward, backward = (score_all(some, mesh, REGIONS) for some in (pairs, pairs[::-1]))
    assert forward.mean("diversity") == pytest.approx(backward.mean("diversity"), rel=1e-12)


def test_bootstrap_interval_covers_the_mean_it_should() -> None:
    same = score_all([pair for pair in many(40) if pair[0].motion.shape[0] == 10], mesh, REGIONS)
    flat = score_all(many(1), mesh, REGIONS).estimate("mve")
    assert flat.value == pytest.approx(MM) and np.isnan(flat.low) and np.isnan(flat.high)
    estimate = same.estimate("mve")
    # Values are 1 and 3 mm in equal parts: standard error 1 / sqrt(20) mm.
    width = 2 * 1.96 / np.sqrt(20) * MM
    assert estimate.low < estimate.value < estimate.high
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.12)
    assert estimate == same.estimate("mve") and estimate.n_clips == 20
    assert estimate.mm[0] == pytest.approx(estimate.value * 1e3)
    missing = same.estimate("closure_error")
    assert missing.n_clips == 0 and np.isnan(missing.low)


def test_paired_difference_sees_what_separate_intervals_do_not() -> None:
    ours, theirs = (score_all(many(40, mm), mesh, REGIONS) for mm in (1.0, 1.05))
    result = difference(ours, Scores(theirs.clips[::-1]), "mve")
    assert result.low < result.value < result.high < 0
    assert ours.estimate("mve").high > theirs.estimate("mve").low
    with pytest.raises(ValueError, match="same clips"):
        difference(ours, Scores(theirs.clips[:-1]), "mve")


def test_people_are_resampled_whole() -> None:
    """Two people, 1 and 3 mm, twenty clips each: over clips it looks certain, over people not."""
    pairs = []
    for index in range(40):
        samples = still(1, 10)
        samples[:, :, 0] = (1 + 2 * (index % 2)) * MM
        pairs.append((truth(10, f"{index}", subject=f"M{index % 2:03d}"), samples))
    scores = score_all(pairs, mesh, REGIONS)
    clips, people = scores.estimate("mve"), scores.estimate("mve", over="subject")
    assert clips.value == people.value == pytest.approx(2 * MM, rel=1e-4)
    assert clips.high - clips.low < 0.7 * MM
    assert (people.low, people.high) == (
        pytest.approx(MM, rel=1e-4),
        pytest.approx(3 * MM, rel=1e-4),
    )
    one = scores.by("subject")["M000"]
    assert np.isnan(one.estimate("mve", over="subject").low)
    apart = difference(scores, scores, "mve", over="subject")
    assert apart.low == apart.high == 0.0


def test_scores_survive_a_file(tmp_path: Path) -> None:
    scores = score_all(many(3), mesh, REGIONS)
    scores.save(tmp_path / "scores.json")
    assert Scores.load(tmp_path / "scores.json") == scores
    (tmp_path / "other.json").write_text(json.dumps({"version": 2}))
    with pytest.raises(ValueError, match="version 1"):
        Scores.load(tmp_path / "other.json")


def test_memory_does_not_grow_with_clips_or_frames() -> None:
    def peak(n: int, t: int) -> int:
        samples = RNG.normal(0, 0.01, (10, t, 53)).astype(np.float32)
        tracemalloc.start()
        pairs = ((truth(t, f"{i}"), samples) for i in range(n))
        score_all(pairs, mesh, REGIONS, block_bytes=2**19)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(1, 300)
    few, many_clips, long_clip = peak(1, 300), peak(6, 300), peak(1, 3000)
    # A clip itself is 0.6 MB of motion at 3,000 frames; its vertices would be 29 MB.
    assert many_clips < 1.1 * few and long_clip < few + 3e6


@pytest.mark.slow
def test_ten_samples_on_flame_stay_far_below_two_gigabytes() -> None:
    v, t = 5023, 100
    rng = np.random.default_rng(0)
    basis = rng.normal(0, 1e-3, (53, v * 3)).astype(np.float32)
    lips, upper = np.arange(428), np.arange(1000, 2501)
    regions = Regions(lips, upper, lips[:5], lips[5:10])

    def flame(motion: np.ndarray) -> np.ndarray:
        return (motion.reshape(-1, 53) @ basis).reshape(*motion.shape[:2], v, 3)

    samples = rng.normal(0, 0.3, (10, t, 53)).astype(np.float32)
    tracemalloc.start()
    score_all(((truth(t, f"{i}"), samples) for i in range(4)), flame, regions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (still(0), "samples must be"),
        (still(1, 49), r"samples are \[49, 53\]"),
        (np.full((1, 50, 53), np.nan, dtype=np.float32), "NaN"),
    ],
)
def test_bad_samples_are_named_with_their_clip(samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"a: .*{message}"):
        score(truth(), samples)


def test_regions_come_from_lists(tmp_path: Path) -> None:
    (tmp_path / "lips.txt").write_text("0, 1,2\n3")
    (tmp_path / "upper.txt").write_text("7 8")
    listed = regions_from_lists(tmp_path / "lips.txt", tmp_path / "upper.txt")
    assert listed.lips.tolist() == [0, 1, 2, 3] and listed.upper_rim.size == 0
    (tmp_path / "rims.txt").write_text("0 1 2 3 4 5 6\n8,9,10,11,12,13,14\n")
    rims = regions_from_lists(*(tmp_path / f"{n}.txt" for n in ("lips", "upper", "rims")))
    assert rims.upper_rim.tolist() == [1, 2, 3, 4, 5]
    assert rims.lower_rim.tolist() == [9, 10, 11, 12, 13]
    assert (
        "closure_error"
        not in score_clip(
            truth(50, bilabials=(Span(1, 2),)), still(), mesh, listed, np.random.default_rng(0)
        ).values
    )
    with pytest.raises(ValueError, match="vertex 40"):
        Regions(np.array([40]), UPPER, UPPER, UPPER).check(V)
    (tmp_path / "bad.txt").write_text("1 two")
    with pytest.raises(ValueError, match=r"bad\.txt"):
        regions_from_lists(tmp_path / "bad.txt", tmp_path / "upper.txt")


def test_movement_map_is_the_step_between_adjacent_frames() -> None:
    movement = MovementAccumulator(mesh)
    clip = still(1, 301)[0]
    clip[:, 0] = np.cumsum(np.resize([1, 3], 301)) * MM
    movement.add(clip)
    movement.add(clip[:101])
    result = movement.result()
    assert result.n_steps == 400
    assert result.mean_mm == pytest.approx(np.full(V, 2.0), rel=1e-3)
    assert result.std_mm == pytest.approx(np.full(V, 1.0), rel=1e-3)


def test_every_metric_says_its_unit() -> None:
    units = {name: METRICS[name].unit for name in ("mve", "lve", "fdd", "diversity")}
    assert units == {"mve": "m", "lve": "m^2", "fdd": "m^2", "diversity": "m"}
    assert metric_named("region_lips").unit_mm == "mm"
    with pytest.raises(ValueError, match="'nose'"):
        metric_named("nose")
