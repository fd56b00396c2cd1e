"""``cipark run``: one run as a table, a figure and a file."""

import functools
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cipark_sd.base.console import Rows, busy, echo
from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import OUTPUT_FOLDER, output_folder
from cipark_sd.base.timegrid import model_time, nearest_indices
from cipark_sd.base.wording import grouped, labelled
from cipark_sd.commands import options
from cipark_sd.commands.options import command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.data.scenarios import Scenario, parse_assignments
from cipark_sd.model.model import Method, Model
from cipark_sd.model.variables import Variable

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from cipark_sd.pages.figures.observed import Display, Observed
    from cipark_sd.simulations.simulation import Course

#: The default table of a model that has no display file: so many columns and rows.
_COLUMNS, _ROWS = 7, 10
#: Calendar years: as the end of a run that counts time from elsewhere and would be so many times longer, one is a slip.
_YEARS, _TIMES_LONGER = (1500, 2500), 10


@dataclass(frozen=True)
class Request(options.OfModel):
    """What the command line asks for."""

    assignments: tuple[str, ...] = options.assignments("Set a constant, NAME[element] too.")
    scenario_files: tuple[Path, ...] = options.scenario_files("A scenario file (TOML, or Vensim's .cin or .out).")
    compared: tuple[Path, ...] = option(
        "--compare",
        multiple=True,
        metavar="FILE",
        type=options.PATH,
        help="Also run this scenario, on top of the others, and lay it over the first run; repeatable.",
    )
    start: str | None = option("--from", metavar="TIME", help="Initial time: a number, or a date for models in years.")
    end: str | None = option("--to", metavar="TIME", help="Final time.")
    step: float | None = option("--step", type=float, help="Time step.")
    save_every: float | None = option("--save-every", type=float, metavar="PERIOD", help="Save at this interval.")
    at: tuple[str, ...] = option(
        "--at", multiple=True, metavar="TIME", help="Print and save only this time; repeatable."
    )
    variables: tuple[str, ...] = options.variables("variables to print, plot and save")
    engine: str = options.engine()
    method: Method | None = options.method()
    output: Path | None = options.output("Save the run: FILE.nc, .csv or .xlsx.")
    figure_file: Path | None = option("--figure", type=options.PATH, help="Plot the run: .png, .svg or .pdf.")
    data: Path | None = option(
        "--data", type=options.PATH, help="Observed values to plot with the run: CSV with date,<variable>."
    )


@command_of(Request, short_help="Run a model and show the results.")
def command(request: Request) -> Result:
    """Run FILE (Vensim .mdl or XMILE), by default the park model, and print its time series.

    FILE may be the name of a model that comes with the package: core, the park's core model, or cipark.

    FILE's companion my.display.toml, if there is one, chooses what the table and the figure show. Later scenarios
    override earlier ones, and --set overrides both.

    \b
    Examples:
      cipark run
      cipark run core
      cipark run my.mdl --set "birth rate=0.02" --set "Pool[East]=4" -o out.nc
      cipark run my.xmile --scenario drought.toml --to 2050 --figure drought.svg
      cipark run my.mdl --compare drought.toml --compare flood.toml --figure three.svg
      cipark run my.mdl --series weather.tab
      cipark run my.mdl --data counts.csv --figure fit.png --variables "Population, births"
    """
    from cipark_sd.pages.figures.observed import display_of
    from cipark_sd.verify.remarks import remarks

    path, output, figure_file, at = request.path, request.output, request.figure_file, request.at
    model = request.model()
    display = display_of(path, request.allow_files)
    span = _span(model, request)
    scenario = scenario_from(model, request.assignments, request.scenario_files)
    scenarios = {name: chosen | span for name, chosen in _compared(model, scenario, request.compared).items()}
    for remark in dict.fromkeys(text for chosen in scenarios.values() for text in remarks(model, chosen)):
        echo(f"warning: {model.name}: {remark}", err=True)
    # single times make no course to be drawn
    if request.file is None and figure_file is None and not at:
        figure_file = OUTPUT_FOLDER / f"{model.name}.png"
    _check_outputs(output, figure_file, default=request.file is None)
    names = options.variable_names(model, request.variables)
    columns = names or display.columns or default_columns(model)
    drawn = names or display.variables or columns
    if request.data is not None and figure_file is None:
        raise UnusableInput("it is drawn in a figure, and none is asked for: add --figure FILE", where="--data")
    observed = _observed(model, display, request.data) if figure_file else ()
    save = None if output and not names else tuple(dict.fromkeys((*columns, *drawn)))
    times = [time_of(model, text, "--at") for text in at] or None
    run = partial(_runs, model, scenarios, engine=request.engine, method=request.method)
    with busy(f"Running {model.name}"):
        runs = run(save=save, times=times)
    observed = _inside(observed, _times(runs), explicit=request.data is not None)
    whole = runs
    if _broken(runs) and not (times is None and save is None):
        # it shows at other times, and in other variables, than where it began
        with busy("Looking for where it began"):
            whole = run(save=None, times=None)
    broken, lost = _broken(whole), any(run.ends_without_numbers for run in whole.values())
    if broken:
        message = f"error: {broken}, and has no number at the end of the run" if lost else f"warning: {broken}"
        echo(message, err=True)
    files = [str(path) for path in (output, figure_file) if path]
    if output:
        _save(runs, output)
    if figure_file:
        _draw(_joined(runs), drawn, observed, display.title, figure_file)
    table = _table(model, runs, columns, every=None if at else display.every, everything=bool(at))
    saved = [f"saved {path}" for path in files]
    return Result(_facts(model, runs, columns) | {"files": files}, 1 if lost else 0, [table, *saved])


def scenario_from(model: Model, assignments: Sequence[str], files: Sequence[Path]) -> Scenario:
    """The scenarios of files, later over earlier ones, and assignments over all of them.

    Parameters
    ----------
    model : Model
        Whose names the files have.
    assignments : sequence of str
        ``NAME=VALUE``.
    files : sequence of Path
        TOML, or Vensim's .cin or .out.
    """
    from cipark_sd.language.read.changes_files import as_scenario

    parts = [as_scenario(file, model) for file in files]
    return functools.reduce(operator.or_, parts, Scenario()) | parse_assignments(assignments)


def _span(model: Model, request: Request) -> Scenario:
    start = None if request.start is None else time_of(model, request.start, "--from")
    end = None if request.end is None else time_of(model, request.end, "--to")
    if request.end is not None and end is not None:
        _check_end(model, request.end, end)
    return Scenario(initial_time=start, final_time=end, time_step=request.step, saveper=request.save_every)


def _check_end(model: Model, text: str, end: float) -> None:
    """Refuse a year of the calendar as the end of a run that counts time from elsewhere.

    Raises
    ------
    InvalidValue
    """
    first, last = model.time.initial, model.time.final
    year = text.isdigit() and _YEARS[0] <= end <= _YEARS[1] and not _YEARS[0] <= first <= _YEARS[1]
    if year and end - first > _TIMES_LONGER * (last - first):
        units = model.time.units or "its own unit"
        expected = (
            f"a time of the model, which counts {units} and runs from {first:g} to {last:g}; {text}.0 is meant so"
        )
        raise InvalidValue("the time", text, expected, where="--to")


def _compared(model: Model, first: Scenario, files: Sequence[Path]) -> dict[str, Scenario]:
    """The first scenario and those on top of it by name; the first is called ``base`` where it has none."""
    from cipark_sd.language.read.changes_files import as_scenario

    scenarios = {first.name or "base": first}
    for file in files:
        variant = as_scenario(file, model)
        if variant.name in scenarios:
            raise InvalidValue("the scenario", variant.name, "each one once, with a name of its own", where="--compare")
        scenarios[variant.name] = first | variant
    return scenarios


def _runs(model: Model, scenarios: Mapping[str, Scenario], **options_: Any) -> "dict[str, Course]":
    """The runs by the names of their scenarios; all have the same saved times."""
    import numpy as np

    from cipark_sd.simulations.simulation import course

    runs = {name: course(model, scenario, **options_) for name, scenario in scenarios.items()}
    for name, run in runs.items():
        if not np.array_equal(run.times, _times(runs)):
            expected = "those of the other runs; --from, --to, --step and --save-every hold for all"
            raise InvalidValue("its saved times", name, expected, where="--compare")
    return runs


def _times(runs: "Mapping[str, Course]") -> "NDArray[np.float64]":
    return next(iter(runs.values())).times


def _joined(runs: "Mapping[str, Course]") -> "xr.Dataset":
    """One run as a Dataset, or several with a dimension ``scenario`` in front."""
    import xarray as xr

    made = [run.dataset() for run in runs.values()]
    if len(made) == 1:
        return made[0]
    joined = xr.concat(made, dim="scenario", combine_attrs="drop_conflicts", data_vars="all")
    joined = joined.assign_coords(scenario=list(runs)).assign_attrs(
        scenario=json.dumps(_settings(runs), ensure_ascii=False)
    )
    broken = _broken(runs)
    return joined.assign_attrs(first_non_finite=broken) if broken else joined


def _save(runs: "Mapping[str, Course]", path: Path) -> None:
    """Write runs to a file; of one run only a workbook needs a Dataset."""
    if len(runs) == 1 and path.suffix.lower() != ".xlsx":
        from cipark_sd.data.described import save as write_one

        write_one(*next(iter(runs.values())).content, path)
    else:
        from cipark_sd.data.results import save

        save(_joined(runs), path)


def _settings(runs: "Mapping[str, Course]") -> Any:
    """What the runs were given, by name where there are several."""
    settings = {name: json.loads(run.scenario.to_json()) for name, run in runs.items()}
    return settings if len(runs) > 1 else next(iter(settings.values()))


def _broken(runs: "Mapping[str, Course]") -> str:
    """Where runs first leave the numbers; empty when none does."""
    marks = {name: run.first_non_finite for name, run in runs.items() if run.first_non_finite}
    return "; ".join(f"{name}: {mark}" if len(runs) > 1 else mark for name, mark in marks.items())


def _facts(model: Model, runs: "Mapping[str, Course]", columns: Sequence[str]) -> dict[str, object]:
    """The courses that the table shows, at all times that were saved."""
    first = next(iter(runs.values()))
    facts = {"model": model.name, "model_digest": model.digest, "scenario": _settings(runs)}
    facts |= {"engine": first.engine, "integration_method": first.method, "time_step": first.time_step}
    courses = {head: {"units": units, "values": values} for head, units, values in _courses(model, runs, columns)}
    return facts | {"time": first.times, "variables": courses, "first_non_finite": _broken(runs) or None}


def time_of(model: Model, text: str, where: str) -> float:
    """A time that somebody typed.

    Parameters
    ----------
    model : Model
        Of whose unit of time a number is; a date is read where that is years.
    where : str
        The option, for the message.

    Returns
    -------
    float
        In the model's unit of time.

    Raises
    ------
    InvalidValue
    """
    try:
        return model_time(text, model.time.units)
    except ValueError:
        dates = model.time.units.lower().startswith("year")
        expected = (
            "a number or a date such as 2019-12-31" if dates else f"a number of {model.time.units or 'time units'}"
        )
        raise InvalidValue("the time", text, expected, where=where) from None


def _check_outputs(output: Path | None, figure_file: Path | None, *, default: bool) -> None:
    """Complain about files that cannot be written before the run, not after it."""
    if output:
        from cipark_sd.data.described import SUFFIXES, check_writable

        check_writable(output, endings=SUFFIXES, where="--output")
    if figure_file:
        from cipark_sd.pages.figures.files import check_figure_path

        if default and figure_file.parent == OUTPUT_FOLDER:
            output_folder(OUTPUT_FOLDER, where="--figure")
        check_figure_path(figure_file)


def default_columns(model: Model) -> tuple[str, ...]:
    """A few stocks, those without subscripts first; auxiliaries of a model that has no stock."""
    candidates: tuple[Variable, ...] = model.stocks or model.auxiliaries or model.series
    scalar_first = sorted(candidates, key=lambda variable: bool(variable.dims))
    columns: list[str] = []
    width = 0
    for variable in scalar_first:
        width += model.n_elements(variable)
        if columns and width > _COLUMNS:
            break
        columns.append(variable.label)
    if not columns:
        raise InvalidValue("its variables", [], "at least one stock or auxiliary", where=model.name)
    return tuple(columns)


def _observed(model: Model, display: "Display", data: Path | None) -> "tuple[Observed, ...]":
    from cipark_sd.pages.figures.observed import read_observed

    return read_observed(model, data) if data else display.observed(model)


def _table(
    model: Model, runs: "Mapping[str, Course]", columns: Sequence[str], *, every: float | None, everything: bool
) -> Rows:
    import numpy as np

    times = _times(runs)
    rows: Iterable[int] = range(len(times))
    # each once by a set: numpy.unique loads the masked arrays
    if not everything and not every:
        rows = set(np.linspace(0, len(times) - 1, _ROWS + 1).round().astype(int).tolist())
    elif every and (n_rows := (times[-1] - times[0]) / every + 1.5) < len(times):
        # a rhythm shorter than that of the saved times is theirs
        rows = set(nearest_indices(times, times[0] + every * np.arange(int(n_rows))).tolist())
    courses = list(_courses(model, runs, columns))
    heads = [labelled("Time", model.time.units), *(labelled(head, units) for head, units, _ in courses)]
    # the model's own time, as --at and a file of the run have it
    body = [[f"{times[row]:.10g}", *(grouped(float(values[row])) for _, _, values in courses)] for row in sorted(rows)]
    return Rows(heads, body, right=range(len(heads)))


def _courses(
    model: Model, runs: "Mapping[str, Course]", columns: Sequence[str]
) -> "Iterator[tuple[str, str, NDArray[np.float64]]]":
    """Head, units and values of each column: one for each element, and for each scenario where there are several."""
    for name in columns:
        variable = model[name]
        for position, element in enumerate(model.elements(variable)):
            head = model.label(variable.name, element)
            for scenario, run in runs.items():
                values = run.values[variable.name].reshape(len(run.times), -1)
                yield head + (f", {scenario}" if len(runs) > 1 else ""), variable.units, values[:, position]


def _inside(observed: "Sequence[Observed]", times: "NDArray[np.float64]", *, explicit: bool) -> "tuple[Observed, ...]":
    """The observed values within the run; the others are counted, and it is an error when all that were asked for are
    among them.
    """
    first, last = float(times[0]), float(times[-1])
    inside = tuple(series.within(first, last) for series in observed)
    outside = sum(len(series.times) for series in observed) - sum(len(series.times) for series in inside)
    if explicit and outside and not any(len(series.times) for series in inside):
        span = (
            f"{min(series.times[0] for series in observed):.6g} to {max(series.times[-1] for series in observed):.6g}"
        )
        expected = f"some between {first:g} and {last:g}, the span of the run"
        raise InvalidValue("the observed times", span, expected, where="--data")
    if outside:
        echo(f"note: {outside} observed values lie outside the run and are not drawn", err=True)
    return inside


def _draw(result: "xr.Dataset", names: Sequence[str], observed: "Sequence[Observed]", title: str, path: Path) -> None:
    from cipark_sd.pages.figures.files import save_figure
    from cipark_sd.pages.figures.runs import plot_run

    save_figure(plot_run(result, names, observed, title=title), path)
