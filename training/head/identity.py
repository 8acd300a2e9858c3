# SPDX-License-Identifier: Apache-2.0
"""Identity: principal components of random faces as z-scores, with what must stay put held fixed.

A face is linear in the weights of its targets, so every step here is done once per target: turn,
size and place of the head are taken out, the neck ends where it always ends, the lips keep meeting.
The principal components then follow exactly from the weights' covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .corrections import Seams
from .phenotype import Phenotypes
from .seams import Seam

# Above the neck's end the face's own shape comes in over this height.
_NECK_BLEND_M = 0.055
# Share of the lids' own differences in opening that a face keeps: the blink is one and the same
# shape for all faces and must close them all.
_LID_FREEDOM = 0.3
# How strongly an eyeball stays with its own target against following the rims of the lids.
_EYE_PRIOR = 0.15
# Components are stored in steps of this share of their own spread: float16 that compresses well.
_STEP = 1.0 / 48.0


@dataclass(frozen=True)
class Anchors:
    """What identity must respect, on the mean head [V, 3] m.

    neck_plane: (point, normal), the neck's end lies below it; skull: vertices that define size and
    turn; eyes: (left, right) vertex arrays; eye_centres [2, 3] m.
    """

    template: np.ndarray
    seams: Seams
    neck_plane: tuple[np.ndarray, np.ndarray]
    skull: np.ndarray
    eyes: tuple[np.ndarray, np.ndarray]
    eye_centres: np.ndarray


@dataclass(frozen=True)
class Identity:
    """directions [V, 3, K] m per z-score; spread_mm [K]: RMS displacement of each; mean [V, 3] m.

    decoder [n_targets, K]: (weights - mean_weights) @ decoder = z-scores, for checks.
    """

    directions: np.ndarray
    spread_mm: np.ndarray
    mean_weights: np.ndarray
    decoder: np.ndarray


def normalise(field: np.ndarray, anchors: Anchors) -> np.ndarray:
    """Take size, turn and place out of a displacement [V, 3] m and keep neck and lips as they are.

    Linear in ``field``.
    """
    field = _without_placement(field, anchors)
    both = zip(anchors.eyes, anchors.eye_centres, anchors.seams.lids, strict=True)
    for eye, centre, lids in both:
        field = lids.changed(field, (_LID_FREEDOM - 1.0) * lids.opening(field))
        field = _with_eye_behind_lids(field, anchors.template, eye, centre, lids)
    field = _without_placement(field, anchors)
    point, normal = anchors.neck_plane
    height = np.clip(((anchors.template - point) @ normal) / _NECK_BLEND_M, 0.0, 1.0)
    field = field * (height * height * (3.0 - 2.0 * height))[:, None]
    mouth = anchors.seams.mouth
    return mouth.changed(field, -mouth.opening(field))


def _without_placement(field: np.ndarray, anchors: Anchors) -> np.ndarray:
    both = list(zip(anchors.eyes, anchors.eye_centres, strict=True))
    motions = np.stack([_eye_motion(field, anchors.template, *eye) for eye in both])
    middle = anchors.eye_centres.mean(axis=0)
    shift = motions[:, :3].mean(axis=0)
    modes = _similarities(anchors.template - middle)
    goal = (field - shift)[anchors.skull].reshape(-1)
    amounts = np.linalg.lstsq(modes[anchors.skull].reshape(-1, 4), goal, rcond=None)[0]
    field = field - shift - modes @ amounts
    # Eyeballs go along as they are: they look ahead in every face.
    for (eye, centre), motion in zip(both, motions, strict=True):
        place = motion[:3] - shift - _similarities(centre - middle) @ amounts
        field[eye] = place + (motion[3] - amounts[3]) * (anchors.template[eye] - centre)
    return field


def _similarities(arm: np.ndarray) -> np.ndarray:
    """Return small turns about x, y, z and growth at ``arm`` [.., 3] -> [.., 3, 4]."""
    return np.stack([*(np.cross(axis, arm) for axis in np.eye(3)), arm], axis=-1)


def _eye_motion(
    field: np.ndarray, template: np.ndarray, eye: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Return how an eyeball moves and grows [4]: (shift of its centre, m; growth)."""
    arm = template[eye] - centre
    even = arm - arm.mean(axis=0)
    growth = (field[eye] * even).sum() / (even**2).sum()
    return np.append(field[eye].mean(axis=0) - growth * arm.mean(axis=0), growth)


def _with_eye_behind_lids(
    field: np.ndarray, template: np.ndarray, eye: np.ndarray, centre: np.ndarray, lids: Seam
) -> np.ndarray:
    """Move and scale the eyeball so that the lids keep their distance from it, as far as they can.

    Least squares over the rim; where the rim leaves it open the eye stays with its own target.
    """
    rim = np.concatenate([lids.upper, lids.lower])
    outward = template[rim] - centre
    radius = np.linalg.norm(outward, axis=1)
    normal = outward / radius[:, None]
    rows = np.column_stack([normal, radius])
    prior = _EYE_PRIOR * np.sqrt(len(rim)) * np.diag([1.0, 1.0, 1.0, radius.mean()])
    before = _eye_motion(field, template, eye, centre)
    goal = np.concatenate([(normal * field[rim]).sum(axis=1), prior @ before])
    change = np.linalg.lstsq(np.vstack([rows, prior]), goal, rcond=None)[0] - before
    field = field.copy()
    field[eye] += change[:3] + change[3] * (template[eye] - centre)
    return field


def principal_components(
    people: Phenotypes, fields: Callable[[str], np.ndarray], count: int
) -> Identity:
    """Return the first ``count`` components; ``fields(name)`` is a target [V, 3] m, normalised."""
    mean = people.weights.mean(axis=0)
    deviation = people.weights - mean
    covariance = deviation.T @ deviation / (len(deviation) - 1)
    targets = np.stack([fields(name).reshape(-1) for name in people.names])
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    # Faces are z0 @ mixed with white z0; the right singular vectors are the components.
    mixed = root.T @ targets
    gram_values, gram_vectors = np.linalg.eigh(mixed @ mixed.T)
    order = np.argsort(gram_values)[::-1][:count]
    strength = np.sqrt(np.maximum(gram_values[order], 0.0))
    directions = gram_vectors[:, order].T @ mixed
    sign = np.sign(directions[np.arange(count), np.abs(directions).argmax(axis=1)])
    directions *= sign[:, None]
    inverse = np.where(values > 1e-9 * values.max(), 1 / np.sqrt(np.maximum(values, 1e-30)), 0.0)
    decoder = (vectors * inverse) @ (gram_vectors[:, order] * sign)
    n_vertices = targets.shape[1] // 3
    return Identity(
        directions.T.reshape(n_vertices, 3, count),
        strength / np.sqrt(n_vertices) * 1000.0,
        mean,
        decoder,
    )


def stored(directions: np.ndarray) -> np.ndarray:
    """Round directions [V, 3, K] to steps of their own size, so that they compress; float16."""
    spread = np.sqrt((directions**2).mean(axis=(0, 1), keepdims=True))
    step = 2.0 ** np.round(np.log2(np.maximum(spread, 1e-9) * _STEP))
    return (np.round(directions / step) * step).astype(np.float16)
