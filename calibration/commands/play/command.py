"""``cipark play``. Nothing heavy is imported before the command runs."""

from pathlib import Path

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.result import Result
from cipark_sd.console import echo


@click.command(short_help="Make a page with levers on which a model runs by itself.")
@click.argument("target", shell_complete=completing.targets, metavar="[STUDY|MODEL]", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="FILE.html  [default: in cipark-output]")
@options.variables("outputs to show")
@click.option(
    "--levers",
    "moved",
    shell_complete=completing.variables("constant"),
    multiple=True,
    metavar="NAMES",
    help="Comma-separated constants to move.",
)
@options.assignments("Of a model: set a constant.")
@options.scenario_files("Of a model: a scenario file (TOML).")
@click.option("--draws", metavar="SOURCE", help="Of a study: prior, or a file of draws (default: the fit at hand).")
@click.option(
    "--runs",
    type=click.IntRange(min=2, max=2000),
    default=200,
    show_default=True,
    help="Of a study: how many draws.",
)
@click.option("--structures", is_flag=True, help="Of a study: every rival structure, with draws of its own.")
@options.seed(1, "Seed of the random numbers that choose draws.")
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@options.series
@options.allow_files
def play(
    target: str | None,
    output: Path | None,
    variables: tuple[str, ...],
    moved: tuple[str, ...],
    assignments: tuple[str, ...],
    scenario_files: tuple[Path, ...],
    draws: str | None,
    runs: int,
    structures: bool,
    seed: int,
    opened: bool,
    series: tuple[Path, ...],
    allow_files: tuple[Path, ...],
) -> Result:
    """Write one HTML file in which STUDY or MODEL runs: levers, curves, scenarios, a link that keeps what is set.

    The model is in the file as WebAssembly. It needs no server and no network, opens from disk and can be sent by
    mail; its numbers are the native engine's bit for bit, which the page checks when it is opened.

    STUDY is a folder with problem.toml or the name of a study that comes with the package (by default the park's). The
    levers are those of its policies.toml, else the fitted constants and what else moves the curves most; the fan is of
    the fit that cipark calibrate has left in cipark-output, else of the priors, and then says so. MODEL is any .mdl or
    XMILE file: one run at a time, and its most influential constants as levers.

    \b
    Examples:
      cipark play                                  the park
      cipark play my.mdl --open
      cipark play my.mdl --variables "Population,births" --levers "birth rate,death rate" -o page.html
      cipark play my_study --draws my_fit/draws.nc
    """
    from calibration.commands.play.page import Settings, write
    from cipark_sd.optional import record_in

    settings = Settings(
        target=target,
        output=output,
        variables=variables,
        levers=moved,
        assignments=assignments,
        scenario_files=scenario_files,
        draws=draws or "",
        runs=runs,
        structures=structures,
        seed=seed,
        series=series,
        allow_files=allow_files,
    )
    record_in()
    path = write(settings)
    echo(f"{path}: {path.stat().st_size / 1000:.0f} kB, opens in any browser")
    if opened:
        click.launch(str(path.resolve()))
    return Result({"output": path, "bytes": path.stat().st_size})
