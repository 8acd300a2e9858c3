# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lines, one after the other: a CSV in, files and a report out; what is done is not redone.

Columns: ``sound`` (needed; may be empty beside a ``performance``: Live Link .csv, .json, .npz),
``character`` (a mesh of the open file, or a .blend), ``map`` (.json for it), ``name``, ``outputs``
(such as ``blend fbx``), ``layers`` (such as ``head=0.5 blinks=0``),
``seed temperature identity face rig start end engine device fps``. Paths are relative to the CSV.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import bpy

from . import jobs
from .faces import SHAPES, FaceChoice
from .output.files import check, written_whole
from .take_settings import TakeError, TakeSettings, read_layers

REPORT, STATUS = "report.csv", "status.json"
OPTIONS = (
    "seed",
    "temperature",
    "identity",
    "face",
    "rig",
    "start",
    "end",
    "engine",
    "device",
    "fps",
)
COLUMNS = ("sound", "performance", "character", "map", "name", "outputs", "layers", *OPTIONS)


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the CSV; ``number`` counts from 1 below the header."""

    number: int
    fields: dict[str, str]
    name: str


def read_lines(path: Path) -> list[Line]:
    """Read the CSV; raises :class:`TakeError` where it is not one or misses the column sound."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TakeError(f"The list {path} cannot be read: {error}.") from error
    rows = csv.DictReader(text.splitlines())
    names = [name.strip() for name in rows.fieldnames or ()]
    if "sound" not in names:
        raise TakeError(f"The list {path} has no column 'sound'. Known: {', '.join(COLUMNS)}.")
    unknown = sorted(set(names) - set(COLUMNS) - {""})
    if unknown:
        raise TakeError(f"Unknown columns in {path}: {', '.join(unknown)}.")
    lines: list[Line] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, 1):
        fields = {key.strip(): (value or "").strip() for key, value in row.items() if key}
        if not any(fields.values()):
            continue
        source = fields.get("performance") or fields.get("sound", "")
        stem = fields.get("name") or Path(source).stem or f"line-{number}"
        name = stem if stem not in taken else f"{stem}-{number}"
        taken.add(name)
        lines.append(Line(number, fields, name))
    return lines


@dataclasses.dataclass
class Batch:
    """A batch run; ``base`` is the .blend that was open at its start ('' for none)."""

    csv_path: Path
    out: Path
    outputs: tuple[str, ...] = (".blend",)
    overwrite: bool = False
    size: int = 480
    render_engine: str = "workbench"
    base: str = ""

    def run(self, tell: Callable[[str], None], on_progress: jobs.Progress | None = None) -> int:
        """Do every line that is not done; gives the exit code (0 only if all lines are done)."""
        lines = read_lines(self.csv_path)
        check(self.out / STATUS, overwrite=True)
        status = self._read_status()
        codes = []
        for index, line in enumerate(lines, 1):
            head = f"[{index}/{len(lines)}] {line.name}"
            mark = self._fingerprint(line)
            known = status.get(line.name, {})
            if not self.overwrite and known.get("fingerprint") == mark and self._still(known):
                tell(f"{head}: done before")
                codes.append(0)
                continue
            result = self._one(line, on_progress)
            status[line.name] = {
                "line": line.number,
                "sound": line.fields.get("sound", ""),
                "status": "done" if result.exit_code == 0 else "failed",
                "exit_code": result.exit_code,
                "message": " ".join(result.report),
                "files": list(result.written),
                "action": result.action,
                "fingerprint": mark,
            }
            self._write(status, lines)
            codes.append(result.exit_code)
            tell(f"{head}: {status[line.name]['status']}. {status[line.name]['message']}")
        self._write(status, lines)
        failed = [code for code in codes if code]
        tell(f"{len(codes) - len(failed)} of {len(codes)} lines done, {len(failed)} failed.")
        return 0 if not failed else (1 if 1 in failed else 2)

    def _one(self, line: Line, on_progress: jobs.Progress | None) -> jobs.Result:
        try:
            job = self._job(line)
        except (TakeError, ValueError) as error:
            return jobs.Result(2, (f"Line {line.number}: {error}",))
        try:
            return jobs.run(job, on_progress)
        except Exception as error:  # one line must not end the others
            return jobs.Result(1, (f"Line {line.number}: {type(error).__name__}: {error}",))

    def _job(self, line: Line) -> jobs.Job:
        get = line.fields.get
        character = get("character") or ""
        blend = self._path(character) if character.lower().endswith(".blend") else None
        self._open(blend, get("fps") or "")
        identity, performance = get("identity"), get("performance")
        flame = str(self._path(get("face") or "")) if get("face") else ""
        layers = read_layers((get("layers") or "").replace(";", " ").split())
        settings = TakeSettings(
            audio=str(self._path(get("sound") or "")) if get("sound") else "",
            performance=str(self._path(performance)) if performance else "",
            finishing={"head": 1.0} if performance else layers,
            start_s=_number(line, "start", 0.0),
            end_s=_number(line, "end", 0.0) or None,
            engine=get("engine") or "compact",
            device=get("device") or "auto",
            seed=int(_number(line, "seed", 0)),
            temperature=_number(line, "temperature", 0.0),
            identity=str(self._path(identity)) if identity else "",
            face=FaceChoice(flame, get("rig") or SHAPES),
            flame=flame,
        )
        suffixes = tuple((get("outputs") or "").replace(";", " ").split()) or self.outputs
        paths = tuple(self.out / f"{line.name}.{suffix.lstrip('.')}" for suffix in suffixes)
        head = "" if blend is not None else character
        return jobs.Job(
            settings,
            paths,
            head,
            self._path(get("map") or "") if get("map") else None,
            overwrite=True,
            render_engine=self.render_engine,
            size=self.size,
        )

    def _open(self, blend: Path | None, fps: str) -> None:
        """Every line starts from the same untouched file."""
        source = str(blend) if blend is not None else self.base
        if blend is not None and not blend.is_file():
            raise TakeError(f"The character file {blend} does not exist.")
        if source:
            try:
                bpy.ops.wm.open_mainfile(filepath=source, load_ui=False)
            except RuntimeError as error:
                raise TakeError(f"{source} cannot be opened: {str(error).strip()}") from error
            if fps:
                jobs.set_fps(bpy.context.scene, float(fps))
        else:
            jobs.fresh_scene(float(fps or 25.0))

    def _path(self, text: str) -> Path:
        path = Path(text).expanduser()
        return path if path.is_absolute() else self.csv_path.resolve().parent / path

    def _fingerprint(self, line: Line) -> str:
        """Changes with the line's options, its sound, its character and the outputs asked for."""
        parts: list[object] = [sorted(line.fields.items()), self.outputs, self.base]
        for name in ("sound", "performance", "identity", "face", "character", "map"):
            path = self._path(line.fields.get(name) or ".")
            if path.is_file():
                parts.append((path.stat().st_size, path.stat().st_mtime_ns))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    @staticmethod
    def _still(known: dict) -> bool:
        files = known.get("files") or []
        return known.get("status") == "done" and all(Path(file).is_file() for file in files)

    def _read_status(self) -> dict[str, dict]:
        try:
            told = json.loads((self.out / STATUS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _write(self, status: dict[str, dict], lines: list[Line]) -> None:
        with written_whole(self.out / STATUS) as temporary:
            text = json.dumps(status, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        with (
            written_whole(self.out / REPORT) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(["line", "name", "sound", "status", "exit_code", "message", "files"])
            for line in lines:
                told = status.get(line.name, {"status": "waiting"})
                row = [told.get(key, "") for key in ("status", "exit_code", "message")]
                files = "; ".join(told.get("files", ()))
                writer.writerow([line.number, line.name, line.fields.get("sound"), *row, files])


def _number(line: Line, name: str, default: float) -> float:
    text = line.fields.get(name)
    try:
        return float(text) if text else default
    except ValueError as error:
        raise TakeError(f"{name} '{text}' is not a number.") from error
