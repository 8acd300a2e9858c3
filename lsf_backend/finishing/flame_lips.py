# SPDX-License-Identifier: Apache-2.0
"""The lips of a face in FLAME's format: their gap in mm on that very face, and how it is closed.

Skinning, kept to the lips that meet and averaged, is a handful of products: with T = R - I of the
jaw and t its nine entries, gap = c z + sum_i T[1, i] (M_i z) for z = (1, expression, t). For a jaw
that stays, it is linear in the expression, so the smallest change that closes it is exact.
"""

from __future__ import annotations

import numpy as np

from ..face.face_model import N_BETAS, N_EXPRESSION, FaceModel, rotations
from ..face.landmarks import lip_pairs
from .lips import JAW_GIVES

# The middle half of the mouth: towards the corners lips hardly part.
_MIDDLE_SHARE = 0.25
# What is farther from the lips than this should stay where it is: moving it by so much (root mean
# square) is as unlikely as a coefficient of 1.
_ELSEWHERE_M = 0.03
_STILL_M = 0.0002
# Farthest that a guard takes the expression, in the coefficients' own spread.
FARTHEST = 3.0
_JAW_X = N_EXPRESSION
_HALVINGS = 26


class FlameLips:
    """Gap and closing of the lips of a face with identity ``betas`` [<= 300].

    Motion is [n, 53]: 50 expression, 3 jaw rad. With ``jaw_keys`` the jaw turns the resting face
    alone (shape keys by R - I), not what the expression adds to it. Raises LsfError where the face
    has no lips to meet. Nothing here depends on how frames are grouped, to the last bit.
    """

    def __init__(
        self, face: FaceModel, betas: np.ndarray | None = None, jaw_keys: bool = False
    ) -> None:
        upper, lower = _middle(face, *lip_pairs(face))
        rest = face.shaped(betas).astype(np.float64)
        rows = np.concatenate([upper, lower])
        sign_mm = np.repeat([1000.0, -1000.0], len(upper)) / len(upper)
        expression = face.shapedirs[:, :, N_BETAS : N_BETAS + N_EXPRESSION].astype(np.float64)
        regressor = face.j_regressor[2].astype(np.float64)
        moved = np.concatenate([expression[rows], face.posedirs[rows, :, 9:18]], axis=2)
        joint = np.einsum("v,vce->ce", regressor, expression)
        arm = moved.copy()
        arm[:, :, :N_EXPRESSION] -= joint
        turned = sign_mm * face.weights[rows, 2]
        # c without its constant, which is the gap at rest; then the three M_i with theirs.
        self._straight = np.ascontiguousarray(np.einsum("n,nk->k", sign_mm, moved[:, 1]))
        self._turned = np.ascontiguousarray(np.einsum("n,nck->ck", turned, arm))
        if jaw_keys:
            self._turned[:] = 0.0
        self._turned_rest = (rest[rows] - regressor @ rest).T @ turned
        far = expression[_elsewhere(rest, rows)].reshape(-1, N_EXPRESSION)
        cost = np.eye(N_EXPRESSION) + 3.0 * far.T @ far / max(len(far), 1) / _STILL_M**2
        # Derivatives of the gap by the expression, in the rows above, and their cheapest change.
        self._slopes = np.vstack([self._straight[:N_EXPRESSION], self._turned[:, :N_EXPRESSION]])
        self._steps = np.linalg.solve(cost, self._slopes.T).T

    def gap_mm(self, motion: np.ndarray) -> np.ndarray:
        """Gap of the lips less that of the resting face: motion [n, 53] -> [n] mm."""
        motion = np.ascontiguousarray(motion, dtype=np.float64)
        turn = _turn(motion)
        z = np.concatenate([motion[:, :N_EXPRESSION], turn.reshape(len(turn), 9)], axis=1)
        gap = (z * self._straight).sum(axis=1)
        for axis in range(3):
            along = self._turned_rest[axis] + (z * self._turned[axis]).sum(axis=1)
            gap = gap + turn[:, 1, axis] * along
        return np.asarray(gap)

    def closed(self, motion: np.ndarray, target_mm: np.ndarray, jaw_stays: bool) -> np.ndarray:
        """Bring the gap down to ``target_mm`` [n] where it is wider: motion [n, 53] -> [n, 53].

        For p, b, m (``jaw_stays``) the jaw gives a part and the lips close over it; in silence the
        jaw shuts first. Its turns about the other axes stay as they are.
        """
        out = np.array(motion, dtype=np.float64)
        for least in (1.0 - JAW_GIVES, None, 0.0) if jaw_stays else (0.0, None):
            rows = np.flatnonzero(self.gap_mm(out) > target_mm)
            if least is None:
                out[rows, :N_EXPRESSION] = self._expression(out[rows], target_mm[rows])
            else:
                goal = least * np.maximum(motion[rows, _JAW_X], 0.0)
                out[rows, _JAW_X] = self._jaw(out[rows], target_mm[rows], goal)
        return out

    def _jaw(self, motion: np.ndarray, target_mm: np.ndarray, least: np.ndarray) -> np.ndarray:
        """Widest opening [n] rad of the jaw with which the gap fits, not below ``least`` [n]."""
        out = motion.copy()
        high = motion[:, _JAW_X].copy()
        before = self.gap_mm(out)
        out[:, _JAW_X] = least
        after = self.gap_mm(out)
        low = np.where(after < before, least, high)  # a jaw that does not close stays
        fits = after <= target_mm
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            out[:, _JAW_X] = middle
            inside = self.gap_mm(out) <= target_mm
            low = np.where(fits & inside, middle, low)
            high = np.where(fits & ~inside, middle, high)
        return low

    def _expression(self, motion: np.ndarray, target_mm: np.ndarray) -> np.ndarray:
        """Expression [n, 50] of the smallest change that brings the gap to its target."""
        over = self.gap_mm(motion) - target_mm
        turn = _turn(motion)[:, 1]
        slope, step = (
            table[0] + sum(turn[:, axis, None] * table[1 + axis] for axis in range(3))
            for table in (self._slopes, self._steps)
        )
        reach = np.maximum((slope * step).sum(axis=1), 1e-12)
        size = np.minimum(over / reach, FARTHEST / np.sqrt(reach))
        return np.asarray(motion[:, :N_EXPRESSION] - size[:, None] * step)


def _turn(motion: np.ndarray) -> np.ndarray:
    """R - I of the jaw: motion [n, 53] -> [n, 3, 3] float64."""
    return rotations(motion[:, _JAW_X:]).astype(np.float64) - np.eye(3)


def _middle(face: FaceModel, upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across = face.v_template[lower, 0]
    off = np.abs(across - 0.5 * (across[0] + across[-1]))
    chosen = off <= _MIDDLE_SHARE * (across[-1] - across[0])
    chosen |= off == off.min()
    return upper[chosen], lower[chosen]


def _elsewhere(rest: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Whether a vertex is far from the lips: rest [V, 3] m -> [V] bool."""
    far = np.ones(len(rest), dtype=bool)
    for vertex in np.unique(lips):
        far &= np.linalg.norm(rest - rest[vertex], axis=1) > _ELSEWHERE_M
    return far
