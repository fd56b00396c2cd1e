"""The data of a case: the true model in PySD, noise around what each column reads, and a table as people save it."""

import calendar
import csv
import datetime
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gauntlet_case import Case, Column

from cipark_sd import Scenario, simulate

Array = np.ndarray[Any, np.dtype[np.float64]]

#: Run in a process of its own, so that no engine of the project has a part in the truth.
_PYSD = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import pysd
path, names, step = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
model = (pysd.read_vensim if path.endswith(".mdl") else pysd.read_xmile)(path)
step = step or float(model["time_step"])
run = model.run(return_columns=sorted({name.split("[")[0] for name in names}), time_step=step, saveper=step)
print(json.dumps([float(run.index[0]), step, {name: run[name].tolist() for name in names}]))
"""


@dataclass(frozen=True)
class Number:
    """What a column holds in one row: the window of model time that it is of, empty for a level, and the number."""

    start: float
    end: float
    value: float


#: Where PySD 3.14 departs from the languages, and what it reads as they mean: it ignores ``xpts`` beside an ``xscale``,
#: and cuts what flows into SMOOTHI in the first step to whole numbers where the initial value is written as one.
_FOR_PYSD = (
    (re.compile(r"<xscale[^>]*/>(?=\s*(<yscale[^>]*/>\s*)?<xpts>)"), ""),
    (re.compile(r"(SMOOTH3?I\([^()]*,\s*)(\d+)\)"), r"\1\2.0)"),
)
#: Of a course's largest value: by how much PySD and the program may differ on the truth.
APART = 1e-6
#: Numbers of each column by row.
Made = dict[str, dict[int, Number]]


def run_truth(case: Case, work: Path) -> tuple[Array, dict[str, Array]]:
    """Times and courses of the observed variables, by PySD with the true constants.

    Where the case has a ``nature_step`` they are made with it: nature knows nothing of the model's time step.
    """
    folder = work / "truth"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"truth{case.model.suffix}"
    text = case.text(case.truth)
    for pattern, to in _FOR_PYSD:
        text = pattern.sub(to, text)
    path.write_text(text, encoding="utf-8")
    names = sorted({column.variable for column in case.columns})
    command = [sys.executable, "-c", _PYSD, str(path), json.dumps(names), repr(case.nature_step)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    # PySD rounds its times to seven digits
    start, step, listed = json.loads(made.stdout.splitlines()[-1])
    courses = {name: np.array(course, dtype=float) for name, course in listed.items()}
    times = start + step * np.arange(len(next(iter(courses.values()))))
    as_saved = folder / f"asked{case.model.suffix}"
    as_saved.write_text(case.text(case.truth), encoding="utf-8")
    _raise_where_apart(case, as_saved, step, courses)
    return times, courses


def _raise_where_apart(case: Case, path: Path, step: float, courses: dict[str, Array]) -> None:
    """Raise where the program and PySD run a file differently: one reads it wrongly, and a person must see which."""
    run = simulate(path, Scenario(time_step=step, saveper=step), save=sorted({name.split("[")[0] for name in courses}))
    apart = {name: float(np.abs(run.cp[name].values - course).max()) for name, course in courses.items()}
    wrong = [name for name, course in courses.items() if not apart[name] <= APART * np.abs(course).max()]
    if wrong:
        raise ValueError(f"{case.model}: PySD and the program differ on {', '.join(wrong)}")


def windows(case: Case, column: Column, initial: float) -> list[tuple[int, float, float]]:
    """Row, start and end in model time of each number that a column could hold."""
    at_start = case.table.get("levels") == "start"
    cells = []
    for row in range(0, case.rows, column.every):
        start, end = initial + row, initial + row + 1
        if column.reading != "flow":
            start = end = start if at_start else end
        cells.append((row, start, end))
    return cells


def expected(column: Column, start: float, end: float, times: Array, course: Array) -> float:
    """What a number would be without noise: the course at a time, or its integral by Euler's rule."""
    if start == end:
        return float(np.interp(end, times, course))
    step = times[1] - times[0]
    inside = (times > start - step / 2) & (times < end - step / 2)
    return float(course[inside].sum() * step)


def drawn(column: Column, mean: float, rng: np.random.Generator) -> float:
    """A number around its mean."""
    match column.law:
        case "nb1" if mean > 0:
            return float(rng.negative_binomial(mean / column.size, 1 / (1 + column.size)))
        case "poisson" | "nb1":
            return float(rng.poisson(max(mean, 0.0)))
        case "lognormal":
            return mean * float(np.exp(column.size * rng.standard_normal()))
        case "normal":
            return mean + column.size * rng.standard_normal()
    raise ValueError(f"{column.header}: unknown noise {column.law!r}")


def observe(case: Case, seed: int, times: Array, courses: dict[str, Array]) -> Made:
    """Numbers of each column by row."""
    skipped = np.random.default_rng([case.key, seed]).random(case.rows) < float(str(case.table.get("skip_rows", 0.0)))
    skipped[0] = False
    made: Made = {}
    for place, column in enumerate(case.columns):
        rng = np.random.default_rng([case.key, seed, place])
        course, before, total = courses[column.variable], float(times[0]), 0.0
        cells = made.setdefault(column.header, {})
        for row, start, end in windows(case, column, float(times[0])):
            mean = expected(column, start, end, times, course)
            if column.reading == "total":
                value = total = total + drawn(column, mean - expected(column, before, before, times, course), rng)
                before = end
            else:
                value = round(drawn(column, mean, rng) / column.per, column.digits) * column.per
            missing = rng.random() < column.gaps
            if not missing and not skipped[row]:
                cells[row] = Number(start, end, value)
    return made


def _add(start: datetime.date, unit: str, n: int) -> datetime.date:
    if unit in ("day", "week"):
        return start + datetime.timedelta(days=n * (7 if unit == "week" else 1))
    months = start.year * 12 + start.month - 1 + n * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = divmod(months, 12)
    return datetime.date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def label(case: Case, row: int) -> list[str | int | datetime.date]:
    """The cells that say when a row is of."""
    time: dict[str, str] = case.table["time"]  # type: ignore[assignment]
    start: Any = case.table["start"]
    if time["format"] == "number":
        return [start + row + 1]
    if time["format"] == "year":
        return [start + row]
    first = _add(start, str(case.table["unit"]), row)
    last = _add(start, str(case.table["unit"]), row + 1) - datetime.timedelta(days=1)
    day = last if time.get("day") == "last" else first
    if time["format"] == "date":
        return [first, day] if "from" in time else [day]
    pattern = time["format"].replace("%q", str((day.month + 2) // 3)).replace("%n", f"{(day.year + 1) % 100:02d}")
    return [first.strftime(pattern), day.strftime(pattern)] if "from" in time else [day.strftime(pattern)]


def _cell(case: Case, column: Column, value: float) -> str:
    value /= column.per
    comma = "," if case.table.get("thousands") else ""
    text = f"{value:{comma}.{max(column.digits, 0)}f}"
    marks = {",": str(case.table.get("thousands", "")), ".": str(case.table.get("decimal", "."))}
    return "".join(marks.get(letter, letter) for letter in text)


def known(case: Case, made: Made) -> Made:
    """Without the rows that are held out."""
    return {header: {row: x for row, x in cells.items() if row < case.known} for header, cells in made.items()}


def write(case: Case, made: Made, folder: Path) -> Path:
    """The table as a file."""
    time: dict[str, str] = case.table["time"]  # type: ignore[assignment]
    path = folder / str(case.table["file"])
    header = [*([time["from"]] if "from" in time else []), time["header"], *made]
    rows = sorted({row for cells in made.values() for row in cells})
    if path.suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        if "notes" in case.table:
            book.create_sheet("Notes", 0).append([str(case.table["notes"])])
        sheet = book["Sheet"]
        sheet.title = str(case.table.get("sheet", "Sheet"))
        sheet.append(header)
        for row in rows:
            numbers = (made[c.header][row].value / c.per if row in made[c.header] else None for c in case.columns)
            sheet.append([*label(case, row), *numbers])
        book.save(path)
        return path
    missing = str(case.table.get("missing", ""))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=str(case.table.get("separator", ",")))
        writer.writerow(header)
        for row in rows:
            cells = [
                _cell(case, c, made[c.header][row].value) if row in made[c.header] else missing for c in case.columns
            ]
            writer.writerow([*label(case, row), *cells])
        if "total" in case.table:
            sums = ((c, sum(x.value for x in made[c.header].values())) for c in case.columns)
            empty = [""] * (len(header) - 1 - len(case.columns))
            totals = [_cell(case, c, x) if c.reading == "flow" else missing for c, x in sums]
            writer.writerow([case.table["total"], *empty, *totals])
    return path
