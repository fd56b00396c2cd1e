"""``cipark policy``. Nothing heavy is imported before the command runs."""

from pathlib import Path
from typing import Any

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.policy.parts import NAMES
from cipark_sd.commands.result import Result
from cipark_sd.engines.registry import names


@click.command(short_help="Compare policies: effects, attribution, robustness.")
@click.argument("target", shell_complete=completing.studies, required=False, metavar="[STUDY]")
@click.option(
    "--part",
    "parts",
    type=click.Choice([*NAMES, "all"]),
    multiple=True,
    help="Analysis to run; repeatable.  [default: effects]",
)
@click.option(
    "--draws", "sources", multiple=True, metavar="SOURCE", help="prior, fit, FILE, FOLDER or RIVAL=FILE; repeatable."
)
@click.option(
    "--runs",
    "n_draws",
    type=click.IntRange(2, 1_000_000),
    default=500,
    show_default=True,
    help="Runs of each policy under each rival structure, one for each draw.",
)
@click.option("--rivals", metavar="IDS", help="Comma-separated rival structures (default: all).")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights of the rivals: CSV with rival,weight.")
@click.option("--outcome", "outcomes", multiple=True, metavar="ID", help="Print this outcome, or all; repeatable.")
@options.seed(20191126)
@click.option(
    "--engine", type=click.Choice(names(compiled=True)), default="native", show_default=True, help="Simulation engine."
)
@options.allow_failed
@options.dask
@options.keep_runs
@options.fresh
@options.output_folder("NAME-policy")
@options.renamed("--n", "--runs")
@options.allow_files
def command(parts: tuple[str, ...], rivals: str | None, **options: Any) -> Result:
    """Run the policy experiments of a study over joint draws of its parameters and over rival structures.

    STUDY is a folder with problem.toml and policies.toml, or the name of a study that comes with the package; without
    it the park's. Without --draws the posterior draws are taken that cipark calibrate --all has left in
    cipark-output. A structure that has none gets a Laplace approximation at its optimum, which takes seconds and is
    named as one wherever a number of it stands. --draws fit samples the posterior of every rival first, which takes
    minutes; both are kept in the output folder. --draws prior shows signs only, and stops where the priors contradict
    the data. A call that was stopped goes on where it was.

    \b
    Examples:
      cipark policy                                what can be said of the paper's claims
      cipark policy --draws fit --outcome all      fit every rival first
      cipark policy --draws prior                  what the model assumes: signs, no sizes
      cipark policy --draws fit/draws.nc           the posterior of one structure
      cipark policy --part attribution             the contribution of each mechanism
      cipark policy --part all --runs 200 -o policies
      cipark policy my_study --draws M0=a.nc --draws M1=b.nc --weights weights.csv
    """
    from cipark_sd.commands.policy.request import Request
    from cipark_sd.commands.policy.run import run

    chosen = () if "all" in parts else parts or ("effects",)
    ids = tuple(name.strip() for name in rivals.split(",")) if rivals else ()
    return run(Request(parts=chosen, rivals=ids, **options))
