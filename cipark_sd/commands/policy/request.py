"""What the command line of ``cipark policy`` asks for, and its parts. Nothing heavy is imported here."""

from dataclasses import dataclass
from pathlib import Path

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, option
from cipark_sd.engines.registry import names

#: What is shown in place of all others where the draws are of priors.
UNDER_PRIORS = "signs"
#: What is run where a command line names none, as far as the catalogue has tables for it.
USUAL = ("decisions", "effects")
#: Those that a command line can ask for, in the order of the page.
NAMES = ("decisions", "effects", "knockouts", "attribution")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    target: str | None = argument(shell_complete=completing.studies, required=False, metavar="[STUDY]")
    named: tuple[str, ...] = option(
        "--part",
        type=click.Choice([*NAMES, "all"]),
        multiple=True,
        help="Analysis to run; repeatable.  [default: decisions and effects]",
    )
    sources: tuple[str, ...] = option(
        "--draws", multiple=True, metavar="SOURCE", help="prior, FILE, FOLDER or RIVAL=FILE; repeatable."
    )
    n_draws: int | None = option(
        "--runs",
        type=click.IntRange(2, 1_000_000),
        help="Runs of each policy under each rival structure, one for each draw.  [default: all draws of a fit, or as "
        "many as run in seconds; 500 of ranges and priors]",
    )
    rivals: str | None = option("--rivals", metavar="IDS", help="Comma-separated rival structures (default: all).")
    seed: int = options.seed(20191126)
    engine: str = option(
        "--engine",
        type=click.Choice(names(compiled=True)),
        default="native",
        show_default=True,
        help="Simulation engine.",
    )
    allow_failed: float | None = options.allow_failed()
    dask: str | None = options.dask()
    fresh: bool = options.fresh()
    output: Path | None = options.output_folder("NAME-policy")
    allow_files: tuple[Path, ...] = options.allow_files()
