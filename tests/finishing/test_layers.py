# SPDX-License-Identifier: Apache-2.0
"""The procedural layers: rates as cited, speech-aware, seeded, the same from any frame on."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lsf_backend.audio import open_audio
from lsf_backend.finishing import blinks, gaze, head_motion
from lsf_backend.finishing.randomness import normal, smooth_noise, thinned, uniform
from lsf_backend.finishing.speech import SpeechTrack, levels_from_samples, starts_and_ends
from tests.finishing.talk import talk_levels

FRAMES = 25 * 600
TALK = SpeechTrack.from_levels(talk_levels(FRAMES))
REST = SpeechTrack.from_levels(np.full(FRAMES, -90.0))
MINUTES = FRAMES / 1500

LAYERS: dict[str, Callable] = {
    "blink events": blinks.blink_events,
    "blink closure": blinks.blink_closure,
    "gaze": gaze.gaze_target,
    "head": head_motion.head_rotation,
    "breath": head_motion.breath,
}


@pytest.mark.parametrize("name", LAYERS)
def test_any_range_is_the_same_piece_of_the_whole(name: str) -> None:
    layer = LAYERS[name]
    whole = layer(7, 0, 2000, TALK)
    random = np.random.default_rng(1)
    for _ in range(12):
        first = int(random.integers(-50, 1900))
        count = int(random.integers(1, 2000 - max(first, 0)))
        piece = layer(7, first, count, TALK)
        assert piece.shape[0] == count
        np.testing.assert_array_equal(piece[max(0, -first) :], whole[max(first, 0) : first + count])


@pytest.mark.parametrize("name", LAYERS)
def test_a_seed_repeats_and_another_differs(name: str) -> None:
    layer = LAYERS[name]
    np.testing.assert_array_equal(layer(3, 0, 1500, TALK), layer(3, 0, 1500, TALK))
    assert not np.array_equal(layer(3, 0, 1500, TALK), layer(2**63 + 3, 0, 1500, TALK))


@pytest.mark.parametrize("name", LAYERS)
def test_the_sound_further_away_than_the_look_ahead_plays_no_part(name: str) -> None:
    levels = talk_levels(1500)
    other = levels.copy()
    other[500 + 6 * 25 :] = -90.0
    one, two = (SpeechTrack.from_levels(series) for series in (levels, other))
    layer = LAYERS[name]
    np.testing.assert_array_equal(layer(5, 0, 500, one), layer(5, 0, 500, two))
    assert not np.array_equal(layer(5, 0, 1500, one), layer(5, 0, 1500, two))


@pytest.mark.parametrize(("track", "low", "high"), [(TALK, 23.0, 30.0), (REST, 14.0, 20.0)])
def test_blinks_come_as_often_as_counted_in_people(
    track: SpeechTrack, low: float, high: float
) -> None:
    rates = [blinks.blink_events(seed, 0, FRAMES, track).sum() / MINUTES for seed in range(4)]
    assert low < np.mean(rates) < high
    frames = np.flatnonzero(blinks.blink_events(0, 0, FRAMES, track))
    assert np.diff(frames).min() >= blinks.GAP_FRAMES


def test_blinks_gather_where_phrases_end() -> None:
    active = TALK.active(0, FRAMES)
    _, ends = starts_and_ends(active)
    after_end = np.zeros(FRAMES, dtype=bool)
    for shift in range(2, 6):
        after_end[shift:] |= ends[:-shift]
    events = blinks.blink_events(1, 0, FRAMES, TALK)
    assert events[after_end].mean() > 4.0 * events[~after_end].mean()


def test_a_blink_shuts_the_eyes_fast_and_opens_them_slowly() -> None:
    closure = blinks.blink_closure(2, 0, FRAMES, REST)
    assert 0.0 <= closure.min() and closure.max() <= 1.0
    for frame in np.flatnonzero(blinks.blink_events(2, 10, FRAMES - 20, REST)) + 10:
        assert closure[frame] >= 0.9
        assert (closure[frame - 2] > 0.2) and (closure[frame - 3] < 0.05)
        assert closure[frame + 3] > 0.2 > closure[frame + 5]


@pytest.mark.parametrize(
    ("track", "share", "length_s"), [(TALK, (0.18, 0.30), 0.93), (REST, (0.03, 0.08), 0.43)]
)
def test_looks_away_last_and_recur_as_in_eyes_alive(
    track: SpeechTrack, share: tuple[float, float], length_s: float
) -> None:
    away = np.concatenate([np.abs(gaze._away(s, 0, FRAMES, track)).sum(1) > 0 for s in range(3)])
    assert share[0] < away.mean() < share[1]
    edges = np.flatnonzero(np.diff(away.astype(int)))
    runs = np.diff(edges)[0 if away[edges[0] + 1] else 1 :: 2] / 25.0
    assert runs.mean() == pytest.approx(length_s, rel=0.25)


def test_saccades_are_fast_bounded_and_mostly_small() -> None:
    angle = np.degrees(gaze.gaze_target(4, 0, FRAMES, TALK))
    jumps = np.linalg.norm(np.diff(angle, axis=0), axis=1)
    assert np.linalg.norm(angle, axis=1).max() < gaze.LARGEST_DEG + 6.0
    assert (jumps == 0.0).mean() > 0.85, "between saccades the eyes rest"
    moved = jumps[jumps > 0.0]
    assert np.mean(moved < 15.0) > 0.9
    still = np.concatenate([[1], (jumps == 0.0), [1]]).astype(int)
    edges = np.flatnonzero(np.diff(still))
    assert np.diff(edges)[::2].max() <= 4, "a saccade takes one to two frames, two may meet"


def test_nobody_looks_away_just_before_a_phrase_ends() -> None:
    active = TALK.active(0, FRAMES)
    _, ends = starts_and_ends(active)
    ending = np.zeros(FRAMES, dtype=bool)
    for shift in range(1, 9):
        ending[:-shift] |= ends[shift:]
    events, _ = gaze._away_events(0, 0, FRAMES, TALK)
    starts, _ = starts_and_ends(active)
    assert events[ending & ~starts].sum() == 0
    assert events[starts].mean() > 10 * events[active].mean()


def test_look_weights_turn_both_eyes_the_same_way() -> None:
    weights = gaze.look_weights(np.array([[0.1, 0.2], [-0.1, -0.2], [0.0, 0.0], [9.0, 9.0]]))
    assert weights["eyeLookOutLeft"][0] > 0 and weights["eyeLookInRight"][0] > 0
    assert weights["eyeLookInLeft"][0] == weights["eyeLookOutRight"][0] == 0
    assert weights["eyeLookDownLeft"][0] == weights["eyeLookDownRight"][0] > 0
    assert weights["eyeLookUpLeft"][1] > 0 and weights["eyeLookInLeft"][1] > 0
    for series in weights.values():
        assert series[2] == 0.0 <= series.min() and series.max() <= 1.0


def test_the_head_moves_little_and_more_in_speech() -> None:
    talk, rest = (np.degrees(head_motion.head_rotation(1, 0, FRAMES, t)) for t in (TALK, REST))
    assert (talk.std(axis=0) > 2.0 * rest.std(axis=0)).all()
    assert np.abs(talk).max() < 5.0
    assert (rest.std(axis=0) > 0.05).all(), "never frozen"
    assert np.abs(np.diff(talk, n=2, axis=0)).max() * 625 < 400, "no jerks (degrees per s^2)"


def test_breath_is_taken_in_pauses_twelve_to_twenty_times_a_minute() -> None:
    for track in (TALK, REST):
        filled = head_motion.breath(3, 0, FRAMES, track)
        assert 0.0 <= filled.min() and filled.max() <= 1.0
        rising = np.diff(filled) > 0
        onsets = np.flatnonzero(rising[1:] & ~rising[:-1]) + 1
        assert 12 <= len(onsets) / MINUTES <= 20
        assert track.active(0, FRAMES)[onsets].mean() < 0.05


def test_speech_is_found_and_short_gaps_are_bridged() -> None:
    levels = np.full(400, -75.0)
    levels[100:200] = -30.0
    levels[140:145] = -75.0  # a stop consonant and its neighbours
    levels[300:350] = -62.0  # a breath, far below the voice
    active = SpeechTrack.from_levels(levels).active(0, 400)
    assert active[100:200].all()
    assert not active[:97].any() and not active[204:].any()
    assert SpeechTrack.from_levels(levels).active(150, 10).all()


def test_frames_outside_the_sound_are_silent() -> None:
    track = SpeechTrack.from_levels(np.full(50, -20.0))
    assert track.level_db(-3, 5).tolist() == [-100.0] * 3 + [-20.0] * 2
    assert track.active(45, 10).tolist() == [True] * 5 + [False] * 5


def test_levels_are_read_once_and_in_order() -> None:
    asked: list[tuple[int, int]] = []

    def more(first: int, count: int) -> np.ndarray:
        asked.append((first, count))
        return np.full(count, -20.0)

    track = SpeechTrack(1000, more)
    track.active(0, 10)
    track.active(0, 900)
    assert [first for first, _ in asked] == [0, 250, 500, 750]
    assert sum(count for _, count in asked) == 1000


def test_levels_of_samples() -> None:
    samples = np.concatenate([np.zeros(640), np.full(640, 0.1), np.ones(100)]).astype(np.float32)
    assert levels_from_samples(samples) == pytest.approx([-100.0, -20.0], abs=1e-3)


def test_random_numbers_are_even_and_independent() -> None:
    values = uniform(11, "a", -5000, 20000)
    assert 0.0 <= values.min() and values.max() < 1.0
    assert np.histogram(values, 20, (0, 1))[0].std() < 60
    others = [uniform(12, "a", -5000, 20000), uniform(11, "b", -5000, 20000)]
    others += [values[::-1], np.roll(values, 1)]
    for other in others:
        assert abs(np.corrcoef(values, other)[0, 1]) < 0.03
    gauss = normal(1, "g", 0, 20000)
    assert abs(gauss.mean()) < 0.03 and gauss.std() == pytest.approx(1.0, abs=0.03)


def test_noise_is_smooth_and_bounded() -> None:
    noise = smooth_noise(1, "n", 0, 5000, 25.0)
    assert np.abs(noise).max() <= 1.0
    assert np.abs(np.diff(noise)).max() < 0.16
    assert noise.std() > 0.3


def test_thinning_keeps_the_strongest_within_the_gap() -> None:
    marks = np.array([0.0, 0.3, 0.0, 0.9, 0.5, 0.0, 0.0, 0.0, 0.2])
    assert np.flatnonzero(thinned(marks, 3)).tolist() == [3, 8]
    assert np.flatnonzero(thinned(marks, 1)).tolist() == [1, 3, 4, 8]


def test_a_sound_file_is_followed(tmp_path: Path) -> None:
    time = np.arange(16_000 * 4) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * 180.0 * time) * ((time > 1.0) & (time < 2.5))
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    track = SpeechTrack.from_audio(open_audio(tmp_path / "talk.wav", 0.0, None))
    assert track.n_frames == 100
    spoken = np.flatnonzero(track.active(0, 100))
    assert abs(spoken[0] - 25) <= 1 and abs(spoken[-1] - 62) <= 1
