"""What the command line of ``cipark sensitivity`` asks for. Nothing heavy is imported here."""

from dataclasses import dataclass
from pathlib import Path

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, option

#: Times that are analysed when nothing is said: Shapley effects of 23 constants took 20 s, and at 1,441 times over
#: seven minutes.
MOST_TIMES = 100
#: Share of a bare model's constants by which they vary when nothing is said.
RANGE = 0.2
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


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    target: str | None = argument(shell_complete=completing.targets, required=False, metavar="[STUDY|MODEL]")
    outputs: tuple[str, ...] = options.variables("outputs to analyse")
    about: str | None = option(
        "--about",
        metavar="QUESTION",
        help='Of a study: what title and first figure are about, as in "Infected at 2020-03-01" (default: what its fit '
        "was asked).",
    )
    share: float | None = option(
        "--range", type=float, help=f"Of a bare model: constants vary by this share.  [default: {RANGE}]"
    )
    leave_out: tuple[str, ...] = options.leave_out("Of a bare model")
    methods: tuple[str, ...] = option("--method", multiple=True, type=_Methods(), help="Only this method; repeatable.")
    rows: int = option(
        "--rows", type=_ROWS, default=1024, show_default=True, help="Rows of the Sobol design: a power of 2."
    )
    moments: tuple[float, ...] = option(
        "--at", multiple=True, type=float, metavar="TIME", help="Rank at this time; repeatable."
    )
    every: float | None = option(
        "--every",
        type=click.FloatRange(0, min_open=True),
        metavar="TIME",
        help="Analyse at times so far apart.  [default: the study's, else 100 saved times at most]",
    )
    draws: Path | None = option(
        "--draws", type=options.PATH, metavar="SOURCE", help="prior, or draws: a fit's folder, .nc or .csv."
    )
    seed: int = options.seed(1)
    resamples: int = option(
        "--resamples",
        type=click.IntRange(2, 100_000),
        default=100,
        show_default=True,
        help="Resamples of the bootstrap.",
    )
    workers: int | None = options.workers()
    dask: str | None = options.dask()
    allow_failed: float | None = options.allow_failed()
    loop_draws: int | None = option(
        "--loops",
        type=click.IntRange(0, 100_000),
        metavar="N",
        help="Loop dominance, with bands over N draws (needs the extra loops).",
    )
    fresh: bool = options.fresh()
    output: Path | None = options.output_folder("NAME-sensitivity")
    series: tuple[Path, ...] = options.series()
    allow_files: tuple[Path, ...] = options.allow_files()

    @property
    def prior(self) -> bool:
        """Whether the priors are asked for by name, whatever has been fitted."""
        return self.draws == Path("prior")
