"""A study from a model and tables: what ``cipark new-study MODEL DATA.csv`` does."""

import csv
import difflib
import fnmatch
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.likelihood.posterior import Posterior, posterior
from calibration.new_study import text
from calibration.new_study.clock import Clock, calendar_years, clock, model_unit, windowed
from calibration.new_study.columns import Axis, cases_of, plain, read_axis, time_columns
from calibration.new_study.dates import Point, point_in
from calibration.new_study.folders import bring, check_free, copy, move_into
from calibration.new_study.guesses import NewStudy
from calibration.new_study.matching import Match, flows, lacks_data, likeness, matches, observable, words
from calibration.new_study.parameters import Constants, fixed_by, roles, view, with_stated
from calibration.new_study.request import Request
from calibration.new_study.series import Reading, Series, Shape, check_scales, point, reading, series, shape
from calibration.new_study.table import Sheet, is_dated_table, is_missing, read_sheet, without_footer
from calibration.new_study.text import toml
from calibration.study import FILE
from calibration.study.constants import beside_equations, reaching
from calibration.study.problem import read_problem
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected, raise_all
from cipark_sd.base.files import draft_of
from cipark_sd.commands.options import split_names
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Ref
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Series as DataVariable
from cipark_sd.model.variables import Stock

_SEED = 1
#: Names of a column of values that say nothing of what it holds.
_SAY_NOTHING = frozenset({"value", "figure", "amount", "quantity", "count", "total"})


def new_study(request: Request) -> NewStudy:
    """Read both, guess, write the folder and read it back; nothing is left half-written.

    Raises
    ------
    CiparkError
        Of a kind for each thing that is wrong with the model, the table or a name.
    """
    check_free(request.folder, force=request.force)
    model_file, data = request.files
    for option, paths in (("--series", request.series), ("DATA", (data, *request.further))):
        if len({path.name for path in paths}) < len(paths):
            names, expected = ", ".join(path.name for path in paths), "files of different names, since copies are kept"
            raise InvalidValue(option, names, expected, where="new-study")
    dated = [path for path in request.series if is_dated_table(path)]
    request = replace(request, series=tuple(path for path in request.series if path not in dated))
    model = read_model(model_file, allow_files=request.allow_files, series=request.series)
    beside = [_table(model, path, request, "inputs") for path in dated]
    beside += [_table(model, path, request, "further") for path in request.further]
    elsewhere = [match.column for table in beside for match in table.matched]
    tables = _once([_table(model, data, request, "first", elsewhere), *beside], request.values)
    matched = [match for table in tables for match in table.matched]
    columns = [name for table in tables for name in (*table.unused, *(match.column for match in table.matched))]
    _check_columns(request.scale, columns, f"{data.name}: --scale")
    _check_columns(request.window, columns, f"{data.name}: --window")
    _check_inputs(model, matched, columns)
    observed = tuple(match.variable.name for match in matched if not match.is_input)
    options = Constants(model, observed, request.estimate, request.prior_width).candidates()
    request = replace(request, priors=fixed_by(options, split_names(request.fix), model.name) | dict(request.priors))
    options = with_stated(options, request.priors, model.name)
    study = NewStudy(
        folder=request.folder,
        axis=tables[0].axis,
        candidates=tuple(options),
        ignored=tuple(name for table in tables for name in table.unused),
        notes=tuple(note for table in tables for note in table.notes),
        beside=tuple(beside_equations(model, reaching(model, observed))),
    )

    def drafted(request: Request, *, later: bool = False) -> tuple[NewStudy, Posterior]:
        """The study with its series, written into the draft, and its log density."""
        series, timing = _series(model, tables[0], request, later=later)
        parts = [*series, *(part for table in tables[1:] for part in _series(model, table, request, timing)[0])]
        observed, driving = (tuple(p for p in parts if p.match.is_input == drives) for drives in (False, True))
        made = replace(study, series=observed, clock=timing, inputs=driving)
        _write(draft, request, model, made)
        return made, posterior(read_problem(draft, allow_files=request.allow_files), choose("native"))

    with draft_of(request.folder) as draft:
        made, density = drafted(request)
        factors, scaled = check_scales(density, made.series, request.scale)
        if factors:
            request = replace(request, scale={**request.scale, **factors})
            made, density = drafted(request)
        strengths, possible = view(density, np.random.default_rng(_SEED))
        if not possible:
            # a stock may start at nothing: the first number then belongs to the next instant
            later, density = drafted(request, later=True)
            of_later, possible = view(density, np.random.default_rng(_SEED))
            strengths, made = (of_later, later) if possible else (strengths, made)
        candidates = with_stated(roles(options, strengths), request.priors, model.name)
        made = replace(made, candidates=tuple(candidates), possible=possible, scaled=scaled)
        _write(draft, request, model, made)
        read_problem(draft, allow_files=request.allow_files)
        move_into(draft, request.folder)
    return made


#: What a table is: the one that says where the run starts, another one, or one of values of data variables (--series).
_Role = Literal["first", "further", "inputs"]


@dataclass(frozen=True)
class _Table:
    """A table, its times, what its columns are, those that are nothing, and what was done to its rows."""

    sheet: Sheet
    axis: Axis
    matched: Sequence[Match]
    unused: Sequence[str]
    notes: Sequence[str]


def _table(model: Model, path: Path, request: Request, role: _Role, elsewhere: Sequence[str] = ()) -> _Table:
    """A table of the user's; ``elsewhere`` has the columns that other tables are known for."""
    first = role == "first"
    sheet, below = without_footer(read_sheet(path, request.sheet if first else None))
    sheet = _chosen(sheet, {name: text for name, text in request.where.items() if first or name in sheet.header})
    if request.series_by and (first or request.series_by.split(",")[0].strip('" ') in sheet.header):
        sheet = _by_series(sheet, request.series_by, request.time)
    values = _spread(sheet, request.values)
    named = {name: values[name] for name in values if name in sheet.header or (first and name not in elsewhere)}
    time = request.time if first or request.time in sheet.header else None
    axis = read_axis(sheet, time, request.dates, tuple(named), None if role == "inputs" else request.until)
    axis = calendar_years(axis, model, request.unit)
    columns = [name for name in sheet.header if name not in (axis.column, axis.started) and sheet.has_numbers(name)]
    matched = _matched(model, sheet, columns, named, role)
    n_timeless = sum(map(is_missing, sheet.column(axis.column)))
    late = f"after --until {request.until}"
    out = {late: len(sheet.rows) - n_timeless - len(axis.rows), "without a time": n_timeless}
    left_out = [f"{n} row{'s' * (n > 1)} {place}: left out" for place, n in out.items() if n]
    notes = [*filter(None, [below]), *left_out, *axis.notes()]
    return _Table(sheet, axis, matched, () if role == "inputs" else columns, notes)


def _once(tables: Sequence[_Table], chosen: Mapping[str, str]) -> list[_Table]:
    """The tables without what would count events twice: stocks whose own flow is observed, what a table drives too.

    What the user named stays, whatever it is. What a table does not match is left over in it.

    Raises
    ------
    InvalidValue
        For two columns of one name.
    """
    matched = [match for table in tables for match in table.matched]
    observed = {match.variable.name for match in matched}
    driving = [match.variable for table in tables[1:] for match in table.matched if lacks_data(match.variable)]

    def repeated(match: Match, table: _Table) -> bool:
        if not isinstance(match.variable, Stock) or match.column in chosen:
            return table is tables[0] and match.variable in driving
        net = [piece.flow for piece in match.variable.pieces]
        return all(isinstance(flow, Ref) and flow.name in observed for flow in net)

    once = [replace(t, matched=[match for match in t.matched if not repeated(match, t)]) for t in tables]
    taken = [match.column for table in once for match in table.matched]
    if len(set(taken)) < len(taken):
        twice, expected = next(name for name in taken if taken.count(name) > 1), "another name in one of the tables"
        raise InvalidValue("a column of two tables", twice, expected, where="new-study")
    return [replace(table, unused=[name for name in table.unused if name not in taken]) for table in once]


def _chosen(sheet: Sheet, where: Mapping[str, str]) -> Sheet:
    """The rows that ``--where`` selects."""
    rows = list(zip(sheet.rows, sheet.lines, strict=True))
    _check_columns(where, sheet.header, f"{sheet.name}: --where", "column")
    for column, value in where.items():
        place = sheet.header.index(column)
        there = dict.fromkeys(row[place] for row, _ in rows)
        rows = [(row, line) for row, line in rows if row[place] == value]
        if not rows:
            raise UnknownName(value, there, kind=f"row whose {column!r} is", where=f"{sheet.name}: --where")
    return replace(sheet, rows=tuple(row for row, _ in rows), lines=tuple(line for _, line in rows))


def _by_series(sheet: Sheet, columns: str, time: str | None) -> Sheet:
    """A long table as one with a column for each combination of entries of some, and a row for each time.

    ``columns`` are names with commas between them, in quotation marks where they have one. ``time`` names the column of
    times, None to guess it. Of several numbers of one series at one time each has a row.

    Raises
    ------
    UnknownName, UnusableInput
        For a column that there is not, and where another one tells numbers of one series and time apart.
    """
    by = [name.strip() for name in next(csv.reader([columns], skipinitialspace=True))]
    _check_columns(by, sheet.header, f"{sheet.name}: --series-by", "column")
    times = time_columns(sheet, time, by)
    values = [name for name in sheet.header if name not in (*by, *times) and sheet.has_numbers(name)]
    if not values:
        raise UnusableInput(f"no column beside {', '.join((*times, *by))} has numbers", where=sheet.name)
    named = [name for name in values if len(values) > 1 or not _SAY_NOTHING & set(words(name))]
    place = {name: i for i, name in enumerate(sheet.header)}
    slots: dict[tuple[tuple[str, ...], int], tuple[int, dict[str, str]]] = {}
    n_seen = Counter[tuple[tuple[str, ...], tuple[str, ...]]]()
    for row, line in zip(sheet.rows, sheet.lines, strict=True):
        when, case = (tuple(row[place[name]] for name in names) for names in (times, by))
        cells = slots.setdefault((when, n_seen[when, case]), (line, {}))[1]
        n_seen[when, case] += 1
        cells |= {" ".join((*case, name) if name in named else case): row[place[name]] for name in values}
    if max(n_seen.values()) > 1 and (further := cases_of(sheet, times[0], by)):
        use = f"--series-by {','.join((columns, *further))}"
        raise UnusableInput(f"{', '.join(further)} tells numbers of one series apart: {use}", where=sheet.name)
    header = tuple(dict.fromkeys(column for _, cells in slots.values() for column in cells))
    rows = tuple((*when, *(cells.get(name, "") for name in header)) for (when, _), (_, cells) in slots.items())
    return replace(sheet, header=(*times, *header), rows=rows, lines=tuple(line for line, _ in slots.values()))


def _spread(sheet: Sheet, values: Mapping[str, str]) -> dict[str, str]:
    """The variables that are told of columns, with a pattern such as ``* sales`` spread over the columns it fits."""
    fitting = {name: [name] if name in sheet.header else fnmatch.filter(sheet.header, name) for name in values}
    return {column: variable for name, variable in values.items() for column in fitting[name] or [name]}


def _check_columns(
    chosen: Collection[str], columns: Sequence[str], where: str, kind: str = "column with numbers"
) -> None:
    """Complain of a column of the user's that is none of those that may be."""
    for column in chosen:
        if column not in columns:
            raise UnknownName(column, columns, kind=kind, where=where)


def _check_inputs(model: Model, matched: Sequence[Match], columns: Sequence[str]) -> None:
    """Complain of data variables that no column and no file has values for."""
    driven = {match.variable.name for match in matched}
    lacking = [variable.label for variable in model.series if lacks_data(variable) and variable.name not in driven]
    if lacking:
        free = [column for column in columns if column not in [match.column for match in matched]] or ["COLUMN"]
        column = max(free, key=lambda column: likeness(column, lacking[0]))
        column = column if likeness(column, lacking[0]) else "COLUMN"
        raise UnusableInput(
            f"no equation and no data: {', '.join(lacking)}; say which column has the values, such as "
            f'--value "{column}={lacking[0]}", or bring them with --series FILE',
            where=model.name,
        )


def _by_letters(column: str, label: str) -> float:
    mine, theirs = column.casefold(), label.casefold()
    return difflib.SequenceMatcher(None, mine, theirs).ratio() + 0.01 * (mine[:1] == theirs[:1])


def _matched(model: Model, sheet: Sheet, columns: Sequence[str], chosen: Mapping[str, str], role: _Role) -> list[Match]:
    """The matches of a table, of which there is one at least; of the first one of them is an observation."""
    inputs = role == "inputs"
    _check_columns(chosen, columns, f"{sheet.name}: --value")
    matched = matches(model, columns, chosen, inputs=inputs)
    matched = [match for match in matched if not inputs or match.is_input]
    if any(role != "first" or not match.is_input for match in matched):
        return matched
    taken, driven = [match.column for match in matched], [match.variable.name for match in matched]
    free = [column for column in columns if column not in taken]
    if not free:
        raise UnusableInput(f"no column beside the times has numbers: {', '.join(sheet.header)}", where=sheet.name)
    labels = {v.label: isinstance(v, Stock) for v in observable(model) if isinstance(v, DataVariable) == inputs}
    # no name is like: what is counted is a stock more often than a flow, and an example has to name one
    pairs = [(column, label) for column in free for label in labels or ("variable",)]
    column, label = max(pairs, key=lambda pair: (labels.get(pair[1], False), likeness(*pair), _by_letters(*pair)))
    names = [variable.label for variable in observable(model) if variable.name not in driven]
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    raise CiparkError(
        f"{sheet.name}: no column sounds like a variable of {model.name}; say which is which, such as "
        f'--value "{column}={label}"\n'
        f"  columns with numbers: {', '.join(free)}\n  variables: {shown}"
    )


def _series(
    model: Model, table: _Table, request: Request, timing: Clock | None = None, *, later: bool = False
) -> tuple[tuple[Series, ...], Clock]:
    """The columns of a table as observations and inputs; ``timing`` is the clock of the data for another table."""
    sheet, axis, problems = table.sheet, table.axis, list[CiparkError]()
    read = [
        collected(problems, partial(reading, sheet, axis, match, request.scale.get(match.column, 1.0)))
        for match in table.matched
    ]
    raise_all(sheet.name, problems)
    if request.level_at is not None and axis.days:
        expected = f"nothing: {axis.column!r} holds days, which are the time points of levels"
        raise InvalidValue("--level-at", request.level_at, expected, where="new-study")
    moving, counts = flows(model), model_unit(model, request.unit)
    parts: list[tuple[Reading, Shape, Axis, Point | None]] = []
    for data in filter(None, read):
        column, window = data.match.column, request.window.get(data.match.column)
        kind = shape(data, model, moving, holds=window is not None)
        if window is not None and kind != "flow":
            read_as = "a level" if kind == "level" else "a growing count"
            expected = f"a column of what flows; {column!r} is read as {read_as}"
            raise InvalidValue("--window", f"{column}={window}", expected, where="new-study")
        # of what does not flow the times alone say the period
        span = windowed(axis, column if kind == "flow" else "", counts, window)
        points = (point_in(text, span.period) for text in (column, f"{axis.column}\n{sheet.around}"))
        parts.append((data, kind, span, request.level_at or next(filter(None, points), None)))
    if timing is None or not axis.dated:
        # what drives the model does not say where its run starts
        observed = [(kind, point(axis, kind, at)) for data, kind, _, at in parts if not data.match.is_input]
        windows = later or any(kind == "flow" or at not in (None, "end") for kind, at in observed)
        timing = clock(model, axis, request.unit, request.origin, windows=windows)
    elif timing.calendar is None:
        expected = "numbers, as the times of the data are, or dates in both tables"
        raise InvalidValue(axis.column, axis.texts[0], expected, where=sheet.name)
    made = []
    for data, kind, span, at in parts:
        initial = -math.inf if data.match.is_input else model.time.initial
        made.append(series(data, kind, span, timing, initial, at, moving.get(data.match.variable.name, "")))
    return tuple(made), timing


def _write(draft: Path, request: Request, model: Model, study: NewStudy) -> None:
    """All files of a study."""
    model_file, data = request.files
    originals = (data, *request.further)
    for table in originals:
        copy(table, draft / "data" / "original" / table.name)
    series = bring(draft, model_file, model, request.series)
    files = {text.table_file(part): text.table(part) for part in (*study.series, *study.inputs)}
    title = draft.name
    span = [] if request.step is None else [f"step = {plain(request.step)}"]
    span += [] if request.method is None else [f"method = {toml(request.method)}"]
    span += [f"series = [{', '.join(map(toml, series))}]"] if series else []
    if study.end > model.time.final:
        step = model.time.step if math.isfinite(model.time.step) else 1.0
        end = model.time.initial + step * math.ceil((study.end - model.time.initial) / step - 1e-9)
        ends = f"the file's run ends at {plain(model.time.final)}, before the last row"
        span.append(f"to = {plain(end)} # {ends}")
    files |= {
        FILE: text.problem(study, title, model_file.name, span, request.estimate),
        "policies.toml": text.policies(study, title, model),
        "sensitivity.toml": text.sensitivity(study, model),
        "README.md": text.readme(study, title, model, ", ".join(path.name for path in originals)),
    }
    for name, content in files.items():
        if content:
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(content, encoding="utf-8")
