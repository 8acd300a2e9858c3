# SPDX-License-Identifier: Apache-2.0
"""Sounds with their times -> the face that makes them, by rules stated in mm.

Co-articulation gives what the mouth should measure at each frame, scaled to the identity's own face
and changed by the emotion's look; a small constrained fit finds the shapes that measure it, lips of
every identity meeting on p, b, m. Synthetic by rule: nobody's captured motion is used. Head motion
and blinks are not made here. The head has no tongue shape but tongueOut: th and l show the tip.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from lsf_backend.engine.features import SpeechReference, prosody, raw_prosody
from lsf_backend.face.arkit import ARKIT_NAMES
from lsf_backend.face.head_space import motion_from_arkit
from training.corpus import mouth
from training.corpus.coarticulation import lip_curves
from training.corpus.expression import LOOKS, strength
from training.corpus.geometry import FaceSizes, LipTables, lip_tables
from training.corpus.phones import Gestures
from training.corpus.upper_face import Voicing, upper_face

# p, b and m press the lips a little, so that a small error still leaves them closed.
_PRESSED_GAP_MM = -0.5
# tongueOut at weight 1 moves the tip this far.
_TONGUE_MM = 21.9
# With the corners the side of the lips opens less than the middle: gap, at a usual jaw.
_SIDE_SHARE = 0.46


class TaughtClip(Protocol):
    """What the teacher needs of a clip of the corpus."""

    @property
    def stem(self) -> str:
        """Name of the clip in its corpus."""

    @property
    def audio(self) -> np.ndarray:
        """[N] float32, 16 kHz."""

    @property
    def gestures(self) -> Gestures:
        """Sounds with their times."""

    @property
    def emotion(self) -> int:
        """As in ``training.data.clips.EMOTIONS``."""

    @property
    def intensity(self) -> int:
        """0..2."""


@dataclasses.dataclass(frozen=True)
class Heard:
    """What is the same for every face: the voice, and lip curves [T] mm by channel."""

    voicing: Voicing
    curves: dict[str, np.ndarray]

    @classmethod
    def of(cls, audio: np.ndarray, gestures: Gestures) -> Heard:
        """Audio [N] 16 kHz, gestures (name, start_s, end_s)."""
        raw = raw_prosody(audio)
        reference = SpeechReference()
        reference.hear(raw)
        voicing = Voicing.of(prosody(raw, reference))
        return cls(voicing, lip_curves(gestures, voicing.energy, audio.size // 640))


@dataclasses.dataclass(frozen=True)
class Teacher:
    """Makes motion on the bundled head; ``tables`` say how its lips answer to ARKit weights."""

    tables: LipTables
    _last: dict[str, Heard] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls) -> Teacher:
        """The teacher of the bundled head."""
        return cls(lip_tables())

    def clip_motion(self, clip: TaughtClip, betas: np.ndarray, seed: int) -> np.ndarray:
        """Motion [T, 53] of a clip of the corpus, with the emotion that it was spoken in.

        The clip's sound is analysed once for all faces that are taught in a row.
        """
        if clip.stem not in self._last:
            self._last.clear()
            self._last[clip.stem] = Heard.of(clip.audio, clip.gestures)
        heard = self._last[clip.stem]
        return motion_from_arkit(_weights(heard, betas, seed, clip.emotion, clip.intensity))

    def motion(
        self, audio: np.ndarray, gestures: Gestures, betas: np.ndarray, seed: int,
        emotion: int = 0, intensity: int = 0,
    ) -> np.ndarray:  # fmt: skip
        """Audio [N] 16 kHz, gestures (name, start_s, end_s), betas [300] -> motion [T, 53]."""
        return motion_from_arkit(self.weights(audio, gestures, betas, seed, emotion, intensity))

    def weights(
        self, audio: np.ndarray, gestures: Gestures, betas: np.ndarray, seed: int,
        emotion: int = 0, intensity: int = 0,
    ) -> np.ndarray:  # fmt: skip
        """ARKit weights [T, 52] at 25 fps, T = floor(N / 640); arguments as in :meth:`motion`."""
        return _weights(Heard.of(audio, gestures), betas, seed, emotion, intensity)


def _weights(
    heard: Heard, betas: np.ndarray, seed: int, emotion: int, intensity: int
) -> np.ndarray:
    """ARKit weights [T, 52] of a face that says what was heard in an emotion."""
    voicing, curves = heard.voicing, heard.curves
    n_frames = curves["gap"].size
    show = strength(voicing.speaking, voicing.force, intensity) * (emotion != 0)
    weights = np.zeros((n_frames, len(ARKIT_NAMES)))
    upper_face(weights, voicing, show, emotion, np.random.default_rng([seed, 4]))
    show = show[: 2 * n_frames : 2]
    controls = mouth.solve(wanted_measures(curves, FaceSizes.of(betas), emotion, show))
    mouth.spread(weights, controls, LOOKS[emotion].uneven * np.clip(show, 0.0, 1.0))
    tongue = curves["tongue"] * (1.0 - curves["shut"]) * (1.0 - curves["still"])
    weights[:, ARKIT_NAMES.index("tongueOut")] = tongue / _TONGUE_MM
    return np.clip(weights, 0.0, 1.0).astype(np.float32)


def wanted_measures(
    curves: dict[str, np.ndarray], sizes: FaceSizes, emotion: int, show: np.ndarray
) -> dict[str, np.ndarray]:
    """What a face's mouth should measure: curves [T] mm of the mean face -> MEASURES [T] mm.

    A longer lower face opens further and with more jaw; a wider mouth spreads and rounds further;
    fuller lips go further forward. ``show`` [T] is how strongly the emotion's look shows.
    """
    look = LOOKS[emotion]
    shut, still = curves["shut"], curves["still"]
    free = (1.0 - shut) * (1.0 - still)
    opening = 1.0 + (look.open - 1.0) * show
    aperture = 0.5 * (sizes.lower_face + sizes.mouth)
    gap = curves["gap"] * aperture * opening * free
    jaw_share = 1.0 + 1.5 * (sizes.lower_face / sizes.mouth - 1.0)
    jaw = np.maximum(curves["jaw"], 0.0) * sizes.lower_face * jaw_share * opening
    out = curves["out"] * np.sqrt(sizes.mouth * sizes.lips) * (1.0 - still) + look.out * show
    tuck = curves["tuck"] * np.sqrt(sizes.lips) * (1.0 - still)
    thin = curves["thin"] * sizes.lips * shut + look.thin * show
    raised = (curves["raised"] + look.raised * show) * (1.0 - 0.8 * shut) * (1.0 - 0.6 * still)
    width = sizes.mouth * (curves["width"] * (1.0 - still) + look.width * show)
    return {
        "gap": gap + _PRESSED_GAP_MM * shut,
        "side": _SIDE_SHARE * gap,
        "jaw": jaw * (1.0 - still),
        "width": width,
        "upper_out": out,
        "lower_out": out - tuck,
        "raised": raised,
        "upper_thin": thin,
        "lower_thin": thin + 0.4 * tuck,
        "corner": look.corner * show * sizes.mouth,
    }
