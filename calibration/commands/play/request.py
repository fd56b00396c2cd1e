"""What the command line of ``cipark play`` asks for."""

from dataclasses import dataclass
from pathlib import Path

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, option


@dataclass(frozen=True)
class Settings:
    """What the command line asks for.

    ``folder`` is that of a study, or has ``policies.toml`` alone; ``fit`` is the output folder of a fit in another
    place than the usual one.
    """

    target: str | None = argument(shell_complete=completing.targets, metavar="[STUDY|MODEL]", required=False)
    output: Path | None = options.output("FILE.html  [default: in cipark-output]")
    variables: tuple[str, ...] = options.variables("outputs to show")
    levers: tuple[str, ...] = option(
        "--levers",
        shell_complete=completing.variables("constant"),
        multiple=True,
        metavar="NAMES",
        help="Comma-separated constants to move.",
    )
    assignments: tuple[str, ...] = options.assignments("Of a model: set a constant.")
    scenario_files: tuple[Path, ...] = options.scenario_files("Of a model: a scenario file (TOML).")
    draws: str | None = option(
        "--draws", metavar="SOURCE", help="Of a study: prior, or a file of draws (default: the fit at hand)."
    )
    runs: int | None = option(
        "--runs",
        type=click.IntRange(min=2, max=2000),
        help="Of a study: draws to move.  [default: 200, or as many as a browser runs as fast as the park's]",
    )
    seed: int = options.seed(1, "Seed of draws from ranges, and of the noise that priors are judged by.")
    opened: bool = option("--open", is_flag=True, help="Open the page in the browser.")
    series: tuple[Path, ...] = options.series()
    allow_files: tuple[Path, ...] = options.allow_files()
    folder: Path = Path()
    fit: Path | None = None
