# SPDX-License-Identifier: Apache-2.0
"""The jaw joint: its place, its angles and pose correctives, from ARKit's three jaw shapes.

The jaw acts through ``posedirs`` alone (linear in R - I, as in FLAME) and has no skinning weight:
skinning would also turn what the other shapes add, and mouthClose would no longer close an open
jaw. So the mesh is the plain sum of the 52 shapes at every angle, just as with shape keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Angles at which the correctives are fitted, as fractions of the full angle.
_OPEN_GRID = np.linspace(0.0, 1.0, 6)
_SIDE_GRID = np.linspace(-1.0, 1.0, 17)
# Lawson's reweighting, which turns least squares into the least maximum. It matters for what
# jawLeft and jawRight share (the jaw comes forward): that goes with |side|, of which a rotation
# only offers the square.
_LAWSON_STEPS = 60


@dataclass(frozen=True)
class JawFit:
    """posedirs [V, 3, 9]; the largest errors anywhere and at the three full shapes, mm."""

    posedirs: np.ndarray
    max_error_mm: float
    max_error_at_full_mm: float


def rotation(rotvec: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: axis-angle [.., 3] rad -> matrices [.., 3, 3]."""
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)[..., None]
    x, y, z = np.moveaxis(rotvec, -1, 0)
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(*rotvec.shape[:-1], 3, 3)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0, np.sin(safe) / safe)
    second = np.where(small, 0.5, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * cross + second * cross @ cross


def open_angle(teeth: np.ndarray, delta: np.ndarray) -> float:
    """Return how far jawOpen turns the lower teeth about x: [N, 3] m, [N, 3] m -> rad."""
    before, after = teeth[:, 1:], (teeth + delta)[:, 1:]
    cross = (before - before.mean(axis=0)).T @ (after - after.mean(axis=0))
    return float(np.arctan2(cross[0, 1] - cross[1, 0], cross[0, 0] + cross[1, 1]))


def joint_position(teeth: np.ndarray, delta: np.ndarray, angle: float) -> np.ndarray:
    """Return the point [3] m about which a turn by ``angle`` moves the teeth as jawOpen does."""
    turn = rotation(np.array([angle, 0.0, 0.0]))[1:, 1:]
    shift = (teeth + delta).mean(axis=0)[1:] - turn @ teeth.mean(axis=0)[1:]
    return np.array([0.0, *np.linalg.solve(np.eye(2) - turn, shift)])


def fit_jaw(shapes: np.ndarray, angles: tuple[float, float]) -> JawFit:
    """Fit correctives to shapes [3, V, 3] m (jawOpen, jawLeft, jawRight).

    ``angles``: full angles (open, side) rad.
    """
    grid = np.array([(o, s) for o in _OPEN_GRID for s in _SIDE_GRID])
    turns = rotation(np.column_stack([grid * np.array(angles), np.zeros(len(grid))]))
    features = (turns - np.eye(3)).reshape(len(grid), 9)
    straight = np.column_stack(
        [grid[:, 0], np.maximum(grid[:, 1], 0.0), np.maximum(-grid[:, 1], 0.0)]
    )
    importance = np.full(len(grid), 1.0 / len(grid))
    for _ in range(_LAWSON_STEPS):
        root = np.sqrt(importance)[:, None]
        mixing = np.linalg.lstsq(features * root, straight * root, rcond=1e-9)[0]
        missed = np.tensordot(features @ mixing - straight, shapes, axes=1)
        error = np.linalg.norm(missed, axis=-1).max(axis=1) * 1000.0
        importance *= error + 1e-3 * error.max()
        importance /= importance.sum()
    single = np.isclose(np.abs(grid).sum(axis=1), 1.0) & np.isclose(np.abs(grid).max(axis=1), 1.0)
    posedirs = np.einsum("fk,kvc->vcf", mixing, shapes)
    return JawFit(posedirs, float(error.max()), float(error[single].max()))


def bone_weights(arm: np.ndarray, opened: np.ndarray, angle: float) -> np.ndarray:
    """Return the share [V] of a full turn that explains jawOpen best, limited to 0..1."""
    turned = arm @ rotation(np.array([angle, 0.0, 0.0])).T - arm
    share = (turned * opened).sum(axis=1) / np.maximum((turned**2).sum(axis=1), 1e-12)
    return np.clip(share, 0.0, 1.0)
