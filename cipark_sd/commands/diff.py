"""``cipark diff``: what changed between two models, and what that does to their outputs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cipark_sd.base.console import Printable, Rows, busy
from cipark_sd.base.errors import CiparkError, collected, raise_all
from cipark_sd.base.naming import base_name
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.result import Result
from cipark_sd.model.model import Model
from cipark_sd.model.variables import Variable, kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    before: Path | Model = argument(shell_complete=completing.models, type=options.MODEL)
    after: Path | Model = argument(shell_complete=completing.models, type=options.MODEL)
    variables: tuple[str, ...] = options.variables("outputs to compare (default: the stocks)")
    figure_file: Path | None = option("--figure", type=options.PATH, help="Plot what differs: .png, .svg or .pdf.")
    series: tuple[Path, ...] = options.series()
    allow_files: tuple[Path, ...] = options.allow_files()


@command_of(Request, short_help="Compare two models: equations, and what they do to the outputs.")
def command(request: Request) -> Result:
    """Compare BEFORE and AFTER (Vensim .mdl or XMILE): variables, equations, units, and the runs of both.

    Variables are the same where their names are; one that was renamed is a variable that went and one that came.

    The exit code is 0 where nothing differs, 1 where something does, 2 when the input is not understood.

    \b
    Examples:
      cipark diff old.mdl new.mdl
      cipark diff core my_core.mdl --variables "Residents" --figure residents.svg
    """
    from cipark_sd.pages.figures.files import check_figure_path

    if request.figure_file:
        check_figure_path(request.figure_file)
    problems: list[CiparkError] = []
    inputs = [options.OfModel(file, request.series, request.allow_files) for file in (request.before, request.after)]
    paths = [of.path for of in inputs]
    before, after = (collected(problems, of.model) for of in inputs)
    raise_all("cipark diff", problems)
    assert before is not None
    assert after is not None
    changes = list(changed(before, after))
    rows = [list(change.values()) for change in changes]
    heads = ("variable", "what", *map(str, paths))
    printed: list[str | Printable] = ["The variables, equations and units are the same."]
    if rows:
        printed = [Rows(heads, rows, right=())]
    names = options.variable_names(after, request.variables) or tuple(
        stock.label for stock in after.stocks if stock.name in before.by_name
    )
    with busy("Running both"):
        outputs = dict(moved(before, after, names))
    if outputs:
        heads = ("output", "last before", "last after", "largest difference", "at", "first at")
        shown = [[name, *(f"{value:.6g}" for value in numbers.values())] for name, numbers in outputs.items()]
        printed += ["", Rows(heads, shown)]
    printed.append(f"{len(changes)} changes; {len(outputs)} of {len(names)} outputs differ in the runs")
    facts: dict[str, object] = {
        "changes": changes,
        "outputs": [{"name": name, **numbers} for name, numbers in outputs.items()],
    }
    if request.figure_file and outputs:
        facts["figure"] = _draw(dict(zip(map(str, paths), (before, after), strict=True)), outputs, request.figure_file)
        printed.append(f"saved {request.figure_file}")
    return Result({"before": before.digest, "after": after.digest, **facts}, int(bool(changes or outputs)), printed)


def changed(before: Model, after: Model) -> Iterator[dict[str, str]]:
    """What differs between the variables of two models.

    Yields
    ------
    dict of str to str
        ``name``, ``field``, ``before``, ``after``; in the order of the second model, what went last.
    """
    for variable in after.variables:
        old = before.by_name.get(variable.name)
        if old is None:
            yield _change(variable.label, "new", "", _equation(after, variable))
            continue
        facts = (_facts(before, old), _facts(after, variable))
        for field in facts[0]:
            if facts[0][field] != facts[1][field]:
                yield _change(variable.label, field, facts[0][field], facts[1][field])
    for variable in before.variables:
        if variable.name not in after.by_name:
            yield _change(variable.label, "gone", _equation(before, variable), "")


def _change(name: str, field: str, before: str, after: str) -> dict[str, str]:
    return {"name": name, "field": field, "before": before, "after": after}


def moved(before: Model, after: Model, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, float]]]:
    """The outputs of the second model whose courses differ from those of the first at the times that both save.

    Parameters
    ----------
    names : tuple of str
        Variables of the second model.

    Yields
    ------
    (str, dict of str to float)
        The label of an output; its last values in both, the largest difference with its time, and when they first part.

    Raises
    ------
    UnknownName
    RunFailed, UnsupportedFeature, MissingData, Problems
        Where one of the models cannot be run.
    """
    import numpy as np

    if not names:
        return
    courses = [_courses(model, names) for model in (before, after)]
    (first_times, _), (later_times, _) = courses
    common = first_times[np.isin(first_times, later_times)]
    if not len(common):
        return
    places = [np.searchsorted(times, common) for times in (first_times, later_times)]
    for label in courses[1][1]:
        if label not in courses[0][1]:
            continue
        old, new = (course[1][label][place] for course, place in zip(courses, places, strict=True))
        differ = ~((old == new) | (np.isnan(old) & np.isnan(new)))
        if differ.any():
            # a number against none is the largest of differences
            apart = np.where(differ, np.nan_to_num(np.abs(new - old), nan=np.inf), 0.0)
            top = int(apart.argmax())
            first = float(common[differ.argmax()])
            ends = {"last_before": float(old[-1]), "last_after": float(new[-1])}
            yield label, {**ends, "largest": float(apart[top]), "at": float(common[top]), "first": first}


def _draw(models: Mapping[str, Model], outputs: Iterable[str], path: Path) -> Path:
    """Both runs of what differs, at the times that both save."""
    import xarray as xr

    from cipark_sd.pages.figures.files import save_figure
    from cipark_sd.pages.figures.runs import plot_run
    from cipark_sd.simulations.simulation import simulate

    names = list(dict.fromkeys(base_name(name) for name in outputs))
    runs = [simulate(model, save=names, engine="native") for model in models.values()]
    joined = xr.concat(runs, dim="scenario", join="inner", combine_attrs="drop_conflicts", data_vars="all")
    joined = joined.assign_coords(scenario=list(models))
    save_figure(plot_run(joined, names, caption=""), path)
    return path


def _courses(model: Model, names: tuple[str, ...]) -> "tuple[NDArray[np.float64], Mapping[str, NDArray[np.float64]]]":
    from cipark_sd.data.results import to_table
    from cipark_sd.simulations.simulation import simulate

    table = to_table(simulate(model, save=names, engine="native"))
    return table.index.to_numpy(), {str(label): table[label].to_numpy() for label in table}


def _facts(model: Model, variable: Variable) -> dict[str, str]:
    return {
        "equation": _equation(model, variable),
        "kind": kind(variable),
        "units": variable.units,
        "documentation": variable.doc,
    }


def _equation(model: Model, variable: Variable) -> str:
    from cipark_sd.model.printing import equations

    return "; ".join(equations(model, variable))
