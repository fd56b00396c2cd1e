"""``cipark power``. Nothing heavy is imported before the command runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.base.console import Printable, Rows, Sentence
from cipark_sd.base.errors import InvalidValue
from cipark_sd.base.inputs import number_in
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, command_of, option, pairs_option
from cipark_sd.commands.result import Result
from cipark_sd.engines.registry import names

if TYPE_CHECKING:
    import pandas as pd

    from calibration.power.measure import Power
    from calibration.power.question import PowerQuestion
    from calibration.study.problem import CalibrationProblem
    from cipark_sd.base.arrays import Array
    from cipark_sd.execution.pool import Progress


def _size(constant: str, text: str) -> float:
    size = number_in(text)
    if not math.isfinite(size):
        raise InvalidValue("--size", f"{constant}={text}", "CONSTANT=NUMBER", where="power")
    return size


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    study: Path | str | None = argument(shell_complete=completing.studies, required=False)
    question: Path | None = option(
        "--question", metavar="FILE", type=options.PATH, help="Rivals, sizes and further data (default: power.toml)."
    )
    against: str | None = option("--against", metavar="NAME", help="Structure that the rivals are set against.")
    rivals: tuple[str, ...] = option("--rival", multiple=True, metavar="NAME", help="Rival; repeatable (default: all).")
    sizes: Mapping[str, float] = pairs_option(
        "--size",
        metavar="CONSTANT=NUMBER",
        read=_size,
        help="Size of a constant where a structure with it is true; repeatable (default: as the draws have it).",
    )
    sets: int | None = option(
        "--sets", type=click.IntRange(4, 10_000), help="Data sets that each structure makes (default: 32)."
    )
    check: int = option(
        "--check",
        type=click.IntRange(0, 10_000),
        default=0,
        show_default=True,
        help="Data sets of each pair that are sampled in full as well; each takes seconds.",
    )
    workers: int | None = options.workers("Processes; they change no result (default: one a processor).")
    engine: str = option(
        "--engine", type=click.Choice(names()), default="native", show_default=True, help="Simulation engine."
    )
    fresh: bool = options.fresh()
    output: Path | None = options.output_folder("STUDY-power")
    allow_files: tuple[Path, ...] = options.allow_files()


@command_of(Request, short_help="Show what the data could have said, and what others would.")
def power(request: Request) -> Result:
    """Show what the data of STUDY could have said of its constants and rivals, and what further data would.

    It takes the posterior draws of the fit at hand: cipark calibrate STUDY --posterior makes them. Each rival makes
    data sets as the real ones are, which it and another structure are fitted to: in how many would it be shown, by odds
    of three to one, where it is true? A file power.toml beside the study says against what, how strong, and which
    further data are asked about. Fits are by importance weights about a mode; --check sets some against full ones.

    \b
    Examples:
      cipark power great_stone_later                               what thirteen years could have said
      cipark power great_stone_later --rival R3 --check 4          one rival, some fits in full
      cipark power my_study --against base --size "Growth=0.3"     if growth were 0.3
    """
    from calibration.likelihood.posterior import On
    from calibration.power.measure import SETS, power_of
    from calibration.study import FILE
    from calibration.study.problem import read_problem
    from cipark_sd.analysis.study import find_folder
    from cipark_sd.base.checkpoints import Checkpoints
    from cipark_sd.base.console import progress_bars
    from cipark_sd.base.files import OUTPUT_FOLDER, output_folder, write_table
    from cipark_sd.execution.workers import Workers
    from cipark_sd.simulations.ensembles import processors

    place = request.study if isinstance(request.study, Path) else find_folder(request.study, file=FILE, where="power")
    problem, draws, note = draws_at_hand(read_problem(place, allow_files=request.allow_files))
    question = question_of(problem, request)
    folder = output_folder(request.output or OUTPUT_FOLDER / f"{problem.folder.resolve().name}-power")
    checkpoints = Checkpoints.in_output(folder, fresh=request.fresh)
    n = processors() if request.workers is None else request.workers
    with progress_bars() as bars, Workers(n, checkpoints) as workers:

        def show(stage: str, now: "Progress") -> None:
            bars.show(stage, now.completed, now.total, ", ".join(now.running))

        how = {"sets": request.sets or SETS, "check": request.check}
        result = power_of(problem, draws, question, On(request.engine), **how, workers=workers, on_stage=show)
    tables = {"rivals": result.rivals, "constants": result.constants, "value": result.value}
    files = [write_table(folder / f"{name}.csv", table.reset_index()) for name, table in tables.items() if len(table)]
    facts = {name: table.reset_index().to_dict("records") for name, table in tables.items()}
    return Result(
        {"study": problem.title, "against": result.against, **facts, "sentences": result.sentences, "files": files},
        printed=[note, *_printed(result)],
    )


def question_of(problem: "CalibrationProblem", request: Request) -> "PowerQuestion":
    """The question of a file, with what the call says in its place.

    Raises
    ------
    InvalidValue, UnknownName, Problems
    """
    from calibration.power.question import QUESTION, PowerQuestion, read_power_question
    from cipark_sd.base.errors import UnknownName

    path = problem.folder / QUESTION if request.question is None else request.question
    there = request.question is not None or path.is_file()
    question = read_power_question(problem, path) if there else PowerQuestion()
    for name in request.sizes:
        if name not in problem.space.of_model:
            raise UnknownName(name, problem.space.of_model, kind="parameter", where="--size")
    return replace(
        question,
        against=request.against or question.against,
        rivals=request.rivals or question.rivals,
        sizes={**question.sizes, **request.sizes},
    )


def draws_at_hand(problem: "CalibrationProblem") -> "tuple[CalibrationProblem, dict[str, Array], str]":
    """The study as it was fitted, draws ``(n, k)`` of its structures, and where they are from.

    Raises
    ------
    UnusableInput
        Where there are none.
    """
    import numpy as np

    from calibration.commands.for_analyses.fitted_study import archive_in, argument_of, find_fit
    from calibration.commands.for_analyses.study_draws import draws_from_file
    from calibration.power.measure import structures_of
    from cipark_sd.base.errors import UnusableInput
    from cipark_sd.base.naming import override_key

    rivals = tuple(structures_of(problem).values())
    fit = find_fit(problem)
    archive = archive_in(problem.folder, rivals) if fit is None else fit.archive(rivals)
    problem = problem if fit is None else fit.problem
    files = {name: path for name, path in archive.files.items() if name not in archive.foreign(problem, rivals)}
    if not files:
        command = f"cipark calibrate{argument_of(problem)} --posterior"
        raise UnusableInput(f"no posterior draws of it are at hand: '{command}' makes them", where=problem.title)
    by_structure = {}
    for name, path in files.items():
        draws = draws_from_file(problem, path, name)
        columns = {**draws.values, **draws.noise}
        of_noise = columns.keys() & set(problem.space.names)
        by_structure[name] = np.column_stack(
            [columns[n if n in of_noise else override_key(n)] for n in problem.space.names]
        )
    return problem, by_structure, f"Draws: {archive.place}, kept with the study." if fit is None else fit.sentence


def _printed(result: "Power") -> list[str | Printable]:
    """Sentences, then tables."""
    rivals = result.rivals.drop(columns=["checked", "off"] if result.rivals["checked"].eq(0).all() else [])
    printed: list[str | Printable] = [Sentence(line, bold=number == 0) for number, line in enumerate(result.sentences)]
    printed += _table(rivals, f"log evidence against {result.against!r}: of these data, and of data sets that are made")
    printed += _table(result.constants, "width after the data over that before: these data, and such data as expected")
    # of data a row, of constants a column: the other way round a terminal has room for them
    return printed + _table(result.value.T, "expected width after further data, over that before")


def _table(table: "pd.DataFrame", title: str) -> list[Rows]:
    def cell(value: object) -> str:
        return ("-" if value != value else f"{value:.2f}") if isinstance(value, float) else str(value)

    rows = [[str(name), *map(cell, row)] for name, row in zip(table.index, table.to_numpy(dtype=object), strict=True)]
    return [Rows([str(table.index.name or "constant"), *map(str, table)], rows, title=title)] if rows else []
