# SPDX-License-Identifier: Apache-2.0
"""Metrics of the paper (MVE, LVE, FDD, MEE, CE, Diversity) and ours, in a stream over clips.

numpy and scipy only. Letters: S samples, T frames at 25 fps, V vertices in metres.
"""

from training.metrics.clip import ClipScore, Truth, Vertices, lip_gap, score_clip
from training.metrics.definitions import METRICS, PUBLISHED, Metric, metric_named
from training.metrics.events import Span, bilabial_spans, silent_frames
from training.metrics.faces import linear_basis, regions_of, vertices_of
from training.metrics.motion_map import MovementAccumulator, MovementMap
from training.metrics.regions import Regions, regions_from_lists
from training.metrics.scores import Estimate, Scores, difference, score_all

__all__ = [
    "METRICS",
    "PUBLISHED",
    "ClipScore",
    "Estimate",
    "Metric",
    "MovementAccumulator",
    "MovementMap",
    "Regions",
    "Scores",
    "Span",
    "Truth",
    "Vertices",
    "bilabial_spans",
    "difference",
    "linear_basis",
    "lip_gap",
    "metric_named",
    "regions_from_lists",
    "regions_of",
    "score_all",
    "score_clip",
    "silent_frames",
    "vertices_of",
]
