# SPDX-License-Identifier: Apache-2.0
"""What every compared system shares: its batch, its label conditions and how it is called.

A system works on 53-d motion at 25 fps and on speech features at 50 Hz that somebody else computes
(and may train: gradients flow into them). It has one or two phases, trained in order; what a phase
does not train is frozen and stays in eval mode.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsf_backend.model.config import N_EXPRESSION, N_JAW, N_MOTION
from training.baselines.objective import Extras

# A label of this value is not known, or is a person that no training clip shows.
UNKNOWN = -1


@dataclasses.dataclass(frozen=True)
class LabelConfig:
    """Sizes of the one-hot conditions; 32 + 8 + 3 = 43 for 3DMEAD's training people."""

    n_subjects: int = 32
    n_emotions: int = 8
    n_intensities: int = 3

    def width(self, *parts: str) -> int:
        """Width of :func:`one_hot` of these parts."""
        return sum(getattr(self, f"n_{_PLURAL[part]}") for part in parts)


_PLURAL = {"subject": "subjects", "emotion": "emotions", "intensity": "intensities"}


@dataclasses.dataclass(frozen=True)
class Labels:
    """``subject``, ``emotion``, ``intensity`` [B] int64; :data:`UNKNOWN` where there is none."""

    subject: Tensor
    emotion: Tensor
    intensity: Tensor


@dataclasses.dataclass(frozen=True)
class SpeechBatch:
    """``motion_features`` [B, 2T, Dm], ``emotion_features`` [B, 2T, De] at 50 Hz, ``betas``
    [B, 300], ``motion`` [B, T, 53], ``mask`` [B, T] bool (real frames, at the front), labels.

    When sampling, ``motion`` gives the shape only and is not read. ``audio`` [B, 640 T + 80] at
    16 kHz comes along where a speech encoder is trained; ``motion_features`` are then its output.
    """

    motion_features: Tensor
    emotion_features: Tensor
    betas: Tensor
    motion: Tensor
    mask: Tensor
    labels: Labels
    audio: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse features that do not cover the frames."""
        t = self.mask.shape[1]
        for name in ("motion_features", "emotion_features"):
            if getattr(self, name).shape[1] < 2 * t:
                raise ValueError(f"{name} has {getattr(self, name).shape[1]} rows, needs {2 * t}")

    def to(self, device: torch.device | str, **how: bool) -> SpeechBatch:
        """Copy to a device."""
        parts = {
            field.name: value.to(device, **how)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        labels = Labels(
            *(
                getattr(self.labels, field.name).to(device, **how)
                for field in dataclasses.fields(Labels)
            )
        )
        return dataclasses.replace(self, labels=labels, **parts)

    @property
    def lengths(self) -> list[int]:
        """Real frames of each clip."""
        return [int(length) for length in self.mask.sum(dim=1)]

    @property
    def speech(self) -> Tensor:
        """The motion features of the batch's frames only: [B, 2T, Dm]."""
        return self.motion_features[:, : 2 * self.mask.shape[1]]

    @property
    def emotion(self) -> Tensor:
        """The emotion features of the batch's frames only: [B, 2T, De]."""
        return self.emotion_features[:, : 2 * self.mask.shape[1]]


@dataclasses.dataclass(frozen=True)
class MotionScale:
    """Spread of the data: a network sees expression / ``expression`` and jaw / ``jaw`` (radians).

    Zero stays zero, which is the neutral face.
    """

    expression: float = 1.0
    jaw: float = 0.2

    def row(self) -> Tensor:
        """Divisors [53]."""
        return torch.tensor([self.expression] * N_EXPRESSION + [self.jaw] * N_JAW)


class Step(NamedTuple):
    """Step ``index`` of ``total``; ``fresh`` where the weights are those of no earlier run."""

    index: int
    total: int
    fresh: bool = True


class Baseline(nn.Module, abc.ABC):
    """A system of the comparison.

    ``phases`` are trained in order. ``conditioning`` says what stands for a person whom training
    did not see; it is printed under every table.
    """

    phases: tuple[str, ...] = ("speech",)
    conditioning: str

    def __init__(self) -> None:
        super().__init__()
        self._frozen: tuple[str, ...] = ()

    def prepare(self, batch: SpeechBatch, phase: str, generator: torch.Generator) -> None:
        """Called once with the first batch of a fresh phase, before its first step."""
        return None

    def use(self, extras: Extras) -> None:
        """Add to the losses; raises ValueError where the system knows none of it."""
        if extras != Extras():
            raise ValueError('"extras" are of systems with a motion VQ-VAE of the paper only')

    def before_step(
        self, batch: SpeechBatch, phase: str, step: Step, generator: torch.Generator
    ) -> bool:
        """Called before every step; True where it set weights beside the optimiser."""
        if step.index > 0 or not step.fresh:
            return False
        self.prepare(batch, phase, generator)
        return True

    def training_state(self) -> dict[str, Tensor]:
        """What training needs besides the weights to go on as if it had not been cut off."""
        return {}

    def load_training_state(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`training_state` gave."""
        return None

    def validate(
        self, batch: SpeechBatch, phase: str, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Losses of held-out clips, as in training, and measures of the motion."""
        return self.training_step(batch, phase, generator)

    @abc.abstractmethod
    def training_step(
        self, batch: SpeechBatch, phase: str = "speech", generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Losses of a batch: "loss" is minimised, the other parts are for the log."""

    @abc.abstractmethod
    def sample(self, batch: SpeechBatch, n_samples: int, generator: torch.Generator) -> Tensor:
        """S motions for each clip: [S, B, T, 53]; padding holds nothing of use.

        A deterministic system gives S equal ones. A clip's samples depend on the generator's state
        and the clip, not on the clips beside it.
        """

    def frozen_in(self, phase: str) -> tuple[str, ...]:
        """Names of the submodules that ``phase`` does not train."""
        return ()

    def start_phase(self, phase: str) -> Sequence[nn.Parameter]:
        """Freeze what the phase does not train and return the parameters that it does."""
        if phase not in self.phases:
            raise ValueError(f"phase {phase!r} is none of {', '.join(self.phases)}")
        self._frozen = self.frozen_in(phase)
        self.requires_grad_(True)
        for name in self._frozen:
            self.get_submodule(name).requires_grad_(False)
        self.train(self.training)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def train(self, mode: bool = True) -> Baseline:
        """Set the training mode, of everything but the frozen parts."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self


def one_hot(labels: Labels, config: LabelConfig, *parts: str) -> Tensor:
    """Labels -> [B, width]; an unknown label is the average of all its one-hots."""
    columns = []
    for part in parts:
        index, count = getattr(labels, part), config.width(part)
        if int(index.max()) >= count or int(index.min()) < UNKNOWN:
            raise ValueError(f"{part} {index.tolist()} is outside 0..{count - 1}")
        known = F.one_hot(index.clamp_min(0), count).float()
        columns.append(torch.where((index >= 0)[:, None], known, torch.full_like(known, 1 / count)))
    return torch.cat(columns, dim=-1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [B, T, ...] over the real frames of mask [B, T]."""
    real = mask.reshape(*mask.shape, *[1] * (values.dim() - 2)).to(values.dtype)
    return (values * real).sum() / (real.sum() * values[0, 0].numel())


def clip_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each clip's real frames: values [B, T, D], mask [B, T] -> [B, D]."""
    real = mask[:, :, None].to(values.dtype)
    return (values * real).sum(dim=1) / real.sum(dim=1)


def clip_generators(
    n_clips: int, generator: torch.Generator, device: torch.device | None = None
) -> list[torch.Generator]:
    """One generator for each clip, seeded by the next numbers of ``generator``."""
    seeds = torch.randint(2**62, (n_clips,), generator=generator, device=generator.device)
    return [
        torch.Generator(device=device or generator.device).manual_seed(int(seed)) for seed in seeds
    ]


def clip_noise(
    generators: Sequence[torch.Generator],
    lengths: Sequence[int],
    shape: tuple[int, int, int],
    uniform: bool = False,
) -> Tensor:
    """Normal (or uniform) numbers [S, B, T, n] from each clip's generator; padding is zero.

    ``shape`` is (S, T, n). A clip draws for its real frames only, so padding changes no number.
    """
    s, t, n = shape
    draw = torch.rand if uniform else torch.randn
    rows = []
    for own, length in zip(generators, lengths, strict=True):
        real = draw((length, s, n), generator=own, device=own.device)
        rows.append(F.pad(real, (0, 0, 0, 0, 0, t - length)))
    return torch.stack(rows).permute(2, 0, 1, 3)


def repeat_clips(x: Tensor, n_samples: int) -> Tensor:
    """x [B, ...] -> [S * B, ...], sample by sample."""
    return x.expand(n_samples, *x.shape).flatten(0, 1)


def vertex_gram(basis: Tensor) -> Tensor:
    """Basis [53, V * 3] (m per unit of motion, linearised) -> G [53, 53] of the vertex loss.

    d G d^T is the squared vertex error of a motion error d, summed over vertices, divided by V.
    """
    if basis.dim() != 2 or basis.shape[0] != N_MOTION or basis.shape[1] % 3:
        raise ValueError(f"basis must be [{N_MOTION}, V * 3], got {list(basis.shape)}")
    return (basis @ basis.t()) * (3.0 / basis.shape[1])
