"""``cipark sensitivity``: which assumptions drive the outputs, when, and how sure that is."""

from pathlib import Path
from typing import Any

import click

from cipark_sd.commands import options

METHODS = ("morris", "sobol", "sample", "tornado", "dgsm", "shapley", "decisions")


@click.command(short_help="Which assumptions drive the outputs, and when.")
@click.argument("target", required=False, metavar="[STUDY|MODEL]")
@click.option("--output", "outputs", multiple=True, metavar="NAME", help="A variable to explain, Name[element] too.")
@click.option("--effect", metavar="NAME=VALUE", help="Explain what this setting takes from each --output as well.")
@click.option("--range", "share", type=float, help="Of a bare model: constants vary by this share.  [default: 0.2]")
@click.option("--leave-out", multiple=True, metavar="NAME", help="Of a bare model: a constant that is certain.")
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only these; may be repeated.")
@click.option("-n", "--rows", type=int, default=1024, show_default=True, help="Rows of the Sobol design: a power of 2.")
@click.option("--until", type=click.FloatRange(0, min_open=True), help="Double the rows to intervals of +- this.")
@click.option("--most-rows", type=int, default=1 << 16, show_default=True, help="Where --until stops.")
@click.option("--pairs", multiple=True, metavar="NAME", help="Second order among these constants (two at least).")
@click.option("--at", "moments", multiple=True, type=float, metavar="TIME", help="Rank at this time.")
@click.option("--draws", type=click.Path(path_type=Path), help="prior, or draws: a fit's folder, .nc or .csv.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--resamples", type=click.IntRange(min=2), default=100, show_default=True, help="Of the bootstrap.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads; they change no result.")
@click.option(
    "--loops",
    "loop_draws",
    type=click.IntRange(min=0),
    metavar="DRAWS",
    help="Loop dominance, and its bands over so many draws (needs the extra loops).",
)
@click.option("--resume", is_flag=True, help="Go on with the stopped Sobol design in the output folder.")
@click.option(
    "-o",
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    help="Output folder.  [default: cipark-output/NAME-sensitivity]",
)
@options.allow_files
def command(**asked: Any) -> None:
    """Ask which uncertain constants drive the outputs of a model, when, and how sure that is.

    STUDY is a folder or a study by name. After cipark calibrate its constants vary as the fit has left them, and before
    that, or with --draws prior, over their priors; the claims and strategies of its policies.toml are examined as well.
    MODEL is a Vensim or XMILE file: all constants vary by --range around their values, within their limits. Without
    either it is the park study. report.html in the output folder tells the answer in words, what the draws are first.

    \b
    Examples:
      cipark sensitivity                                     the park: what moves residents, and China Merchants' effect
      cipark sensitivity --until 0.05                        as many runs as the intervals need
      cipark sensitivity my.mdl --output Population --range 0.3
      cipark sensitivity --draws prior                       which assumptions matter before the data
      cipark sensitivity --draws draws.nc                    posterior draws, which depend on each other
      cipark sensitivity --loops 20                          which feedback loops lead, and when
    """
    from cipark_sd.commands.sensitivity.compute import answer
    from cipark_sd.commands.sensitivity.request import Request

    answer(Request(**asked))
