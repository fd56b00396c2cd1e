"""Which model files of a folder are read, run, and agree with the outputs that their vendor recorded beside them.

    python tools/coverage.py FOLDER [--notes FILE] [--engines native,pysd,pysimlin] [--csv FILE] [--page FILE]

A file agrees when every recorded column lies within a tolerance, a share of the column's largest recorded number, at
every recorded time. Outputs are ``output.csv`` or ``output.tab`` beside the model, columns named after variables.

``--notes`` is a TOML file with what a folder's own texts say of a file and the file itself does not: by path below the
folder ``record`` (another output, or an empty text for none), ``series`` (tables for its data variables), ``method``
(the record's), ``leave_out`` (columns), ``tolerance``, ``state`` (what is
expected, ``agrees`` where nothing is said), and ``why``: the reason for any of these, or for which the file
does not agree.
"""

import argparse
import csv
import hashlib
import re
import sys
import tomllib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cipark_sd.errors import CiparkError
from cipark_sd.frontends.model_file import SUFFIXES, read_model
from cipark_sd.model.model import CONTROL, Model
from cipark_sd.model.variables import Lookup, Series
from cipark_sd.naming import canonical
from cipark_sd.simulation import simulate

#: Share of a column's largest recorded number; records have six digits.
TOLERANCE = 1e-5
#: Another program, with its own reader, beside the engines.
PYSIMLIN = "pysimlin"


@dataclass(frozen=True)
class Notes:
    """What is said of one file; see the head of this script."""

    record: str | None = None
    series: tuple[str, ...] = ()
    method: str | None = None
    leave_out: tuple[str, ...] = ()
    tolerance: float = TOLERANCE
    state: str = "agrees"
    why: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a file under one engine: ``agrees``, ``differs``, ``refused``, or ``runs`` without a record."""

    word: str
    detail: str
    compared: int = 0


@dataclass(frozen=True)
class Row:
    """A model file: its path below the folder, what is said of it, whether the vendor's output stands beside it.

    Files of one ``text`` are one model that stands there more than once, as ``.stmx`` and as ``.xmile``.
    """

    name: str
    notes: Notes
    recorded: bool
    text: str
    by: Mapping[str, Outcome]


def read_notes(path: Path | None) -> dict[str, Notes]:
    """Notes by path below the folder."""
    if path is None:
        return {}
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    made = {}
    for file, entry in content.items():
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        made[file] = Notes(**fields)
    return made


def model_files(folder: Path) -> list[Path]:
    """The model files below a folder, in order; XML that is no XMILE is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [p for p in paths if p.suffix.lower() == ".mdl" or "<xmile" in p.read_text("utf-8", "replace")]


def recorded(path: Path, name: str | None) -> pd.DataFrame | None:
    """The vendor's output beside a model: times down, one column a variable."""
    for file in [
        path.parent / file_name
        for file_name in (("output.csv", "output.tab") if name is None else (name,) if name else ())
    ]:
        if not file.is_file():
            continue
        separator = "," if file.suffix == ".csv" else "\t"
        try:
            frame = pd.read_csv(file, sep=separator, encoding="utf-8-sig", index_col=0)
        except UnicodeDecodeError:
            frame = pd.read_csv(file, sep=separator, encoding="cp1252", index_col=0)
        if canonical(str(frame.index.name)) in ("time", "months", "years") or "time" in canonical(
            str(frame.index.name)
        ):
            return frame.loc[:, ~frame.columns.str.startswith("Unnamed")]
        frame = frame.T
        return frame if len(frame) else None
    return None


def text_of(path: Path) -> str:
    """What tells the text of a model in its folder from others, whatever its ending and its blanks."""
    return f"{path.parent} {hashlib.sha256(b''.join(path.read_bytes().split())).hexdigest()}"


def columns(model: Model, run: Any) -> dict[str, np.ndarray]:
    """Each saved column by canonical name, elements as ``name[a,b]``."""
    series: dict[str, np.ndarray] = {}
    for name in run.data_vars:
        values = run[name].to_numpy().reshape(run.sizes["time"], -1)
        for index, elements in enumerate(model.elements(model.by_name[str(name)])):
            series[f"{name}[{','.join(elements)}]" if elements else str(name)] = values[:, index]
    return series


def key(column: str) -> str:
    """A recorded column's name as :func:`columns` has it."""
    name, _, inside = column.strip().partition("[") if not column.strip().startswith('"') else (column, "", "")
    elements = ",".join(canonical(part) for part in inside.rstrip().removesuffix("]").split(",")) if inside else ""
    return f"{canonical(name)}[{elements}]" if elements else canonical(name)


def compare(
    ours: Mapping[str, np.ndarray], times: np.ndarray, frame: pd.DataFrame, notes: Notes
) -> tuple[int, list[str], list[str], float]:
    """How many recorded columns the run has, those that differ, those that it lacks, and the largest difference."""
    at = pd.to_numeric(pd.Series(frame.index), errors="coerce").to_numpy(dtype=float)
    nearest = np.abs(times[:, None] - np.nan_to_num(at)).argmin(axis=0)
    met = np.isfinite(at) & (np.abs(times[nearest] - at) <= 6e-6 * np.maximum(1, np.abs(at)))
    compared, differ, lacking, worst = 0, [], [], 0.0
    for column in frame.columns:
        expected = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float)
        if str(column) in notes.leave_out or key(str(column)) in CONTROL or not np.isfinite(expected).any():
            continue
        values = ours.get(key(str(column)))
        if values is None:
            lacking.append(str(column))
            continue
        there = np.isfinite(expected)
        if not met[there].all():
            differ.append(f"{column} (times)")
            continue
        compared += 1
        scale = np.abs(expected[there]).max() or 1.0
        far = np.abs(expected[there] - values[nearest[there]]).max() / scale
        worst = max(worst, far)
        if not far <= notes.tolerance:
            differ.append(str(column))
    return compared, differ, lacking, worst


def outcome(path: Path, notes: Notes, engine: str) -> Outcome:
    """What becomes of a file."""
    try:
        ours, times = by_pysimlin(path) if engine == PYSIMLIN else by_engine(path, notes, engine)
    except (CiparkError, Refused) as problem:
        return Outcome("refused", " ".join(str(problem).replace(str(path.parent), "…").split()))
    frame = recorded(path, notes.record)
    if frame is None:
        return Outcome("runs", "nothing is recorded")
    compared, differ, lacking, worst = compare(ours, times, frame, notes)
    lacks = f"; not in the run: {', '.join(lacking[:5])}" if lacking else ""
    if not compared:
        return Outcome("runs", "no recorded column of that name" + lacks)
    if differ:
        return Outcome("differs", f"{', '.join(differ[:5])}; at most {worst:.2g}{lacks}", compared)
    return Outcome("agrees", f"{compared} columns to {worst:.1g}{lacks}", compared)


def by_engine(path: Path, notes: Notes, engine: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of a run of ours by name, and its times."""
    model = read_model(path, series=[path.parent / file for file in notes.series])
    saved = [v.name for v in model.variables if not isinstance(v, Lookup | Series) and v.name not in CONTROL]
    run = simulate(model, save=saved, engine=engine, method=notes.method)  # type: ignore[arg-type]
    return columns(model, run), run["time"].to_numpy()


class Refused(Exception):
    """What another program says of a file that it does not run."""


def by_pysimlin(path: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns and times of pysimlin's run, in a process of its own: some files end the process."""
    global _simlin
    _simlin = _simlin or ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    try:
        answer = _simlin.submit(_run_in_simlin, str(path)).result(timeout=60)
    except (BrokenProcessPool, TimeoutError) as problem:
        _simlin.shutdown(wait=False, cancel_futures=True)
        _simlin = None
        raise Refused(f"ends its process ({type(problem).__name__})") from problem
    if isinstance(answer, str):
        raise Refused(answer)
    return {key(name): values for name, values in answer[0].items()}, answer[1]


_simlin: ProcessPoolExecutor | None = None


def _run_in_simlin(path: str) -> tuple[dict[str, np.ndarray], np.ndarray] | str:
    """A run, or what pysimlin says in its place."""
    import simlin

    try:
        results = simlin.load(path).run(analyze_loops=False).results
    except simlin.SimlinError as problem:
        return str(problem)
    return {str(name): results[name].to_numpy(dtype=float) for name in results}, results.index.to_numpy(dtype=float)


def main() -> int:
    """The table on the screen, as CSV and as a page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--engines", default="native")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--skip", help="Leave out files whose path holds this.")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    engines, notes = arguments.engines.split(","), read_notes(arguments.notes)
    rows: list[Row] = []
    for path in model_files(arguments.folder):
        if arguments.skip and arguments.skip in str(path):
            continue
        name = path.relative_to(arguments.folder).as_posix()
        note = notes.get(name, Notes())
        there = recorded(path, note.record) is not None
        rows.append(Row(name, note, there, text_of(path), {engine: outcome(path, note, engine) for engine in engines}))
        for engine, result in rows[-1].by.items():
            if result.word not in ("agrees", "runs"):
                print(f"{engine:7} {result.word:8} {name}: {result.detail[:300]}")
    for engine in engines:
        print("\n".join(f"{engine}: {line}" for line in counts(rows, engine)))
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "engine", "state", "detail", "note"))
            writer.writerows((row.name, e, o.word, o.detail, row.notes.why) for row in rows for e, o in row.by.items())
    if arguments.page:
        arguments.page.write_text(page(rows, engines), encoding="utf-8")
    return 0


def counts(rows: Sequence[Row], engine: str) -> list[str]:
    """One line a language: all files, and of each text once those that have a record."""
    lines = []
    for language, vensim in (("Vensim", True), ("XMILE", False)):
        words = Counter(row.by[engine].word for row in rows if _is_vensim(row) is vensim)
        agreeing, of = distinct(rows, engine, vensim=vensim)
        every = ", ".join(f"{n} {word}" for word, n in words.most_common())
        lines.append(f"{language}: {words.total()} files; {every}; {agreeing} of {of} distinct recorded files agree")
    messages = [m for row in rows if row.by[engine].word == "refused" for m in problems(row.by[engine].detail)]
    if messages:
        shares = [sum(bool(rule.search(message)) for message in messages) / len(messages) for rule in (_PLACE, _ADVICE)]
        lines.append(
            f"{len(messages)} messages of refused files: {shares[0]:.0%} name a line, {shares[1]:.0%} say what to do"
        )
    return lines


#: A file with a line; and words of messages that say what to do.
_PLACE = re.compile(r"\.(?:mdl|stmx|xmile)(?:, macro [^:]*)?:\d+", re.IGNORECASE)
_ADVICE = re.compile(r"; |did you mean|known:|expected|\b(?:use|give|write|put|bring|keep)\b")


def problems(detail: str) -> list[str]:
    """The single messages of what is said of a file."""
    listed = detail.partition(" problems: ")[2] or detail.partition(" problem: ")[2]
    return listed.removeprefix("- ").split(" - ") if listed else [detail]


def distinct(rows: Sequence[Row], engine: str, *, vensim: bool) -> tuple[int, int]:
    """Of a language's texts with a record: how many agree in every file of the text, and how many there are."""
    texts: dict[str, bool] = {}
    for row in rows:
        if row.recorded and _is_vensim(row) is vensim:
            texts[row.text] = texts.get(row.text, True) and row.by[engine].word == "agrees"
    return sum(texts.values()), len(texts)


def _is_vensim(row: Row) -> bool:
    return row.name.lower().endswith(".mdl")


def page(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """A Markdown page: counts, then a row a file with the reason of each that does not agree."""
    lines = [
        *HEAD.format(files=len(rows), tolerance=TOLERANCE).splitlines(),
        "",
        "| engine | language | agrees | differs | refused | nothing recorded | recorded texts | of these agree |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for engine in engines:
        for language, vensim in (("Vensim", True), ("XMILE", False)):
            words = Counter(row.by[engine].word for row in rows if _is_vensim(row) is vensim)
            numbers = " | ".join(str(words[word]) for word in ("agrees", "differs", "refused", "runs"))
            agreeing, of = distinct(rows, engine, vensim=vensim)
            lines.append(f"| {engine} | {language} | {numbers} | {of} | {agreeing} |")
    lines += ["", f"| file | {' | '.join(engines)} | because |", "|---|" + "---|" * (len(engines) + 1)]
    for row in rows:
        words = [
            f"{row.by[engine].word}" + (f" ({row.by[engine].compared})" if row.by[engine].compared else "")
            for engine in engines
        ]
        lines.append(f"| {row.name} | {' | '.join(words)} | {_reason(row.notes, row.by)} |")
    lines += ["", "In brackets: the number of columns that are compared.", ""]
    return "\n".join(lines)


HEAD = """\
# Public models: what agrees with its vendor

{files} model files of [SDXorg's test models](https://github.com/SDXorg/test-models) (March 2025), each run by every
engine and compared with the output that the vendor's own program recorded beside it. A file **agrees** when every
recorded column lies within the tolerance at every recorded time: {tolerance:g} of the column's largest recorded number
where nothing else is said. None of the files is part of this project. From a copy of them

    python tools/coverage.py FOLDER --notes tools/sdxorg.toml --engines native,pysd,pysimlin --page docs/coverage.md

makes this page. Many XMILE files stand there twice, as `.stmx` and `.xmile`; the last two columns count each text of
a folder that has a record once. Each file is a test where `CIPARK_TEST_MODELS` names the copy
(`tests/cipark_sd/engines/test_recorded_outputs.py`). The engine `numpy` has the bits of `native`; `pysd` is PySD
behind our reader, and `pysimlin` is pysimlin with its own.
"""


def _reason(note: Notes, by: Mapping[str, Outcome]) -> str:
    """The note, else what the first engine that does not agree says, in one cell."""
    text = note.why
    if note.tolerance != TOLERANCE:
        text = f"tolerance {note.tolerance:g}: {text}"
    if not text:
        text = next((f"{e}: {o.detail}" for e, o in by.items() if o.word in ("differs", "refused")), "")
    text = text if len(text) < 220 else text[:217] + "…"
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
