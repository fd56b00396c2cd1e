"""A study from a model and a table: what ``cipark new-study MODEL DATA.csv`` does.

Or one for another case of a model that comes with the package, ``cipark new-study --from great_stone``. The copy runs
as it stands, with the rows of the first case as examples; each table says so in its first lines, which the reader of
tables skips.
"""

import fnmatch
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.likelihood.posterior import Posterior, posterior
from calibration.new_study import text
from calibration.new_study.clock import Clock, Window, calendar_years, clock, model_unit, windowed
from calibration.new_study.columns import Axis, plain, read_axis
from calibration.new_study.dates import point_in
from calibration.new_study.long_tables import by_series
from calibration.new_study.matching import Match, flows, lacks_data, likeness, matches, observable
from calibration.new_study.parameters import Guess, fixed_by, roles, view, with_stated
from calibration.new_study.request import Request
from calibration.new_study.series import Reading, Series, Shape, check_scales, point, reading, series, shape
from calibration.new_study.table import Sheet, is_dated_table, is_missing, read_sheet, without_footer
from calibration.new_study.text import NewStudy, toml
from calibration.study import FILE, shipped_studies
from calibration.study.constants import beside_equations, reaching
from calibration.study.problem import read_problem
from calibration.study.rows import table_folder
from cipark_sd.analysis.study import find_folder
from cipark_sd.base.errors import CiparkError, InvalidValue, UnknownName, UnusableInput, collected, raise_all
from cipark_sd.base.files import draft_of
from cipark_sd.base.inputs import TABLE_LIMIT, beneath, check_own, parsed_toml, read_text, toml_text
from cipark_sd.base.library import bundled
from cipark_sd.base.section import Section
from cipark_sd.base.wording import TimeUnit
from cipark_sd.commands.options import split_names
from cipark_sd.engines.registry import choose
from cipark_sd.language.read.external_files import external_names
from cipark_sd.language.read.model_file import read_model
from cipark_sd.model.expr import Ref
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Series as DataVariable
from cipark_sd.model.variables import Stock

#: Files beside a model that belong to it.
COMPANIONS = (".checks.toml", ".display.toml", ".loops.toml")
_SEED = 1
#: Files of a study that are copied where they are there, in the order in which a reader meets them.
_PARTS = ("policies.toml", "sensitivity.toml")


def new_study(request: Request) -> NewStudy:
    """Read both, guess, write the folder and read it back; nothing is left half-written.

    Raises
    ------
    CiparkError
        Of a kind for each thing that is wrong with the model, the table or a name.
    """
    check_free(request.folder, force=request.force)
    for option, paths in (("--series", request.series), ("DATA", (*request.files[1:], *request.further))):
        if len({path.name for path in paths}) < len(paths):
            names, expected = ", ".join(path.name for path in paths), "files of different names, since copies are kept"
            raise InvalidValue(option, names, expected, where="new-study")
    model_file, data = request.files
    dated = [path for path in request.series if is_dated_table(path)]
    request = replace(request, series=tuple(path for path in request.series if path not in dated))
    model = read_model(model_file, allow_files=request.allow_files, series=request.series)
    beside = [_table(model, path, request, "inputs") for path in dated]
    beside += [_table(model, path, request, "further") for path in request.further]
    elsewhere = [match.column for table in beside for match in table.matched]
    tables = _once([_table(model, data, request, "first", elsewhere), *beside], request.values)
    matched = [match for table in tables for match in table.matched]
    columns = [name for table in tables for name in (*table.unused, *(match.column for match in table.matched))]
    for option, choices in (("--scale", request.scale), ("--window", request.window)):
        for column in choices:
            if column not in columns:
                raise UnknownName(column, columns, kind="column with numbers", where=f"{data.name}: {option}")
    _check_inputs(model, matched, columns)
    observed = tuple(match.variable.name for match in matched if not isinstance(match.variable, DataVariable))
    options = Guess(model, observed, request.estimate, request.prior_width).candidates()
    request = replace(request, priors=fixed_by(options, split_names(request.fix), model.name) | dict(request.priors))
    options = with_stated(options, request.priors, model.name)
    study = NewStudy(
        folder=request.folder,
        axis=tables[0].axis,
        candidates=tuple(options),
        ignored=tuple(name for table in tables for name in table.unused),
        beside=tuple(beside_equations(model, reaching(model, observed))),
    )

    def read(request: Request, *, later: bool = False) -> NewStudy:
        series, timing = _series(model, tables[0], request, later=later)
        parts = [*series, *(part for table in tables[1:] for part in _series(model, table, request, timing)[0])]
        observed_parts, driving = (tuple(p for p in parts if p.is_input == is_input) for is_input in (False, True))
        return replace(study, series=observed_parts, clock=timing, inputs=driving)

    with draft_of(request.folder) as draft:
        study = read(request)
        density = _density(draft, request, model, study)
        factors, notes = check_scales(density, study.series, request.scale)
        study = replace(study, notes=(*(note for table in tables for note in table.notes), *notes))
        if factors:
            request = replace(request, scale={**request.scale, **factors})
            study = read(request)
            density = _density(draft, request, model, study)
        strengths, possible = view(density, np.random.default_rng(_SEED))
        if not possible:
            # a stock may start at nothing: the first number then belongs to the next instant
            moved = read(request, later=True)
            of_moved, possible = view(_density(draft, request, model, moved), np.random.default_rng(_SEED))
            strengths, study = (of_moved, moved) if possible else (strengths, study)
        candidates = with_stated(roles(options, strengths), request.priors, model.name)
        study = replace(study, candidates=tuple(candidates), possible=possible)
        _write(draft, request, model, study)
        read_problem(draft, allow_files=request.allow_files)
        move_into(draft, request.folder)
    return study


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
        sheet = by_series(sheet, request.series_by, request.time)
    values = _spread(sheet, request.values)
    named = {name: values[name] for name in values if name in sheet.header or (first and name not in elsewhere)}
    time = request.time if first or request.time in sheet.header else None
    axis = read_axis(sheet, time, request.dates, tuple(named), None if role == "inputs" else request.until)
    axis = calendar_years(axis, model, request.unit)
    columns = [name for name in sheet.header if name not in (axis.column, axis.started) and sheet.has_numbers(name)]
    matched = _matched(model, sheet, columns, named, role)
    n_timeless = sum(map(is_missing, sheet.column(axis.column)))
    n_late = len(sheet.rows) - n_timeless - len(axis.rows)
    late = f"{n_late} row{'s' * (n_late > 1)} after --until {request.until}: left out" if n_late else ""
    timeless = f"{n_timeless} row{'s' * (n_timeless > 1)} without a time: left out" if n_timeless else ""
    notes = tuple(filter(None, (below, late, timeless, *axis.notes())))
    return _Table(sheet, axis, matched, () if role == "inputs" else columns, notes)


def _density(draft: Path, request: Request, model: Model, study: NewStudy) -> Posterior:
    """The log density of a draft, which is written first."""
    _write(draft, request, model, study)
    return posterior(read_problem(draft, allow_files=request.allow_files), choose("native"))


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


def check_free(folder: Path, *, force: bool) -> None:
    """Raise where files would be replaced that nobody said may be.

    Parameters
    ----------
    force : bool
        Whether the user has said so.

    Raises
    ------
    InvalidValue
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidValue("the folder", str(folder), "one that is not a file", where="-o")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        expected = "a new one; with --force the files of a study in it are replaced"
        raise InvalidValue("the folder", str(folder), expected, where="-o")


def move_into(draft: Path, folder: Path) -> None:
    """Put the files of a finished draft in place; what else is in the folder stays.

    Parameters
    ----------
    folder : Path
        Of the study.
    """
    if not folder.exists():
        draft.rename(folder)
        return
    shutil.copytree(draft, folder, dirs_exist_ok=True)


def _chosen(sheet: Sheet, where: Mapping[str, str]) -> Sheet:
    """The rows that ``--where`` selects."""
    rows = list(zip(sheet.rows, sheet.lines, strict=True))
    for column, value in where.items():
        if column not in sheet.header:
            raise UnknownName(column, sheet.header, kind="column", where=f"{sheet.name}: --where")
        place = sheet.header.index(column)
        there = dict.fromkeys(row[place] for row, _ in rows)
        rows = [(row, line) for row, line in rows if row[place] == value]
        if not rows:
            raise UnknownName(value, there, kind=f"row whose {column!r} is", where=f"{sheet.name}: --where")
    return replace(sheet, rows=tuple(row for row, _ in rows), lines=tuple(line for _, line in rows))


def _spread(sheet: Sheet, values: Mapping[str, str]) -> dict[str, str]:
    """The variables that are told of columns, with a pattern such as ``* sales`` spread over the columns it fits."""
    fitting = {name: [name] if name in sheet.header else fnmatch.filter(sheet.header, name) for name in values}
    return {column: variable for name, variable in values.items() for column in fitting[name] or [name]}


def _check_inputs(model: Model, matched: Sequence[Match], columns: Sequence[str]) -> None:
    """Complain of data variables that no column and no file has values for."""
    driven = {match.variable.name for match in matched}
    lacking = [variable.label for variable in model.series if lacks_data(variable) and variable.name not in driven]
    if lacking:
        free = [column for column in columns if column not in [match.column for match in matched]] or ["COLUMN"]
        column = max(free, key=lambda column: likeness(column, lacking[0]))
        raise UnusableInput(
            f"no equation and no data: {', '.join(lacking)}; say which column has the values, such as "
            f'--value "{column}={lacking[0]}", or bring them with --series FILE',
            where=model.name,
        )


def _matched(model: Model, sheet: Sheet, columns: Sequence[str], chosen: Mapping[str, str], role: _Role) -> list[Match]:
    """The matches of a table, of which there is one at least; of the first one of them is an observation."""
    inputs = role == "inputs"
    for column in chosen:
        if column not in sheet.header:
            raise UnknownName(column, sheet.header, kind="column", where=f"{sheet.name}: --value")
        if column not in columns:
            raise InvalidValue("the column", column, "one with numbers", where=f"{sheet.name}: --value")
    matched = matches(model, columns, chosen, inputs=inputs)
    matched = [match for match in matched if not inputs or isinstance(match.variable, DataVariable)]
    if any(role != "first" or not isinstance(match.variable, DataVariable) for match in matched):
        return matched
    free = [column for column in columns if column not in [match.column for match in matched]]
    if not free:
        raise UnusableInput(f"no column beside the times has numbers: {', '.join(sheet.header)}", where=sheet.name)
    labels = {v.label: isinstance(v, Stock) for v in observable(model) if isinstance(v, DataVariable) == inputs}
    # no name is like: what is counted is a stock more often than a flow
    column, label = max(
        ((column, label) for column in free for label in labels or ("variable",)),
        key=lambda pair: (labels.get(pair[1], False), likeness(*pair)),
    )
    driven = [match.variable.name for match in matched]
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
    problems: list[CiparkError] = []
    sheet, axis = table.sheet, table.axis

    def numbers_of(match: Match) -> Reading | None:
        return collected(problems, lambda: reading(sheet, axis, match, request.scale.get(match.column, 1.0)))

    readings = [data for data in map(numbers_of, table.matched) if data is not None]
    raise_all(sheet.name, problems)
    moving = flows(model)
    shapes = [shape(data, model, moving, holds=data.match.column in request.window) for data in readings]
    if request.level_at is not None and axis.days:
        expected = f"nothing: {axis.column!r} holds days, which are the time points of levels"
        raise InvalidValue("--level-at", request.level_at, expected, where="new-study")
    counts = model_unit(model, request.unit)
    spans = [_span_of(axis, data, kind, counts, request.window) for data, kind in zip(readings, shapes, strict=True)]
    around = [request.level_at or point_in(f"{axis.column}\n{sheet.around}", span.period) for span in spans]
    stated = [
        request.level_at or point_in(data.match.column, span.period) or at
        for data, span, at in zip(readings, spans, around, strict=True)
    ]
    parts = list(zip(readings, shapes, spans, stated, strict=True))
    if timing is None or not axis.dated:
        # what drives the model does not say where its run starts
        observed = [(kind, point(axis, kind, at)) for data, kind, _, at in parts if not data.is_input]
        windows = later or any(kind == "flow" or at not in (None, "end") for kind, at in observed)
        timing = clock(model, axis, request.unit, request.origin, windows=windows)
    elif timing.calendar is None:
        expected = "numbers, as the times of the data are, or dates in both tables"
        raise InvalidValue(axis.column, axis.texts[0], expected, where=sheet.name)
    initial = model.time.initial
    read = (
        series(data, kind, span, timing, -np.inf if data.is_input else initial, at) for data, kind, span, at in parts
    )
    return tuple(replace(part, unit=moving.get(part.match.variable.name, "")) for part in read), timing


def _span_of(axis: Axis, data: Reading, kind: Shape, counts: TimeUnit | None, chosen: Mapping[str, Window]) -> Axis:
    """The axis with the windows of one column; of what does not flow the times alone say the period."""
    column = data.match.column
    if kind == "flow":
        return windowed(axis, column, counts, chosen.get(column))
    if column in chosen:
        expected = (
            f"a column of what flows; {column!r} is read as {'a level' if kind == 'level' else 'a growing count'}"
        )
        raise InvalidValue("--window", f"{column}={chosen[column]}", expected, where="new-study")
    return windowed(axis, "", counts, None)


def _write(draft: Path, request: Request, model: Model, study: NewStudy) -> None:
    """All files of a study."""
    model_file, data = request.files
    original = draft / "data" / "original"
    original.mkdir(parents=True, exist_ok=True)
    for table in (data, *request.further):
        shutil.copyfile(table, original / table.name)
    stem = model_file.with_suffix("")
    for path in (model_file, *(stem.with_name(stem.name + ending) for ending in COMPANIONS)):
        if path.is_file():
            if path != model_file:
                check_own(path)
            shutil.copyfile(path, draft / path.name)
    series = [f"data/series/{path.name}" for path in request.series]
    for path, name in zip(request.series, series, strict=True):
        (draft / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, draft / name)
    for name in files_read(model):
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model_file.parent / name, draft / name)
    for part in (*study.series, *study.inputs):
        (draft / text.table_file(part)).parent.mkdir(exist_ok=True)
        (draft / text.table_file(part)).write_text(text.table(part), encoding="utf-8")
    title = draft.name
    stepped = {} if request.step is None else {"step": plain(request.step)}
    stepped |= {} if request.method is None else {"method": toml(request.method)}
    span = [f"{key} = {value}" for key, value in stepped.items()]
    span += [*([f"series = [{', '.join(map(toml, series))}]"] if series else []), *_span(model, study.end)]
    files = {
        FILE: text.problem(study, title, model_file.name, span, request.estimate),
        "policies.toml": text.policies(study, title, model),
        "sensitivity.toml": text.sensitivity(study, model),
        "README.md": text.readme(study, title, model, ", ".join(path.name for path in (data, *request.further))),
    }
    for name, content in files.items():
        if content is not None:
            (draft / name).write_text(content, encoding="utf-8")


def files_read(model: Model) -> tuple[str, ...]:
    """Files beside or below a model that it names; those elsewhere stay where they are."""
    assert model.origin is not None
    folder = model.origin.path.parent
    named = external_names(model)
    near = [name for name in named if not Path(name).is_absolute() and ".." not in Path(name).parts]
    return tuple(name for name in near if (folder / name).is_file())


def _span(model: Model, last: float) -> list[str]:
    """What ``[model]`` has to say of the run's end, where the last row comes after it."""
    if last <= model.time.final:
        return []
    step = model.time.step if np.isfinite(model.time.step) else 1.0
    end = model.time.initial + step * np.ceil((last - model.time.initial) / step - 1e-9)
    return [f"to = {plain(float(end))} # the file's run ends at {plain(model.time.final)}, before the last row"]


def from_template(name: str, output: Path | None, *, force: bool, allow_files: Sequence[Path] = ()) -> list[str]:
    """Write the copy and return what to tell the user.

    Nothing is written outside the new folder, whatever the study names.

    Parameters
    ----------
    name : str
        Of a study that comes with the package.
    output : Path, optional
        None for ``my_`` and the name.
    force : bool
        Whether files of a study that is there may be replaced.
    allow_files : sequence of Path
        Folders beneath which its files may lie as well.

    Returns
    -------
    list of str
        Lines.

    Raises
    ------
    UnknownName, InvalidValue, OutsideFolder, Problems
    """
    source = find_folder(name, file=FILE, where="new-study --from")
    if not (source / FILE).is_file():
        raise UnknownName(name, tuple(shipped_studies()), kind=f"study with {FILE}", where="new-study --from")
    folder = output or Path("my_" + source.resolve().name)
    check_free(folder, force=force)
    with draft_of(folder) as draft:
        draft.mkdir()
        # what is wrong with it is told before anything is copied
        read_problem(source, allow_files=allow_files)
        tables = _copied(source, draft, allow_files)
        read_problem(draft, allow_files=allow_files)
        (draft / "README.md").write_text(
            text.page("readme_of_copy.md", name=draft.name, source=source.name), encoding="utf-8"
        )
        move_into(draft, folder)
    return [
        f"{folder}: the study {source.name} with its rows as examples ({', '.join(tables)})",
        f"Replace them in the order that {folder / 'README.md'} gives; it runs unchanged:",
        f"  cipark calibrate {folder} --fast",
    ]


def _copied(source: Path, draft: Path, allow_files: Sequence[Path]) -> list[str]:
    """Model, tables and TOML files; the names of the tables, as the study spells them."""
    text = toml_text(source / FILE)
    content = parsed_toml(text, source / FILE)
    model = content.get("model", {})
    where = str(source / FILE)
    path = bundled(model["bundled"]) if "bundled" in model else beneath(source, model["file"], allow_files, where=where)
    for file in (path, *(path.with_suffix("").with_name(path.stem + ending) for ending in COMPANIONS)):
        if file.is_file():
            check_own(file)
            shutil.copyfile(file, draft / file.name)
    text = re.sub(r"^(bundled|file)\s*=.*$", f"file = {toml(path.name)}", text, count=1, flags=re.MULTILINE)
    title = f"{draft.name}: a copy of {source.name}, not yet adapted"
    text = re.sub(r"^title\s*=.*$", f"title = {toml(title)}", text, count=1, flags=re.MULTILINE)
    # a table of another study becomes one of the copy
    text = re.sub(r"^study\s*=.*\n", "", text, flags=re.MULTILINE)
    (draft / FILE).write_text(_note(source) + text, encoding="utf-8")
    pairs = dict.fromkeys(
        (o["table"], table_folder(Section(o, "", []), source) or source) for o in content["observation"]
    )
    tables = [table for table, _ in pairs]
    for table, home in pairs:
        if tables.count(table) > 1:
            raise InvalidValue("table", table, "a name that tables of two studies do not share", where=where)
        rows = read_text(beneath(home, table, allow_files, where=where), TABLE_LIMIT, encoding="utf-8-sig")
        target = beneath(draft, table, (), where=f"{where}, in the copy")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(f"# EXAMPLE ROWS of {source.name}: replace them, then delete this line.\n{rows}", "utf-8")
    for part in _PARTS:
        if (source / part).is_file():
            (draft / part).write_text(_note(source) + toml_text(source / part), encoding="utf-8")
    return tables


def _note(source: Path) -> str:
    return (
        f"# A copy of the study {source.name}. Where a reason or a source is given (`why`, `source`), it is that of\n"
        f"# {source.name}: put your own in its place as you go through the file.\n\n"
    )
