"""The public model files that are counted, the records beside them, and how a run is held against one.

A suite of ``tools/public_files.toml`` says where its ``files`` are, without ``leave_out``, and where ``records`` stand
beside a model (``{stem}`` is its name without ending). ``why`` is the reason for those of its files that do not run or
agree. What a repository's own texts say of a file and the file does not stands in its ``note``: ``record`` (another,
or an empty text for none), ``series`` (tables for its data variables), ``method`` (the record's), ``leave_out``
(columns), ``tolerance``, ``state`` (what is expected, ``agrees`` or ``runs`` where nothing is said) and ``why``.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from cipark_sd.base.naming import canonical
from cipark_sd.model.model import CONTROL

LIST = Path(__file__).with_name("public_files.toml")
#: Share of a column's largest recorded number; records have six digits.
TOLERANCE = 1e-5
#: Below it a number is nothing: what rounding leaves of zero.
NOTHING = 1e-9
#: Vensim's number for a value that is missing (vensim.com/documentation/na.html); its records have twice that.
MISSING = -(2.0**109)
#: A record: the times and values of each column.
Record = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Notes:
    """What is said of one file."""

    record: str | None = None
    series: tuple[str, ...] = ()
    method: str | None = None
    leave_out: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    state: str = ""
    why: str = ""


@dataclass(frozen=True)
class Suite:
    """Model files of one repository."""

    name: str
    title: str
    repository: str
    commit: str
    files: tuple[str, ...]
    leave_out: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    folder: str = ""
    why: str = ""
    notes: Mapping[str, Notes] = field(default_factory=dict)

    def of(self, file: str) -> Notes:
        """What is said of a file by its path in the repository."""
        return self.notes.get(file, Notes(tolerance=self.tolerance))


@dataclass(frozen=True)
class Outcome:
    """What became of a file: ``agrees``, ``differs``, ``refused`` (not read), ``stopped`` (read), ``runs`` (no record).

    ``same`` is what another program makes of a file without a record: whether all columns of both are the same.
    """

    word: str
    detail: str = ""
    compared: int = 0
    alike: bool | None = None


@dataclass(frozen=True)
class File:
    """A model file: its suite, its path in the repository and whether a record stands beside it."""

    suite: Suite
    name: str
    path: Path
    recorded: bool

    @property
    def notes(self) -> Notes:
        """What is said of it."""
        return self.suite.of(self.name)

    @property
    def full_name(self) -> str:
        """Its suite and its path."""
        return f"{self.suite.name}/{self.name}"


def suites() -> list[Suite]:
    """The suites of the list, in its order."""
    made = []
    for name, entry in tomllib.loads(LIST.read_text(encoding="utf-8")).items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        noted = values.pop("note", {})
        suite = Suite(name=name, **values)
        notes = {}
        for file, note in noted.items():
            fields = {key: tuple(value) if isinstance(value, list) else value for key, value in note.items()}
            notes[file] = Notes(**{"tolerance": suite.tolerance, **fields})
        made.append(replace(suite, notes=notes))
    return made


def files_of(suite: Suite, copies: Path, texts: dict[str, str]) -> list[File]:
    """The suite's files whose text is not ``seen`` yet, of equal ones one with a record; other XML is left out."""
    folder, files = copies / (suite.folder or suite.repository.replace("/", "+")), []
    for path in sorted({path for pattern in suite.files for path in folder.glob(pattern) if path.is_file()}):
        name = path.relative_to(folder).as_posix()
        if any(fnmatchcase(name, pattern) for pattern in suite.leave_out):
            continue
        text = path.read_bytes()
        if text and (path.suffix.lower() == ".mdl" or b"<xmile" in text):
            files.append(File(suite, name, path, record_of(path, suite, suite.of(name)) is not None))
    once = []
    for file in sorted(files, key=lambda file: (not file.recorded, file.name not in suite.notes)):
        full_name = f"{suite.name}/{file.name}"
        if texts.setdefault(text_of(file.path), full_name) == full_name:
            once.append(file)
    return sorted(once, key=lambda file: file.name)


def text_of(path: Path) -> str:
    """What tells a model's text from others, whatever its ending, its place and its blanks."""
    return hashlib.sha256(b"".join(path.read_bytes().split())).hexdigest()[:16]


# ---- records


def record_of(path: Path, suite: Suite, notes: Notes) -> Record | None:
    """What the vendor's program recorded beside a model."""
    patterns = suite.records if notes.record is None else (notes.record,) if notes.record else ()
    for file in (path.parent / pattern.format(stem=path.stem) for pattern in patterns):
        if file.is_file():
            record = _from_dat(file) if file.suffix == ".dat" else _from_table(file)
            if record:
                return record
    return None


def _from_dat(file: Path) -> Record:
    """Vensim's exported run: a line with a name, then lines of time and value."""
    columns: dict[str, list[tuple[float, float]]] = {}
    name = ""
    for line in file.read_text("utf-8", "replace").splitlines():
        cells = line.split("\t")
        try:
            columns[name].append((float(cells[0]), float(cells[1])))
        except (ValueError, IndexError, KeyError):
            name = line.strip()
            columns.setdefault(name, [])
    return {name: _pair(np.array(rows).T) for name, rows in columns.items() if rows}


def _from_table(file: Path) -> Record | None:
    """A run with times down or across, or Vensim's own file of one, which pysimlin reads."""
    if file.suffix == ".vdf":
        import simlin

        frame = simlin.load_vdf(str(file))
    else:
        read = partial(pd.read_csv, file, sep="," if file.suffix == ".csv" else "\t", index_col=0)
        try:
            frame = read(encoding="utf-8-sig")
        except UnicodeDecodeError:
            frame = read(encoding="cp1252")
        down = canonical(str(frame.index.name))
        if down not in ("day", "days", "months", "years", "hours") and "time" not in down:
            frame = frame.T
    times = pd.to_numeric(pd.Series(frame.index), errors="coerce").to_numpy(dtype=float)
    record = {}
    for place, name in enumerate(frame.columns):
        values = pd.to_numeric(frame.iloc[:, place], errors="coerce").to_numpy(dtype=float)
        there = np.isfinite(values) & np.isfinite(times)
        if there.any() and not str(name).startswith("Unnamed"):
            record[str(name)] = (times[there], values[there])
    return record or None


def _pair(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows[0], rows[1]


def key(column: str) -> str:
    """A column's name as a run of ours has it: ``name`` or ``name[a,b]``."""
    text = column.strip()
    name, _, inside = (text, "", "") if text.startswith('"') and text.endswith('"') else text.partition("[")
    elements = ",".join(canonical(part) for part in inside.rstrip().removesuffix("]").split(",")) if inside else ""
    return f"{canonical(name)}[{elements}]" if elements else canonical(name)


def compare(ours: Mapping[str, np.ndarray], times: np.ndarray, record: Record, notes: Notes) -> Outcome:
    """Whether every recorded column that the run has is the record's, with those that differ or are not in the run."""
    compared, differ, lacking, worst = 0, list[str](), list[str](), 0.0
    for column, (at, expected) in record.items():
        values = ours.get(key(column))
        if column in notes.leave_out or key(column) in CONTROL:
            continue
        if values is None:
            lacking.append(column)
            continue
        nearest = np.searchsorted((times[1:] + times[:-1]) / 2, at)
        met = np.abs(times[nearest] - at) <= 6e-6 * np.maximum(1, np.abs(at))
        missing = (np.abs(expected / MISSING - 1) < TOLERANCE) | (np.abs(expected / MISSING - 2) < TOLERANCE)
        compared += 1
        far = _far(values[nearest], np.where(missing, np.nan, expected)) if met.all() else np.inf
        worst = max(worst, far)
        if not far <= notes.tolerance:
            differ.append(column if met.all() else f"{column} (times)")
    lacks = f"; not in the run: {', '.join(lacking[:5])}" if lacking else ""
    if not compared:
        return Outcome("runs", "no recorded column of that name" + lacks)
    if differ:
        return Outcome("differs", f"{len(differ)}: {', '.join(differ[:5])}; at most {worst:.2g}{lacks}", compared)
    return Outcome("agrees", f"{compared} columns to {worst:.1g}{lacks}", compared)


def _far(values: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference as a share of the largest expected number; infinite where one has no number."""
    there = np.isfinite(expected)
    if (np.isfinite(values) != there).any():
        return np.inf
    apart = np.abs(expected[there] - values[there])
    return float(apart.max() / np.abs(expected[there]).max()) if (apart > NOTHING).any() else 0.0
