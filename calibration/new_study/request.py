"""What the command line of ``cipark new-study`` asks for. Nothing heavy is imported here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.base.errors import InvalidValue, UnusableInput
from cipark_sd.base.files import file_name
from cipark_sd.base.inputs import number_in
from cipark_sd.base.wording import TIME_UNITS, TimeUnit
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, option

if TYPE_CHECKING:
    from calibration.new_study.clock import Window
    from calibration.new_study.dates import DateOrder, Point
    from calibration.new_study.parameters import Estimate, Stated
    from cipark_sd.model.model import Method as Integration


def _factor(column: str, text: str) -> float:
    factor = number_in(text)
    if not 0 < factor < float("inf"):
        raise InvalidValue("--scale", f"{column}={text}", "COLUMN=FACTOR with a positive number", where="new-study")
    return factor


def _window(column: str, unit: str) -> str:
    if unit not in (*TIME_UNITS, "rows"):
        expected = f"COLUMN=UNIT with one of {', '.join(TIME_UNITS)}, rows"
        raise InvalidValue("--window", f"{column}={unit}", expected, where="new-study")
    return unit


@dataclass(frozen=True)
class Request:
    """What the command line says of a new study; None where it is to be guessed.

    ``priors``, ``step`` and ``method`` are those of Python.
    """

    model: Path | None = argument(shell_complete=completing.models, required=False, type=options.PATH)
    data: Path | None = argument(required=False, type=options.PATH)
    output: Path | None = options.output("Folder of the study (default: the data's name).")
    template: str | None = option(
        "--from",
        shell_complete=completing.studies,
        metavar="STUDY",
        help="Copy a study that comes with the package instead.",
    )
    time: str | None = option("--time", metavar="COL", help="Column of dates or times.")
    values: Mapping[str, str] = options.pairs_option(
        "--value", metavar="COL=VARIABLE", help="Variable that a column observes, * in COL for any text; repeatable."
    )
    where: Mapping[str, str] = options.pairs_option(
        "--where", metavar="COL=TEXT", help="Use only rows with this text in a column; repeatable."
    )
    series_by: str | None = option(
        "--series-by",
        metavar="COLS",
        help="Make a series of each combination of texts in these columns of a long table, with commas between them.",
    )
    fix: tuple[str, ...] = option(
        "--fix",
        shell_complete=completing.variables("constant", value="="),
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Hold constants by name, * and ? for any text or letter, at the file's value or this; repeatable.",
    )
    scale: Mapping[str, float] = options.pairs_option(
        "--scale", metavar="COL=FACTOR", help="Multiply the numbers of a column; repeatable.", read=_factor
    )
    window: "Mapping[str, Window]" = options.pairs_option(
        "--window",
        metavar="COL=UNIT",
        help="Length of the windows of a column that flows, or of an input that holds over them: a unit of time, or "
        "rows (from row to row); repeatable.",
        read=_window,
    )
    level_at: "Point | None" = option(
        "--level-at", type=click.Choice(["start", "middle", "end"]), help="Point of a row's period that levels are of."
    )
    until: str | None = option("--until", metavar="TIME", help="Use the rows up to this time only.")
    sheet: str | None = option("--sheet", metavar="NAME", help="Sheet of an Excel workbook that has several.")
    unit: "TimeUnit | None" = option(
        "--unit", type=click.Choice(TIME_UNITS), help="Unit of the model's time, where the file does not say."
    )
    origin: str | None = option("--origin", metavar="TIME", help="Entry of the time column at which the run starts.")
    dates: "DateOrder | None" = option(
        "--dates", type=click.Choice(["dmy", "mdy"]), help="Order of day and month, where the data are ambiguous."
    )
    estimate: "Estimate" = option(
        "--estimate",
        type=click.Choice(["map", "ml"]),
        default="map",
        show_default=True,
        help="Data and priors together, or the likelihood alone within bounds.",
    )
    prior_width: float = option(
        "--prior-width",
        type=click.FloatRange(0.1, 10),
        default=1.5,
        show_default=True,
        metavar="SIGMA",
        help="Standard deviation of the logarithm of each constant around the file's value; of the logit of a "
        "fraction.",
    )
    payoff: Path | None = option(
        "--payoff", type=options.PATH, metavar="FILE", help="Vensim's payoff definition (.vpd), in the place of DATA."
    )
    control: Path | None = option(
        "--control", type=options.PATH, metavar="FILE", help="Vensim's optimization control (.voc), with --payoff."
    )
    scenarios: tuple[Path, ...] = options.scenario_files(
        "With --payoff: changes (.cin) that are held, and a result (.out) to start from; repeatable."
    )
    force: bool = option("--force", is_flag=True, help="Replace the files of an existing study.")
    series: tuple[Path, ...] = options.series()
    allow_files: tuple[Path, ...] = options.allow_files()
    further: tuple[Path, ...] = argument(nargs=-1, metavar="[DATA]...", type=options.PATH)
    priors: "Mapping[str, Stated]" = field(default_factory=dict)
    step: float | None = None
    method: "Integration | None" = None

    @property
    def files(self) -> tuple[Path, Path]:
        """The model and the table.

        Raises
        ------
        UnusableInput
            Where one is missing, or the table comes first.
        """
        from cipark_sd.base.library import located

        model, data = self.model, self.data
        table = model is not None and model.suffix.casefold() in (".csv", ".tsv", ".txt", ".xlsx")
        if model is None:
            example = "cipark new-study sir.mdl cases.csv; or copy a study with --from STUDY"
            raise UnusableInput(f"MODEL and DATA are missing; for example, {example}", where="new-study")
        if data is None:
            lacking = f"MODEL is missing, and {model} is a table" if table else "DATA is missing"
            example = f"cipark new-study {'sir.mdl' if table else model} {model if table else 'cases.csv'}"
            raise UnusableInput(f"{lacking}; for example, {example}", where="new-study")
        if table:
            raise UnusableInput(
                f"the model comes first and the data second: cipark new-study {data} {model}", where="new-study"
            )
        return located(model), data

    @property
    def folder(self) -> Path:
        """Where the study is written."""
        return self.output or Path(file_name(self.files[1].stem))
