# SPDX-License-Identifier: Apache-2.0
"""Read the CSV of Live Link Face, as the app writes it and as other tools imitate it.

Columns may be in any order and spelling (``BlendShapeCount`` or ``BlendshapeCount``,
``EyeBlinkLeft`` or ``eyeBlinkLeft``). Dropped frames are filled by interpolation, doubled ones left
out; weights are kept as recorded. Rows that are not on a steady clock are brought onto one.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ..export.live_link import ROTATIONS
from ..face.arkit import ARKIT_NAMES
from . import timecode
from .performance import N_WEIGHTS, Performance, invalid, read_text

_COLUMNS = {name.lower(): index for index, name in enumerate((*ARKIT_NAMES, *ROTATIONS))}
_TIMECODE, _COUNT = "timecode", "blendshapecount"
LONGEST_GAP_S = 600.0
_NOTED_GAP_S = 1.0
_DAY_S = 24 * 3600.0


def read_live_link(path: str | Path, fps: float | None = None) -> Performance:
    """Read a Live Link Face CSV; ``fps`` states the rate of the rows where timecodes cannot tell.

    (29.97 and 30 have the same timecodes unless they are drop-frame.) Raises LsfError with one
    sentence that names the row.
    """
    path = Path(path)
    text = read_text(path)
    head = text[: text.find("\n")]
    reader = csv.reader(io.StringIO(text), delimiter="," if "," in head else ";")
    try:
        header, *rows = [row for row in reader if any(cell.strip() for cell in row)]
    except (ValueError, csv.Error) as error:
        raise invalid(path, "is empty or not a CSV file") from error
    if not rows:
        raise invalid(path, "has a header but no frames")
    names = [cell.strip().lower() for cell in header]
    warnings = _check_header(path, header, names)
    values = _numbers(path, rows, names, header)
    times, rate = _times(path, [row[names.index(_TIMECODE)] for row in rows], fps, warnings)
    return _steady(path, times, values, rate, warnings)


def _check_header(path: Path, header: list[str], names: list[str]) -> list[str]:
    if _TIMECODE not in names:
        raise invalid(path, "has no Timecode column", "Choose a CSV of the Live Link Face app.")
    known = [name for name in names if name in _COLUMNS]
    doubled = sorted({name for name in known if known.count(name) > 1})
    if doubled:
        raise invalid(path, f"has the column {doubled[0]} twice")
    if not any(_COLUMNS[name] < N_WEIGHTS for name in known):
        raise invalid(path, "has none of ARKit's 52 shapes in its header")
    warnings = []
    missing = [name for name in ARKIT_NAMES if name.lower() not in known]
    if missing:
        warnings.append(f"{path.name} lacks {_listed(missing)}; taken as 0.")
    others = [
        cell
        for cell, name in zip(header, names, strict=True)
        if name and name not in _COLUMNS and name not in (_TIMECODE, _COUNT)
    ]
    if others:
        warnings.append(f"{path.name} has columns that are not ARKit's: {_listed(others)}.")
    return warnings


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _numbers(path: Path, rows: list[list[str]], names: list[str], header: list[str]) -> np.ndarray:
    """Values [T, 61] float32 in our order; a cell that is no number is named."""
    places = [index for index, name in enumerate(names) if name in _COLUMNS]
    targets = [_COLUMNS[names[index]] for index in places]
    values = np.zeros((len(rows), len(_COLUMNS)), dtype=np.float64)
    for number, row in enumerate(rows):
        if len(row) < len(names):
            raise invalid(path, f"has {len(row)} instead of {len(names)} cells in row {number + 2}")
        try:
            values[number, targets] = [float(row[index]) for index in places]
        except ValueError:
            bad = next(index for index in places if not _is_number(row[index]))
            raise invalid(
                path, f"has {row[bad][:20]!r} as {header[bad].strip()} in row {number + 2}"
            ) from None
    wrong = np.argwhere(~np.isfinite(values) | (np.abs(values) > 1e6))
    if len(wrong):
        raise invalid(path, f"holds a value that is no usable number in row {wrong[0][0] + 2}")
    return values.astype(np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _times(
    path: Path, codes: list[str], fps: float | None, warnings: list[str]
) -> tuple[np.ndarray, float]:
    """Times of the rows [T] s from the first, and the rate of the rows."""
    try:
        parsed = [timecode.parse(code) for code in codes]
        base = timecode.base_of(max(int(frame) for _, _, frame, _ in parsed))
        drop = any(code[3] for code in parsed)
        seconds_seen = {(minutes, seconds) for minutes, seconds, _, _ in parsed}
        if len(seconds_seen) == 1 and base != 60:  # frames never wrapped: the base is not shown
            base = 60 if fps is None else max(base, min(round(fps), 60))
            warnings.append(
                f"{path.name} is shorter than a second, so its timecode is taken to count {base}."
            )
        rate = timecode.rate_of(base, fps, drop)
        times = np.array([timecode.seconds_from(*code[:3], base, rate, drop) for code in parsed])
    except timecode.BadTimecode as error:
        raise invalid(path, f"has a timecode that cannot be read: {error}") from error
    steps = np.diff(times)
    # A recording may run through midnight once.
    midnight = np.flatnonzero(steps < -_DAY_S / 2)
    if len(midnight) == 1:
        times[midnight[0] + 1 :] += _DAY_S
        steps = np.diff(times)
    backwards = np.flatnonzero(steps < 0)
    if len(backwards):
        raise invalid(path, f"goes back in time at row {backwards[0] + 3}")
    forward = steps[steps > 0]
    if fps is not None:
        return times - times[0], float(fps)
    if not len(forward):
        return times - times[0], rate
    return times - times[0], _row_rate(float(np.median(forward)), rate)


def _row_rate(step_s: float, timecode_rate: float) -> float:
    """Rate of rows that are ``step_s`` apart: a usual one within 3 %, otherwise as measured."""
    factor = timecode_rate / round(timecode_rate)
    usual = [base * factor for base in (*timecode.BASES, 15, 90, 100, 120)]
    nearest = min(usual, key=lambda rate: abs(rate * step_s - 1.0))
    return nearest if abs(nearest * step_s - 1.0) < 0.03 else 1.0 / step_s


def _steady(
    path: Path, times: np.ndarray, values: np.ndarray, fps: float, warnings: list[str]
) -> Performance:
    """Put rows onto the clock: [T, 61] at ``times`` -> a performance at ``fps``."""
    if not 1.0 <= fps <= 240.0:
        raise invalid(path, f"has {fps:.3g} rows per second; from 1 to 240 are accepted")
    first = np.concatenate([[True], np.diff(times) > 0])
    if not first.all():
        count = int((~first).sum())
        warnings.append(
            f"{path.name} has {count} doubled timecodes; the first row of each is used."
        )
        times, values = times[first], values[first]
    gaps = np.diff(times)
    if len(gaps) and gaps.max() > LONGEST_GAP_S:
        row = int(gaps.argmax())
        raise invalid(
            path,
            f"stops for {gaps.max() / 60:.0f} minutes in the middle",
            f"Cut the file after frame {row}.",
        )
    at = times * fps
    on_clock = np.abs(at - np.rint(at)).max() < 0.05
    if on_clock:
        at = np.rint(at)
        missing = int(at[-1]) + 1 - len(at)
        if missing:
            warnings.append(f"{path.name} lacks {missing} frames; they were interpolated.")
    if len(gaps) and gaps.max() > _NOTED_GAP_S:
        warnings.append(f"{path.name} stops for {gaps.max():.1f} s in the middle.")
    grid = np.arange(int(np.floor(at[-1] + 1e-6)) + 1, dtype=np.float64)
    if on_clock and len(grid) == len(values):
        steady = values
    else:
        columns = [np.interp(grid, at, column) for column in values.T]
        steady = np.stack(columns, axis=1).astype(np.float32)
    return Performance(
        fps=fps,
        weights=np.ascontiguousarray(steady[:, :N_WEIGHTS]),
        rotations=np.ascontiguousarray(steady[:, N_WEIGHTS:]),
        warnings=tuple(warnings),
    )
