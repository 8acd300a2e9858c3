# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take is made from: a sound for the engine, or a performance that was recorded before."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lsf_backend.protocol import AnimateRequest, ImportRequest

from .faces import FaceChoice

# Layers that add channels beside the face: what they add (``AnimateRequest.extra``), and their
# strength where nothing is said about it.
EXTRA_OF_LAYER = {
    "head": (("head",), 0.0),
    "gaze": (("gaze",), 1.0),
    "breathing": (("head", "breath"), 0.0),  # a breath lifts the head a little
}


class TakeError(RuntimeError):
    """A take cannot be made; the text is for the user. ``user_fault`` decides the exit code."""

    def __init__(self, message: str, user_fault: bool = True) -> None:
        super().__init__(message)
        self.user_fault = user_fault


@dataclasses.dataclass(frozen=True)
class TakeSettings:
    """Everything that a take is made from. With ``performance`` the engine has nothing to do."""

    audio: str
    start_s: float = 0.0
    end_s: float | None = None
    engine: str = "compact"
    device: str = "auto"
    seed: int = 0
    temperature: float = 0.0
    # Strengths of the layers after the engine (missing ones are on, but for head and breathing);
    # None: the engine's own frames.
    finishing: dict[str, float] | None = dataclasses.field(default_factory=dict)
    identity: str = ""
    # The face that is added where none is chosen, and the FLAME file between engine and face.
    face: FaceChoice = FaceChoice()
    flame: str = ""
    performance: str = ""
    performance_fps: float | None = None
    # The frames are those of an earlier take (``kept_frames``), whatever else is said here.
    again: bool = False
    name: str = ""
    start_frame: float = 1.0
    set_range: bool = True
    add_sound: bool = True

    def request(self) -> AnimateRequest | ImportRequest:
        """The backend's part of the settings."""
        if self.performance:
            return ImportRequest(self.performance, fps=self.performance_fps)
        return AnimateRequest(
            audio=self.audio,
            start_s=self.start_s,
            end_s=self.end_s,
            engine=self.engine,
            device=self.device,
            seed=self.seed,
            temperature=self.temperature,
            finishing=self.finishing,
            extra=list(self.extra()),
        )

    def extra(self) -> tuple[str, ...]:
        """What the layers add beside the face: those that are on."""
        if self.finishing is None:
            return ()
        layers = EXTRA_OF_LAYER.items()
        on = (added for name, (added, usual) in layers if self.finishing.get(name, usual) > 0.0)
        return tuple(dict.fromkeys(extra for added in on for extra in added))

    def stem(self) -> str:
        """Name of the source, for the take's own."""
        return Path(self.performance or self.audio).stem

    def missing(self) -> str:
        """Why there is nothing to make a take from, in a sentence; empty where there is."""
        if self.again:
            return ""
        if self.performance:
            if not Path(self.performance).is_file():
                return f"The performance {self.performance} does not exist."
        elif not self.audio.strip():
            return "Choose a sound file first."
        if self.audio.strip() and not Path(self.audio).is_file():
            return f"The sound file {self.audio} does not exist."
        return ""


def read_layers(texts: list[str]) -> dict[str, float]:
    """Strengths of ``NAME=STRENGTH`` texts; the backend knows the names."""
    found = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError as error:
            raise TakeError(f"The layer '{text}' has no strength; write blinks=0.5.") from error
    return found
