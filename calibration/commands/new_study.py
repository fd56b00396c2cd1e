"""``cipark new-study``. Nothing heavy is imported before the command runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from calibration.new_study.request import Request
from cipark_sd.base.console import Rows
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibration.new_study.series import Series
    from calibration.new_study.text import NewStudy

#: Free constants beyond which a fit is slow, and the user is asked to hold some: with 62 of a model of care --fast took
#: 292 s, with the 27 that were not known 30 s.
MANY = 30


@command_of(Request, "new-study", short_help="Make a study from a model and a table.")
def new_study(request: Request) -> Result:
    """Write a study folder that cipark calibrate can run, from MODEL (Vensim or XMILE) and tables (CSV or .xlsx).

    Which column means which variable, how it is read and with what noise, which constants the data depend on: all is
    guessed and written down with comments, to be corrected in the study's problem.toml. With --from the study is a copy
    of one that comes with the package, for another case of the same model.

    \b
    Examples:
      cipark new-study sir.mdl cases.csv                      a folder cases/
      cipark new-study sir.mdl cases.csv -o flu --value "reported=New Infections"
      cipark new-study ward.mdl beds.csv waits.csv            two tables, each with times of its own
      cipark new-study sir.xmile owid.csv --time date --where country=Italy
      cipark calibrate flu --fast                             the first fit
      cipark new-study my.mdl --payoff fit.vpd --control fit.voc --scenario best.out
      cipark new-study --from great_stone -o my_park          another park, the same model
    """
    from cipark_sd.base.errors import InvalidValue

    model, data, template = request.model, request.data, request.template
    if template is not None:
        if model is not None or data is not None:
            raise InvalidValue("--from", template, "either a model and data or --from, not both", where="new-study")
        from calibration.new_study.study import from_template

        lines = from_template(template, request.output, force=request.force, allow_files=request.allow_files)
        return Result({"folder": request.output or Path(f"my_{template}"), "copy_of": template}, printed=tuple(lines))
    if request.payoff is not None or request.control is not None:
        return _of_optimizer(request)
    from calibration.new_study.study import new_study as made_study

    made = made_study(request)
    table = Rows(_HEADS, [_row(made, part) for part in (*made.inputs, *made.series)], right=())
    return Result(_facts(made), printed=(*_times(made), table, *_summary(made)))


def _of_optimizer(request: Request) -> Result:
    from calibration.new_study.optimizer import from_optimizer

    made = from_optimizer(request)
    theirs = "" if made.theirs is None else f"; theirs {made.theirs:,.10g}"
    start = "payoff at the start" if made.theirs is None else "their optimum, our payoff:"
    printed = [
        f"{made.folder}: a study that maximises a payoff over {made.n_parameters} constants",
        *(
            f"  {start} {value:,.6f} as {reading}{theirs if reading == made.chosen else ''}"
            for reading, value in made.payoffs.items()
        ),
        f"  the study takes {made.chosen}{'' if made.theirs is None else ', which is closer to theirs'}",
    ]
    if made.not_used:
        options_of_theirs = [f"{key}={value}" for key, value in made.not_used.items()]
        printed.append(f"  options of their optimizer that are not used: {', '.join(options_of_theirs)}")
    printed.append(f"  cipark calibrate {made.folder} --fast")
    return Result(
        {
            "folder": made.folder,
            "parameters": made.n_parameters,
            "payoffs_at_start": dict(made.payoffs),
            "chosen": made.chosen,
            "theirs": made.theirs,
            "not_used": dict(made.not_used),
        },
        printed=printed,
    )


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


_HEADS = ("column", "variable", "read as", "unit", "noise", "rows")
_READ = {"level": "level", "flow": "flow over a window", "increments": "growing count, by increments"}


def _row(made: "NewStudy", series: "Series") -> list[str]:
    """A column in the table of guesses."""
    names, label = series.match.names, series.match.label
    fitted = "" if series.n_fitted == len(series.rows) else f", {series.n_fitted} increments"
    rows = f"{len(series.rows)}{fitted}, {series.rows[0].text} to {series.rows[-1].text}"
    noise = "input" if series.is_input else series.family.name
    variable = f"{label} (sum of {len(names)})" if len(names) > 1 else label
    return [series.match.column, variable, _read_as(made, series), series.match.variable.units or "-", noise, rows]


def _read_as(made: "NewStudy", series: "Series") -> str:
    first, kind = series.rows[0], _READ[series.kind]
    if series.is_input:
        kind = "held over a window" if series.windowed else "lines between rows"
    elif series.gained:
        kind = "what it gained over a window, since it only grows"
    if series.windowed:
        kind = kind.replace("a window", f"one {series.axis.window}") if series.axis.window else kind
        return f"{kind} ({first.text}: {first.start} to {first.date})" + (
            f" by its unit {series.unit}" if series.unit else ""
        )
    # which point of its period a number was taken for; nothing where each entry is its own time
    axis, period = made.axis, series.axis.period
    guessed = "end" if axis.dated else "start" if axis.years and made.clock.starts else ""
    at = "" if axis.days or period is None else series.at or guessed
    hint = " (--level-at says another)" if at and series.at is None and axis.years else ""
    return kind + (f", each at the {period}'s {at}{hint}" if at else "")


def _rows(n: int, singular: str, plural: str) -> str:
    return f"one row {singular}" if n == 1 else f"{n} rows {plural}"


def _some(names: list[str], most: int) -> str:
    """The first of some names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _times(made: "NewStudy") -> list[str]:
    """How the times were read, and what was done to the rows."""
    lines = [
        f"{made.folder}: a study with {len(made.series)} series",
        f"  times   {made.axis.column}: {made.clock.note}",
    ]
    return lines + [f"          {note}" for note in made.notes]


def _of_column(made: "NewStudy", series: "Series") -> "Iterator[str]":
    """What was done to the numbers of a column."""
    from cipark_sd.base.wording import number

    if series.is_input:
        remedy = 'kind = "level" in problem.toml reads lines'
        if not series.windowed:
            remedy = f'--window "{series.match.column}=rows" holds each value over its window'
        yield f"drives the model; {remedy}"
    elif empty := max(len(series.axis.rows) - len(series.rows) - len(series.dropped), 0):
        yield f"{_rows(empty, 'has', 'have')} no number: left out"
    if (series.values < 0).any() and not series.is_input:
        yield f"a count is never negative, and {number(float(series.values.min()))} is one: the noise is normal"
    if n := sum(row.ends is not None for row in series.rows):
        how = "rounded to whole ones" if series.rounded else "known as below or above a number"
        yield f"{n} of the numbers are intervals: {how}"
    if series.dropped:
        yield f"{_rows(len(series.dropped), 'is', 'are')} before the run's initial time: left out"


def _summary(made: "NewStudy") -> list[str]:
    """What else was guessed, in the order in which it should be checked."""
    from calibration.new_study.text import by_step, example_pattern, step_room

    lines = [
        f"          {p.match.column}: {text}" for p in (*made.inputs, *made.series) for text in _of_column(made, p)
    ]
    if made.ignored:
        hint = f'no like name, or counted already: --value "{made.ignored[0]}=VARIABLE" takes it in'
        lines.append(f"  ignored {', '.join(made.ignored)}; {hint}")
    free = [candidate for candidate in made.candidates if candidate.role == "CAL"]
    names = [candidate.name for candidate in free]
    lines.append(f"  fitted  {len(free)} constant{'s' if len(free) > 1 else ''}: {_some(names, 8)}")
    by_reason: dict[str, list[str]] = {}
    for candidate in made.candidates:
        if candidate.role == "fixed":
            by_reason.setdefault(candidate.why, []).append(candidate.name)
    lines += [f"  held    {_some(held, 5)}: {why}" for why, held in by_reason.items()]
    amounts = [candidate.name for candidate in free if candidate.amount and not candidate.starts]
    if amounts:
        lines.append(f"          amounts that you know are better held (--fix NAME): {_some(amounts, 5)}")
    if bounded := [f"{part.name} {words}" for part in sorted(free, key=step_room) if (words := by_step(part))]:
        lines.append(f"  bounds  of the run's step: {_some(bounded, 4)}; step or method under [model] moves them")
    if made.beside:
        lines.append(
            f"  left    {', '.join(made.beside)}: beside an equation for another element, neither fitted nor held; "
            "a constant of its own in the model makes it either"
        )
    if len(free) > MANY:
        lines.append(
            f"  NOTE    {len(free)} constants are free: a fit takes long, and most stay where they are. Hold what you "
            f'know: --fix "{example_pattern(names)}", and again for others'
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
