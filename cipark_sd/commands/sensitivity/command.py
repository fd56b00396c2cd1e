"""``cipark sensitivity``: which assumptions drive the outputs, when, and with what confidence."""

from pathlib import Path
from typing import Any

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.result import Result

#: Rows of a Sobol design, of which there are 2^30.
_ROWS = click.IntRange(max=1 << 30)


class _Methods(click.Choice[str]):
    """The methods of the registry, which is read when it is needed: it loads numerical packages."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """Their names."""
        from cipark_sd.commands.sensitivity.methods.registry import names

        return names()


@click.command(short_help="Find the assumptions that drive the outputs, and when.")
@click.argument("target", shell_complete=completing.targets, required=False, metavar="[STUDY|MODEL]")
@options.variables("outputs to analyse", into="outputs")
@click.option("--effect", metavar="NAME=VALUE", help="Also analyse the effect of this setting on each output.")
@click.option("--range", "share", type=float, help="Of a bare model: constants vary by this share.  [default: 0.2]")
@options.leave_out("Of a bare model")
@click.option("--method", "methods", multiple=True, type=_Methods(), help="Only this method; repeatable.")
@click.option("--rows", type=_ROWS, default=1024, show_default=True, help="Rows of the Sobol design: a power of 2.")
@click.option(
    "--until",
    type=click.FloatRange(0, min_open=True),
    help="Double the sample until 95 % intervals are within ± this.",
)
@click.option("--most-rows", type=_ROWS, default=1 << 16, show_default=True, help="Largest sample for --until.")
@click.option(
    "--pairs",
    shell_complete=completing.variables("constant"),
    multiple=True,
    metavar="NAME",
    help="Second order among these constants (two at least).",
)
@click.option("--at", "moments", multiple=True, type=float, metavar="TIME", help="Rank at this time; repeatable.")
@click.option(
    "--every",
    type=click.FloatRange(0, min_open=True),
    metavar="TIME",
    help="Analyse at times so far apart.  [default: the study's; of a bare model 100 saved times at most]",
)
@click.option(
    "--draws", type=click.Path(path_type=Path), metavar="SOURCE", help="prior, or draws: a fit's folder, .nc or .csv."
)
@options.seed(1)
@click.option(
    "--resamples", type=click.IntRange(2, 100_000), default=100, show_default=True, help="Resamples of the bootstrap."
)
@options.workers()
@options.dask
@options.allow_failed
@options.keep_runs
@click.option(
    "--loops",
    "loop_draws",
    type=click.IntRange(0, 100_000),
    metavar="N",
    help="Loop dominance, with bands over N draws (needs the extra loops).",
)
@options.fresh
@options.output_folder("NAME-sensitivity")
@options.dropped("--resume", "a call that was stopped goes on by itself; --fresh starts anew")
@options.renamed("--to", "--output")
@options.renamed("-n", "--rows")
@options.series
@options.allow_files
def command(**options: Any) -> Result:
    """Find the uncertain constants that drive the outputs of a model, when, and with what confidence.

    STUDY is a folder or a study by name. After cipark calibrate its constants vary as the fit has left them, and before
    that, or with --draws prior, over their priors; the claims and strategies of its policies.toml are examined as well.
    MODEL is a Vensim or XMILE file: all constants vary by --range around their values, within their limits. Without
    either it is the park study. report.html in the output folder gives the answer in words. The Sobol design is kept: a
    call that was stopped goes on where it was, and one with more --rows continues the design.

    \b
    Examples:
      cipark sensitivity                                     the park: the drivers of residents and of a policy
      cipark sensitivity --until 0.05                        as many runs as the intervals need
      cipark sensitivity my.mdl --variables Population --range 0.3
      cipark sensitivity --draws prior                       which assumptions matter before the data
      cipark sensitivity --draws draws.nc                    posterior draws, which depend on each other
      cipark sensitivity --loops 20                          which feedback loops lead, and when
    """
    from cipark_sd.commands.sensitivity.compute import answer
    from cipark_sd.commands.sensitivity.request import Request

    return answer(Request(**options))
