"""``cipark new-study``. Nothing heavy is imported before the command runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from calibration.new_study.request import Request
from cipark_sd.base.console import echo
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Result

if TYPE_CHECKING:
    from calibration.new_study.series import Series
    from calibration.new_study.text import NewStudy


@command_of(Request, "new-study", short_help="Make a study from a model and a table.")
def new_study(request: Request) -> Result:
    """Write a study folder that cipark calibrate can run, from MODEL (Vensim or XMILE) and DATA (CSV or .xlsx).

    Which column means which variable, how it is read and with what noise, which constants the data depend on: all is
    guessed and written down with comments, to be corrected in the study's problem.toml. With --from the study is a copy
    of one that comes with the package, for another case of the same model.

    \b
    Examples:
      cipark new-study sir.mdl cases.csv                      a folder cases/
      cipark new-study sir.mdl cases.csv -o flu --value "reported=New Infections"
      cipark new-study sir.xmile owid.csv --time date --where country=Italy
      cipark calibrate flu --fast                             the first fit
      cipark new-study --from great_stone -o my_park          another park, the same model
    """
    from cipark_sd.base.errors import InvalidValue

    model, data, template = request.model, request.data, request.template
    if template is not None:
        if model is not None or data is not None:
            raise InvalidValue("--from", template, "either a model and data or --from, not both", where="new-study")
        from calibration.new_study.study import from_template

        for line in from_template(template, request.output, force=request.force, allow_files=request.allow_files):
            echo(line)
        return Result({"folder": request.output or Path(f"my_{template}"), "copy_of": template})
    from calibration.new_study.study import new_study as made_study

    made = made_study(request)
    for line in _summary(made):
        echo(line)
    return Result(_facts(made))


def _facts(made: "NewStudy") -> dict[str, object]:
    series = [
        {"column": part.match.column, "variables": part.match.names, "kind": part.kind, "noise": part.family.name,
         "rows": len(part.rows), "left_out": len(part.dropped), "first": part.rows[0].text, "last": part.rows[-1].text}
        for part in made.series
    ]  # fmt: skip
    return {
        "folder": made.folder,
        "time": {"column": made.axis.column, "read_as": made.clock.note},
        "series": series,
        "inputs": [
            {"column": part.match.column, "variable": part.match.label, "held": part.windowed, "rows": len(part.rows)}
            for part in made.inputs
        ],
        "ignored": made.ignored,
        "fitted": made.names("CAL"),
        "held": made.names("fixed"),
        "bounds_from_step": [part.name for part in made.candidates if part.by_step],
        "beside_equations": made.beside,
        "possible": made.possible,
    }


_INPUT = {"level": "straight between rows", "held": "as held until the next row"}
_READ = {"level": "level", "flow": "flow over a window", "increments": "growing count, by increments"}


def _read_as(series: "Series") -> str:
    first, kind = series.rows[0], _READ[series.kind]
    if series.windowed:
        kind = f"what it gained, since it only grows and these fall, {kind[5:]}" if series.gained else kind
        kind = f"{kind.removesuffix(' a window')} one {series.axis.window}" if series.axis.window else kind
        kind += f" ({first.text}: {first.start} to {first.date})"
    return kind + (f" by its unit {series.unit}" if series.unit else "")


def _point(made: "NewStudy", series: "Series") -> str:
    """Which point of its period a level or a total was taken for; nothing where each entry is its own time."""
    axis, period = made.axis, series.axis.period
    if series.windowed or axis.days or period is None:
        return ""
    guessed = "end" if axis.dates else "start" if axis.years and made.clock.starts else ""
    at = series.at or guessed
    hint = " (--level-at says another)" if at and series.at is None and axis.years else ""
    return at and f", each at the {period}'s {at}{hint}"


def _rows(n: int, singular: str, plural: str) -> str:
    return f"one row {singular}" if n == 1 else f"{n} rows {plural}"


def _some(names: list[str], most: int) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _summary(made: "NewStudy") -> list[str]:
    """What was guessed, in the order in which it should be checked."""
    from calibration.new_study.text import by_step, step_room
    from cipark_sd.base.wording import number

    lines = [
        f"{made.folder}: a study with {len(made.series)} series",
        f"  times   {made.axis.column}: {made.clock.note}",
    ]
    if made.reordered:
        lines.append("          the rows were not in the order of time and have been sorted")
    lines += [f"          {note}" for note in made.notes]
    for series in made.inputs:
        first, kind = series.rows[0], "straight between the rows' times"
        if series.windowed:
            kind = f"held over its window ({first.text}: {first.start} to {first.date})"
        other = "level" if series.windowed else "held"
        lines.append(
            f"  input   {series.match.column} -> {series.match.label}, {kind}; {len(series.rows)} rows; "
            f'kind = "{other}" in problem.toml reads it {_INPUT[other]}'
        )
    for series in made.series:
        whole = " + ".join(series.match.names)
        fitted = "" if series.n_fitted == len(series.rows) else f", {series.n_fitted} increments"
        span = f"{len(series.rows)} rows{fitted}, {series.rows[0].text} to {series.rows[-1].text}{_point(made, series)}"
        lines.append(f"  data    {series.match.column} -> {whole}, {_read_as(series)}, {series.family.name}; {span}")
        empty = made.n_rows - len(series.rows) - len(series.dropped)
        if empty > 0:
            lines.append(
                f"          {_rows(empty, 'has', 'have')} no number in {series.match.column} or no time: left out"
            )
        if (series.values < 0).any():
            lowest = number(float(series.values.min()))
            lines.append(f"          a count is never negative, and {lowest} is one of these: the noise is normal")
        if series.has_intervals:
            n = sum(row.ends is not None for row in series.rows)
            how = "rounded to whole numbers, and stand for all within half of one" if series.rounded else (
                "known as below or above a number alone"
            )  # fmt: skip
            lines.append(f"          {n} of the numbers are intervals: {how}")
        if series.dropped:
            lines.append(f"          {_rows(len(series.dropped), 'is', 'are')} before the run's initial time: left out")
    if made.ignored:
        hint = (
            f'; no variable of a like name, or counted already: --value "{made.numeric[0]}=VARIABLE" takes it in'
            if made.numeric
            else ""
        )
        lines.append(f"  ignored {', '.join(made.ignored)}{hint}")
    for label, names in (("fitted", made.names("CAL")), ("held", made.names("fixed"))):
        if names:
            lines.append(f"  {label:7} {len(names)} constant{'s' if len(names) > 1 else ''}: {_some(names, 8)}")
    free = [candidate for candidate in made.candidates if candidate.role == "CAL"]
    amounts = [candidate.name for candidate in free if candidate.amount and not candidate.starts]
    if amounts:
        lines.append(f"          amounts that you know belong under [[fixed]]: {_some(amounts, 5)}")
    if bounded := [f"{part.name} {by_step(part)}" for part in sorted(free, key=step_room) if part.by_step]:
        lines.append(f"  bounds  of the run's step: {_some(bounded, 4)}; step or method under [model] moves them")
    if made.beside:
        lines.append(
            f"  left    {', '.join(made.beside)}: beside an equation for another element, neither fitted nor held; "
            "a constant of its own in the model makes it either"
        )
    n_numbers = sum(series.n_fitted for series in made.series)
    if n_numbers < len(free) + len(made.series):
        lines.append(
            f"  NOTE    {n_numbers} numbers are too few for {len(free)} constants and the noise: most of the answer is "
            "the model file's"
        )
    if not made.possible:
        lines.append(
            "  NOTE    neither the model's own constants nor draws around them make these data possible; look at the "
            "table beside cipark run, and at the columns above"
        )
    lines.append("All priors are placeholders around the file's values. Look at problem.toml, then:")
    lines.append(f"  cipark calibrate {made.folder} --fast")
    return lines
