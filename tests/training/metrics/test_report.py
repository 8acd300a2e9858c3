# SPDX-License-Identifier: Apache-2.0
"""Sound times from files, the lines of a report, and the heat map of figure 4."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from lsf_backend.face.face_model import FaceModel
from training.metrics import ClipScore, MovementMap, Scores
from training.metrics.heat_map import draw_movement
from training.metrics.phones import phones_of
from training.metrics.report import lines_of, report_markdown, to_json, write_csv

TEXT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"
    item [1]:
        class = "IntervalTier"
        name = "M003 - words"
        intervals [1]:
            xmin = 0.0
            xmax = 0.5
            text = "map"
    item [2]:
        class = "IntervalTier"
        name = "M003 - phones"
        intervals [1]:
            xmin = 0
            xmax = 0.12
            text = "M"
        intervals [2]:
            xmin = 0.12
            xmax = 0.3
            text = ""
        intervals [3]:
            xmin = 0.3
            xmax = 0.5
            text = "P"
"""
LINES = [
    {"notation": "arpabet", "phones": [["b", 0, 0.1], ["ay", 0.1, 1]]},
    {"notation": "ipa", "phones": [["m", 2, 2.1], ["p", 2.1, 2.2]]},
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_sound_times_from_both_kinds_of_files(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.TextGrid").write_text(TEXT_GRID, encoding=encoding)
    (tmp_path / "b.json").write_text(json.dumps({"lines": LINES}))
    assert phones_of(tmp_path, "a") == [("M", 0.0, 0.12), ("P", 0.3, 0.5)]
    assert phones_of(tmp_path, "b") == [
        *(("P", 0.0, 0.1), ("AA", 0.1, 1.0)),
        *(("M", 2.0, 2.1), ("P", 2.1, 2.2)),
    ]
    assert phones_of(tmp_path, "c") is None
    (tmp_path / "d.TextGrid").write_text(TEXT_GRID.replace("phones", "sounds"))
    with pytest.raises(ValueError, match=r"d\.TextGrid .*no tier phones, only M003 - words"):
        phones_of(tmp_path, "d")
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(ValueError, match=r"e\.json"):
        phones_of(tmp_path, "e")


def some_scores() -> Scores:
    return Scores(
        tuple(
            ClipScore(
                *(f"c{i}", f"M{i % 2}", ("sad", "happy")[i // 2], 10),
                {"mve": 1e-3 * (i + 1), "lve": 4e-6},
                {"mve": 10, "lve": 10},
            )
            for i in range(4)
        )
    )


def test_every_line_has_both_units_and_every_group(tmp_path: Path) -> None:
    lines = lines_of("ours", some_scores())
    groups = {line.group for line in lines}
    assert groups == {"all", "emotion happy", "emotion sad", "subject M0", "subject M1"}
    mve, lve = lines[0], lines[1]
    assert (mve.value, mve.value_mm, mve.unit, mve.unit_mm) == (2.5e-3, 2.5, "m", "mm")
    assert (lve.value_mm, lve.unit_mm) == (pytest.approx(4.0), "mm^2")
    assert mve.low < mve.value < mve.high and mve.low_mm == pytest.approx(1e3 * mve.low)
    sad = next(x for x in lines if (x.group, x.metric) == ("emotion sad", "mve"))
    assert sad.value == pytest.approx(1.5e-3) and sad.n_clips == 2
    write_csv(lines, tmp_path / "report.csv")
    with (tmp_path / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(lines) and float(rows[0]["value_mm"]) == 2.5
    one = Scores(some_scores().clips[:1])
    assert to_json(lines_of("ours", one))[0]["low"] is None
    assert any("2.5 [" in row and "0.0025 m |" in row for row in report_markdown(lines))


def test_the_heat_map_shows_where_a_face_moves(tmp_path: Path) -> None:
    face = FaceModel.load()
    still, moving = np.zeros(face.n_vertices), np.zeros(face.n_vertices)
    moving[face.regions["lips"]] = 1.0
    maps = {"truth": MovementMap(moving, moving, 9), "still": MovementMap(still, still, 9)}
    draw_movement(face, maps, tmp_path / "figure4.png")
    picture = image.imread(tmp_path / "figure4.png")
    assert picture.shape[0] > 300 and picture.shape[1] > 300
    # Red beyond green and blue is the hot end of the scale; the face itself has no red.
    red = (picture[..., 0] > 0.35) & (picture[..., 1] < 0.25) & (picture[..., 2] < 0.25)
    left, right = np.array_split(red[:, : int(0.82 * red.shape[1])], 2, axis=1)
    assert left.sum() > 200 and right.sum() < 0.02 * left.sum()
