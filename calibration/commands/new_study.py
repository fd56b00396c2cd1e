"""``cipark new-study``. Nothing heavy is imported before the command runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from calibration.new_study.request import Request
from cipark_sd.base.console import Rows
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Result

if TYPE_CHECKING:
    from calibration.new_study.guesses import NewStudy


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
        from calibration.new_study.folders import from_template

        lines = from_template(template, request.output, force=request.force, allow_files=request.allow_files)
        return Result({"folder": request.output or Path(f"my_{template}"), "copy_of": template}, printed=tuple(lines))
    if request.payoff is not None or request.control is not None:
        return _of_optimizer(request)
    from calibration.new_study.guesses import HEADS, guesses, warnings
    from calibration.new_study.study import new_study as made_study

    made = made_study(request)
    printed: tuple[str | Rows, ...] = (
        f"{made.folder}: a study with {len(made.series)} series",
        Rows(HEADS, list(guesses(made)), right=()),
        *(f"  NOTE    {line}" for line in warnings(made)),
        "All priors are placeholders around the file's values. Look at problem.toml, then:",
        f"  cipark calibrate {made.folder} --fast",
    )
    return Result(_facts(made), printed=printed)


def _of_optimizer(request: Request) -> Result:
    from calibration.new_study.optimizer import from_optimizer

    made = from_optimizer(request)
    theirs = "" if made.theirs is None else f"; theirs {made.theirs:,.10g}"
    start = "payoff at the start" if made.theirs is None else "their optimum, our payoff:"
    # a payoff that is summed over steps
    is_read_twice = len(made.payoffs) > 1
    printed = [f"{made.folder}: a study that maximises a payoff over {made.n_parameters} constants"]
    for reading, value in made.payoffs.items():
        how = f" as {reading}" if is_read_twice else ""
        printed.append(f"  {start} {value:,.6f}{how}{theirs if reading == made.chosen else ''}")
    if is_read_twice:
        closer = "" if made.theirs is None else ", which is closer to theirs"
        printed.append(f"  the study takes {made.chosen}{closer}")
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
            {"column": p.match.column, "variable": p.match.label, "held": p.kind == "flow", "rows": len(p.rows)}
            for p in made.inputs
        ],
        "ignored": made.ignored,
        "fitted": made.names("CAL"),
        "held": made.names("fixed"),
        "bounds_from_step": [part.name for part in made.candidates if part.by_step],
        "beside_equations": made.beside,
        "possible": made.possible,
    }
