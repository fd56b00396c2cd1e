"""How many public model files are read, run, and agree with what their vendor recorded, beside PySD and pysimlin.

    python tools/public_files.py FOLDER [--suites a,b] [--programs native,pysd,pysimlin] [--kept FILE] [--page FILE]

``FOLDER`` has a copy of each repository of ``tools/public_files.toml`` as ``owner+name``, at the commit that stands there. Files
of one text count once. A file agrees when every recorded column lies within a tolerance, a share of the column's largest
recorded number, at every recorded time. Each run has a process of its own with a limit of time and of memory; what is
done is kept in ``--kept`` and not done again, except by ``--again native,refused``: a program, a word, or both.

A suite says where its ``files`` are, without ``leave_out``, and where ``records`` stand beside a model (``{stem}`` is its
name without ending). What a repository's own texts say of a file and the file does not stands in its ``note``: ``record``
(another one, or an empty text for none), ``series`` (tables for its data variables), ``method`` (the record's), ``leave_out``
(columns), ``tolerance``, ``state`` (what is expected, ``agrees`` or ``runs`` where nothing is said) and ``why``: the
reason for any of these, or for which the file does not agree.
"""

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import tomllib
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd

from cipark_sd.errors import CiparkError
from cipark_sd.frontends.model_file import read_model
from cipark_sd.model.model import CONTROL
from cipark_sd.model.variables import Lookup, Series
from cipark_sd.naming import canonical
from cipark_sd.simulation import simulate

LIST = Path(__file__).with_suffix(".toml")
#: Share of a column's largest recorded number; records have six digits.
TOLERANCE = 1e-5
#: Below it a number is nothing: what rounding leaves of zero.
NOTHING = 1e-9
#: Vensim's number for a value that is missing (vensim.com/documentation/na.html).
MISSING = -(2.0**109)
PROGRAMS = ("native", "pysd", "pysimlin")
#: What one run may take.
SECONDS, BYTES = 90, 6 << 30
#: A record: the times and values of each column.
Record = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Notes:
    """What is said of one file; see the head of this script."""

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
    same: bool | None = None


@dataclass(frozen=True)
class File:
    """A model file: its suite, its path in the repository and whether a record stands beside it."""

    suite: Suite
    name: str
    path: Path
    recorded: bool

    @property
    def notes(self) -> Notes:
        return self.suite.of(self.name)


def suites(path: Path = LIST) -> list[Suite]:
    """The suites of the list, in its order."""
    made = []
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        said = values.pop("note", {})
        suite = Suite(name=name, **values)
        notes = {}
        for file, note in said.items():
            fields = {key: tuple(value) if isinstance(value, list) else value for key, value in note.items()}
            notes[file] = Notes(**{"tolerance": suite.tolerance, **fields})
        made.append(replace(suite, notes=notes))
    return made


def files_of(suite: Suite, copies: Path, seen: dict[str, str]) -> list[File]:
    """The suite's files whose text is not ``seen`` yet, of equal ones one with a record; XML that is no XMILE is none."""
    folder, found = copies / (suite.folder or suite.repository.replace("/", "+")), []
    for path in sorted({path for pattern in suite.files for path in folder.glob(pattern) if path.is_file()}):
        name = path.relative_to(folder).as_posix()
        if any(fnmatchcase(name, pattern) for pattern in suite.leave_out):
            continue
        if path.suffix.lower() == ".mdl" or b"<xmile" in path.read_bytes():
            found.append(File(suite, name, path, record_of(path, suite, suite.of(name)) is not None))
    once = []
    for file in sorted(found, key=lambda file: (not file.recorded, file.name not in suite.notes)):
        own = f"{suite.name}/{file.name}"
        if seen.setdefault(text_of(file.path), own) == own:
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
        if down not in ("months", "years", "hours") and "time" not in down:
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
        nearest = np.abs(times[:, None] - at).argmin(axis=0)
        met = np.abs(times[nearest] - at) <= 6e-6 * np.maximum(1, np.abs(at))
        missing = np.abs(expected / MISSING - 1) < TOLERANCE
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



# ---- programs


class Refused(Exception):
    """What another program says of a file that it does not read."""


class Stopped(Exception):
    """What a program says of a file that it reads and does not run."""


def outcome(file: File, program: str, runs: Path | None = None) -> Outcome:
    """What a program makes of a file; runs without a record are kept in ``runs`` and those of others laid beside them."""
    try:
        ours, times = RUN[program](file.path, file.notes)
    except (CiparkError, Refused) as problem:
        return Outcome("refused", _sentence(problem, file.path))
    except Stopped as problem:
        return Outcome("stopped", _sentence(problem.__cause__ or problem, file.path))
    record = record_of(file.path, file.suite, file.notes)
    if record is not None:
        return compare(ours, times, record, file.notes)
    kept = runs / f"{text_of(file.path)}.npz" if runs else None
    if kept and program == "native":
        np.savez_compressed(kept, **{"": times}, **{f"={name}": values for name, values in ours.items()})
    elif kept and kept.is_file():
        with np.load(kept) as there:
            at = there[""]
            beside = {name[1:]: (at, there[name]) for name in there.files if name}
        common = {name: pair for name, pair in beside.items() if name in ours and np.isfinite(pair[1]).all()}
        found = compare(ours, times, common, file.notes)
        return Outcome("runs", found.detail, 0, found.word == "agrees" if found.compared else None)
    return Outcome("runs", "nothing is recorded")


def _sentence(problem: BaseException, path: Path) -> str:
    return " ".join(str(problem).replace(str(path.parent), "…").split())


def by_native(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of a run of ours by name, and its times."""
    model = read_model(path, series=[_beside(path, file) for file in notes.series])
    saved = [v.name for v in model.variables if not isinstance(v, Lookup | Series) and v.name not in CONTROL]
    try:
        run = simulate(model, save=saved, method=notes.method)  # type: ignore[arg-type]
    except CiparkError as problem:
        raise Stopped from problem
    columns: dict[str, np.ndarray] = {}
    for name in run.data_vars:
        values = run[name].to_numpy().reshape(run.sizes["time"], -1)
        for index, elements in enumerate(model.elements(model.by_name[str(name)])):
            columns[f"{name}[{','.join(elements)}]" if elements else str(name)] = values[:, index]
    return columns, run["time"].to_numpy()


def _beside(path: Path, file: str) -> str:
    """A table, or a spreadsheet under its tag (``?tag=file``), beside a model."""
    tag, equals, name = file.rpartition("=")
    return f"{tag}{equals}{path.parent / name}"


def by_pysd(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of PySD's run with its own reader, which writes Python beside a model: in a copy of the folder."""
    import pysd

    with tempfile.TemporaryDirectory() as folder:
        for entry in path.parent.iterdir():
            (Path(folder) / entry.name).symlink_to(entry.resolve())
        copy = Path(folder) / path.name
        copy.unlink()
        shutil.copy(path, copy)
        data = [str(path.parent / file) for file in notes.series]
        try:
            model = (pysd.read_vensim if path.suffix.lower() == ".mdl" else pysd.read_xmile)(str(copy), data_files=data)
        except Exception as problem:  # whatever its readers raise is what it says
            raise Refused(f"{type(problem).__name__}: {problem}"[:300]) from problem
        try:
            frame = model.run(flatten_output=True)
        except Exception as problem:
            raise Stopped from problem
    return {key(str(name)): frame[name].to_numpy(dtype=float) for name in frame}, frame.index.to_numpy(dtype=float)


def by_pysimlin(path: Path, notes: Notes) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of pysimlin's run by name, and its times."""
    import simlin

    del notes
    try:
        model = simlin.load(str(path))
    except simlin.SimlinError as problem:
        raise Refused(str(problem)) from problem
    try:
        results = model.run(analyze_loops=False).results
    except simlin.SimlinError as problem:
        raise Stopped from problem
    return {key(str(name)): results[name].to_numpy(dtype=float) for name in results}, results.index.to_numpy(
        dtype=float
    )


RUN = {"native": by_native, "pysd": by_pysd, "pysimlin": by_pysimlin}


def in_a_process(file: File, program: str, runs: Path) -> Outcome:
    """:func:`outcome` in a process of its own, which may end by its limits or by the program's own fault."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(file, program, runs, theirs))
    process.start()
    theirs.close()
    try:
        found: Outcome = ours.recv() if ours.poll(10 * SECONDS) else Outcome("stopped", "takes too long")
    except EOFError:
        found = Outcome("stopped", "")
    process.kill() if found.detail == "takes too long" else None
    process.join()
    if found == Outcome("stopped", ""):
        limit = process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        found = Outcome(
            "stopped", f"takes more than {SECONDS} s" if limit else f"ends its process ({process.exitcode})"
        )
    return found


def _work(file: File, program: str, runs: Path, answer: Connection) -> None:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:  # what programs print is no result
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        found = outcome(file, program, runs)
    except (Exception, MemoryError) as problem:
        found = Outcome("crashed", f"{type(problem).__name__}: {problem}"[:300])
    answer.send(found)


# ---- counts and the page

Done = dict[tuple[str, str, str], Outcome]


def measured(files: Sequence[File], programs: Sequence[str], kept: Path | None, again: Sequence[str]) -> Done:
    """What each program makes of each file, kept after each run."""
    done: Done = {}
    for line in kept.read_text("utf-8").splitlines() if kept and kept.is_file() else ():
        *where, values = json.loads(line)
        done[tuple(where)] = Outcome(**values)
    with tempfile.TemporaryDirectory() as scratch:
        runs = kept.with_suffix(".runs") if kept else Path(scratch)
        runs.mkdir(exist_ok=True)
        for file, program in ((file, program) for program in programs for file in files):
            where = (f"{file.suite.name}/{file.name}", text_of(file.path), program)
            if where in done and not (again and {program, done[where].word} >= set(again)):
                continue
            done[where] = in_a_process(file, program, runs)
            if done[where].word not in ("agrees", "runs"):
                print(f"{program:8} {done[where].word:8} {where[0]}: {done[where].detail[:300]}", flush=True)
            if kept:
                with kept.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps([*where, asdict(done[where])]) + "\n")
    return done


#: A file with a line; and words of messages that say what to do.
_PLACE = re.compile(r"\.(?:mdl|stmx|xmile)(?:, macro [^:]*)?:\d+", re.IGNORECASE)
_ADVICE = re.compile(r"; |did you mean|known:|expected|\b(?:use|give|write|put|bring|keep)\b")


def of_messages(found: Iterator[Outcome]) -> str:
    """How many messages of files that do not run name a line and say what to do."""
    messages = [
        message for outcome in found if outcome.word in ("refused", "stopped") for message in problems(outcome.detail)
    ]
    shares = [
        sum(bool(rule.search(message)) for message in messages) / max(1, len(messages)) for rule in (_PLACE, _ADVICE)
    ]
    return f"{len(messages)} messages of files that do not run: {shares[0]:.0%} name a line, {shares[1]:.0%} say what to do"


def problems(detail: str) -> list[str]:
    """The single messages of what is said of a file."""
    listed = detail.partition(" problems: ")[2] or detail.partition(" problem: ")[2]
    return listed.removeprefix("- ").split(" - ") if listed else [detail]


def row(files: Sequence[File], by: Mapping[tuple[str, str], Outcome], program: str) -> list[str]:
    """Counts of one program: read, run; of recorded ones that agree; of others those that are the same as ours."""
    found = [(file, by[f"{file.suite.name}/{file.name}", program]) for file in files]
    words = Counter(result.word for _, result in found)
    recorded = sum(file.recorded for file, _ in found)
    same = Counter(result.same for _, result in found)
    return [
        str(len(found)),
        str(len(found) - words["refused"]),
        str(words["agrees"] + words["differs"] + words["runs"]),
        f"{words['agrees']} of {recorded}" if recorded else "-",
        str(words["differs"]),
        "" if program == "native" else f"{same[True]} of {same[True] + same[False]}",
    ]


HEAD = """\
# Public models: what runs, and what agrees with its vendor

{files} model files of {n} public repositories, each text once, each run in a process of its own with {seconds} s of processor and
{gib} GiB. A file **agrees** when every recorded column lies within a tolerance at every recorded time: {tolerance:g} of the
column's largest recorded number where nothing else is said. None of the files is part of this project. With a copy of each
repository in a folder,

    {command}

makes this page. *Same* are files without a record of which two programs have the same columns. PySD {pysd} and pysimlin {pysimlin}
read the files themselves. The engine `numpy` has the bits of `native`. The suite `sdxorg` is a test, a file a test, where
`CIPARK_TEST_MODELS` names a copy (`tests/cipark_sd/engines/test_recorded_outputs.py`).
"""
COMMAND = "python tools/public_files.py FOLDER --page docs/public_files.md"


def page(files: Sequence[File], by: Mapping[tuple[str, str], Outcome], programs: Sequence[str]) -> str:
    """A Markdown page: counts by suite and program, then each file that does not run or agree, with the reason."""
    own = [suite for suite in suites() if any(file.suite.name == suite.name for file in files)]
    limits = {"seconds": SECONDS, "gib": BYTES >> 30, "tolerance": TOLERANCE, "command": COMMAND}
    versions = {name: version(name) for name in ("pysd", "pysimlin")}
    n = len({suite.repository for suite in own})
    lines = [*HEAD.format(files=len(files), n=n, **limits, **versions).splitlines(), ""]
    lines += ["| suite | what | commit |", "|---|---|---|"]
    lines += [
        f"| {suite.name} | [{suite.title}](https://github.com/{suite.repository}) | `{suite.commit[:8]}` |"
        for suite in own
    ]
    heads = ("suite", "program", "files", "read", "run", "agree, of recorded", "differ", "same as ours")
    lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, part in [(suite.name, [file for file in files if file.suite.name == suite.name]) for suite in own] + [
        ("all", files)
    ]:
        lines += [f"| {' | '.join([name, program, *row(part, by, program)])} |" for program in programs]
    lines += ["", of_messages(by[f"{file.suite.name}/{file.name}", "native"] for file in files) + ".", ""]
    lines += ["## What does not run or agree here", "", "| suite | file | | because |", "|---|---|---|---|"]
    for file in files:
        found = by[f"{file.suite.name}/{file.name}", "native"]
        if found.word not in ("agrees", "runs"):
            lines.append(f"| {file.suite.name} | {file.name} | {found.word} | {_reason(file.notes, found)} |")
    return "\n".join([*lines, ""])


def _reason(notes: Notes, found: Outcome) -> str:
    """The note, else the kind of what is said, without the names and the text of the file."""
    message = problems(found.detail)[0]
    text = notes.why or re.sub(r"'[^']*'", "…", re.sub(r"^\S*.*?\.(?:mdl|stmx|xmile)(?::\d+)*:? ", "", message))
    return (text if len(text) < 220 else text[:217] + "…").replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    """Counts on the screen, and the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--suites", default="")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--again", default="")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    seen: dict[str, str] = {}
    files = [file for suite in suites() for file in files_of(suite, asked.folder, seen)]
    files = [file for file in files if not asked.suites or file.suite.name in asked.suites.split(",")]
    programs = asked.programs.split(",")
    done = measured(files, programs, asked.kept, asked.again.split(",") if asked.again else [])
    by = {(name, program): found for (name, _, program), found in done.items()}
    for suite in dict.fromkeys(file.suite.name for file in files):
        for program in programs:
            print(f"{suite:12} {program:8} " + "  ".join(row([f for f in files if f.suite.name == suite], by, program)))
    if asked.page:
        asked.page.write_text(page(files, by, programs), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
