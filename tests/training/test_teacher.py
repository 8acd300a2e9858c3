# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.face_model import FaceModel
from lsf_backend.face.head_space import arkit_from_motion
from lsf_backend.face.measure import lip_gap_mm, mouth_width_mm
from training.corpus import geometry, mouth
from training.corpus.geometry import FaceSizes
from training.corpus.phones import GESTURES, gestures_of, merged
from training.corpus.teacher import Teacher

BETAS = np.zeros(300, np.float32)


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return FaceModel.load()


def voice(seconds: float, level: float = 0.2) -> np.ndarray:
    t = np.arange(int(16_000 * seconds)) / 16_000
    return (level * sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12))).astype(
        np.float32
    )


def gap_of(face: FaceModel, gestures, audio=None, betas=BETAS, seed=0) -> np.ndarray:
    end = gestures[-1][2]
    motion = Teacher.load().motion(voice(end) if audio is None else audio, gestures, betas, seed)
    return lip_gap_mm(face, arkit_from_motion(motion))


def test_bilabials_close_between_the_widest_vowels_at_any_phase(face):
    for offset in np.arange(0.0, 0.04, 0.01):
        start = 0.6 + offset
        gestures = (("sil", 0, 0.3), ("AA", 0.3, start), ("P", start, start + 0.06),
                    ("AA", start + 0.06, 1.0), ("sil", 1.0, 1.4))  # fmt: skip
        gap = gap_of(face, gestures)
        frame = round(25 * (start + 0.03))
        assert gap[frame - 1 : frame + 2].min() < 0.0
        assert gap[frame - 4] > 5.0


def test_mouth_is_shut_in_pauses(face):
    gestures = (("sil", 0, 0.4), ("AE", 0.4, 0.8), ("sil", 0.8, 1.3), ("AE", 1.3, 1.7),
                ("sil", 1.7, 2.2))  # fmt: skip
    gap = gap_of(face, gestures)
    times = np.arange(len(gap)) / 25.0
    pause = (times > 0.9) & (times < 1.24) | (times < 0.3) | (times > 1.85)
    assert np.abs(gap[pause]).max() < 0.5
    assert gap.max() > 8.0


def test_louder_vowels_open_further(face):
    peaks = []
    for level in (0.02, 0.2):
        audio = np.concatenate([voice(0.5), voice(0.5, level), voice(0.5)])
        gestures = (("EH", 0, 0.5), ("T", 0.5, 0.55), ("AA", 0.55, 0.95), ("T", 0.95, 1.0),
                    ("EH", 1.0, 1.5))  # fmt: skip
        peaks.append(gap_of(face, gestures, audio)[15:23].max())
    assert peaks[1] > 1.2 * peaks[0]


@pytest.mark.parametrize("name", sorted(GESTURES))
def test_each_sound_reaches_its_gap_on_the_mesh(face, name):
    audio = voice(1.2)
    gap = gap_of(face, (("sil", 0, 0.2), (name, 0.2, 1.0), ("sil", 1.0, 1.2)), audio)[15]
    wanted = GESTURES[name].gap
    if GESTURES[name].closed:
        assert gap < 0.0
    else:
        assert 0.6 * wanted - 0.3 <= gap <= 1.4 * wanted + 0.5


def test_rounded_sounds_are_narrower_than_spread_ones(face):
    def width(name: str) -> float:
        gestures = (("sil", 0, 0.2), (name, 0.2, 0.8), ("sil", 0.8, 1.0))
        motion = Teacher.load().motion(voice(1.0), gestures, BETAS, 0)
        return float(mouth_width_mm(face, arkit_from_motion(motion))[12])

    rounded = [width(name) for name in ("UW", "W", "OW", "SH", "UE")]
    assert max(rounded) < width("AA") - 1.0 < width("IY") - 2.0


def test_f_tucks_the_lower_lip():
    def tuck(name: str) -> float:
        gestures = (("AA", 0, 0.4), (name, 0.4, 0.5), ("AA", 0.5, 1.0))
        motion = Teacher.load().motion(voice(1.0), gestures, BETAS, 0)
        return float(arkit_from_motion(motion)[11, ARKIT_NAMES.index("mouthRollLower")])

    assert tuck("F") > 0.3 > 0.1 > tuck("T")


def identity(rng: np.random.Generator) -> np.ndarray:
    return (0.8 * rng.standard_normal(300)).astype(np.float32)


@pytest.mark.parametrize("emotion", range(8))
def test_lips_of_every_face_meet_on_bilabials_in_every_emotion(face, emotion):
    gestures = (("sil", 0, 0.2), ("AA", 0.2, 0.35), ("P", 0.35, 0.42), ("IY", 0.42, 0.55),
                ("M", 0.55, 0.63), ("OW", 0.63, 0.8), ("sil", 0.8, 1.2))  # fmt: skip
    rng = np.random.default_rng(emotion)
    for betas in [BETAS, *(identity(rng) for _ in range(4))]:
        motion = Teacher.load().motion(voice(1.2), gestures, betas, 1, emotion, 2)
        gap = lip_gap_mm(face, arkit_from_motion(motion), betas)
        times = np.arange(len(gap)) / 25.0
        for first, last in ((0.35, 0.42), (0.55, 0.63), (0.95, 1.1)):
            assert gap[(times >= first - 0.02) & (times <= last + 0.02)].min() < 0.3
        assert gap[(times > 0.22) & (times < 0.34)].max() > 4.0


@pytest.mark.parametrize("name", ["N", "NG", "L", "T", "K", "S", "TH"])
def test_sounds_behind_the_lips_stay_open_even_when_short_and_soft(face, name):
    audio = np.concatenate([voice(0.4), 0.02 * voice(0.3), voice(0.3)])
    gestures = (("sil", 0, 0.15), ("UW", 0.15, 0.42), (name, 0.42, 0.46), ("W", 0.46, 0.58),
                (name, 0.58, 0.62), ("sil", 0.62, 1.0))  # fmt: skip
    gap = gap_of(face, gestures, audio)
    assert gap[11] > 0.95 * GESTURES[name].least and gap[15] > 0.6 * GESTURES[name].least


def test_the_fit_meets_the_gap_exactly_whatever_else_is_wanted():
    rng = np.random.default_rng(0)
    spans = {"gap": (-0.5, 14), "side": (0, 6), "jaw": (0, 13), "width": (-8, 8),
             "upper_out": (0, 6), "lower_out": (-4, 6), "raised": (0, 3), "upper_thin": (0, 2),
             "lower_thin": (0, 3), "corner": (-4, 6)}  # fmt: skip
    wanted = {name: rng.uniform(*spans[name], size=300) for name in geometry.MEASURES}
    controls = mouth.solve(wanted)
    assert controls.min() >= 0.0 and controls.max() <= 1.0
    found = controls @ geometry.mouth_table().row("gap")
    np.testing.assert_allclose(found, wanted["gap"], atol=1e-6)


def test_uneven_sides_keep_their_sum():
    rng = np.random.default_rng(1)
    controls = rng.uniform(0.0, 1.0, (200, len(geometry.CONTROLS)))
    weights = np.zeros((200, 52))
    mouth.spread(weights, controls, rng.uniform(-1.0, 1.0, 200))
    assert weights.min() >= -1e-9 and weights.max() <= 1.0 + 1e-9
    gap = geometry.lip_tables().gap_mm(weights)
    np.testing.assert_allclose(gap, controls @ geometry.mouth_table().row("gap"), atol=0.05)


def test_identities_move_by_their_own_sizes_and_split_jaw_and_lips_their_own_way():
    teacher, gestures = Teacher.load(), (("sil", 0, 0.2), ("AA", 0.2, 0.8), ("sil", 0.8, 1.0))
    rng = np.random.default_rng(3)
    faces = [identity(rng) for _ in range(60)]
    sizes = [FaceSizes.of(betas) for betas in faces]
    order = np.argsort([size.lower_face / size.mouth for size in sizes])
    open_mm, jaws, apertures = [], [], []
    for index in (order[-1], order[0]):
        weights = teacher.weights(voice(1.0), gestures, faces[index], 0)
        open_mm.append(float(teacher.tables.gap_mm(weights).max()))
        jaws.append(float(weights[:, ARKIT_NAMES.index("jawOpen")].max()))
        apertures.append(0.5 * (sizes[index].lower_face + sizes[index].mouth))
    assert open_mm[0] / open_mm[1] == pytest.approx(apertures[0] / apertures[1], rel=0.02)
    # A long chin under a narrow mouth leaves more of the opening to the jaw.
    assert jaws[0] / open_mm[0] > 1.4 * jaws[1] / open_mm[1]


def test_sizes_are_of_the_mesh(face):
    betas = identity(np.random.default_rng(5))
    corners = face.regions["lips_upper_inner"][[0, -1]]
    width = np.ptp(face.shaped(betas)[corners, 0]) / np.ptp(face.v_template[corners, 0])
    assert FaceSizes.of(betas).mouth == pytest.approx(width, rel=1e-4)


def test_emotions_show_in_their_own_action_units_and_grow_with_intensity():
    gestures = (("sil", 0, 0.2), ("EH", 0.2, 0.9), ("sil", 0.9, 1.2))

    def mean(name: str, emotion: int, intensity: int) -> float:
        weights = Teacher.load().weights(voice(1.2), gestures, BETAS, 0, emotion, intensity)
        return float(weights[5:25, ARKIT_NAMES.index(name)].mean())

    # neutral happy sad surprised fear disgusted angry contempt
    telling = {1: "mouthSmileLeft", 2: "mouthFrownLeft", 3: "browOuterUpLeft", 4: "eyeWideLeft",
               5: "noseSneerLeft", 6: "browDownLeft"}  # fmt: skip
    for emotion, name in telling.items():
        weak, middle, strong = (mean(name, emotion, i) for i in range(3))
        assert mean(name, 0, 0) + 0.05 < weak < middle < strong, name
    assert mean("mouthSmileLeft", 7, 2) > 2.0 * mean("mouthSmileRight", 7, 2)


def test_brows_rise_on_accents():
    times = np.arange(32_000) / 16_000
    hertz = 120.0 * 2.0 ** (0.6 * np.exp(-(((times - 1.0) / 0.12) ** 2)))
    audio = sum(np.sin(k * 2 * np.pi * np.cumsum(hertz) / 16_000) / k for k in range(1, 9)) * 0.1
    weights = Teacher.load().weights(audio.astype(np.float32), (("AH", 0.0, 2.0),), BETAS, 0)
    brow = weights[:, ARKIT_NAMES.index("browInnerUp")]
    assert 20 <= np.argmax(brow) <= 26 and brow.max() > 2.0 * np.median(brow) + 0.1


def test_motion_is_seeded_smooth_and_leaves_blinks_alone():
    gestures = (("sil", 0, 0.2), ("AA", 0.2, 0.8), ("P", 0.8, 0.9), ("IY", 0.9, 1.2))
    teacher = Teacher.load()
    one, same, other = (teacher.motion(voice(1.2), gestures, BETAS, s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.0
    weights = arkit_from_motion(one)
    still = ("eyeBlink", "eyeLook", "cheekPuff")
    unmoved = [n for n in ARKIT_NAMES if n.startswith(still)]
    assert not weights[:, [ARKIT_NAMES.index(n) for n in unmoved]].any()


def test_symbols_of_both_notations():
    assert gestures_of("AH0", "arpabet") == ["AH"] and gestures_of("ay", "arpabet") == ["AA", "IH"]
    assert gestures_of("r", "arpabet") == ["R"] and gestures_of("r", "ipa") == ["T"]
    assert gestures_of("y", "arpabet") == ["Y"] and gestures_of("y", "ipa") == ["UE"]
    assert gestures_of("tʃʲ", "ipa") == ["SH"] and gestures_of("pf", "ipa") == ["P"]
    assert gestures_of("oʊ", "ipa") == ["OW", "UH"] and gestures_of("ɑː", "ipa") == ["AA"]
    assert gestures_of("tsʰ", "ipa") == ["S"] and gestures_of("ts.h", "ipa") == ["SH"]
    assert gestures_of("ng", "arpabet") == gestures_of("ŋ", "ipa") == ["NG"]
    assert gestures_of("a1", "sampa") == ["AA"] and gestures_of("tS", "sampa") == ["SH"]
    assert gestures_of("bb", "russian") == ["P"] and gestures_of("c~", "czech") == ["SH"]
    assert gestures_of("ɓ", "ipa") == ["K"] and gestures_of("pau", "arpabet") == ["sil"]


def test_touching_silences_join():
    joined = merged([("sil", 0.0, 0.1), ("sil", 0.1, 0.1), ("sil", 0.1, 0.4), ("P", 0.4, 0.5)])
    assert list(joined) == [("sil", 0.0, 0.4), ("P", 0.4, 0.5)]
