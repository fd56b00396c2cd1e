"""What the command line of ``cipark calibrate`` asks for. Nothing heavy is imported here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, option
from cipark_sd.engines.registry import names

if TYPE_CHECKING:
    from calibration.inference.sample.convergence import Sampler
    from cipark_sd.base.checkpoints import Checkpoints
    from cipark_sd.model.model import Method as Integration


def _nowhere() -> "Checkpoints":
    from cipark_sd.base.checkpoints import NOT_KEPT

    return NOT_KEPT


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for; None leaves the study's own. ``checkpoints`` are where finished work is kept."""

    study: Path | str | None = argument(shell_complete=completing.studies, required=False)
    starts: int | None = option(
        "--starts", type=click.IntRange(1, 100_000), help="Number of local searches (default: the study's)."
    )
    seed: int | None = option(
        "--seed", type=click.IntRange(min=0), help="Seed of the random numbers (default: the study's)."
    )
    estimate: str | None = option(
        "--estimate", type=click.Choice(["map", "ml"]), help="Maximum a posteriori, or maximum likelihood."
    )
    level: float | None = option(
        "--level", type=float, help="Of profile intervals, between 0 and 1; default from the study, else 0.95."
    )
    until: str | None = option("--until", metavar="DATE", help="Fit the rows up to this date; later rows are held out.")
    about: str | None = option(
        "--about",
        metavar="QUESTION",
        help='Question for the title: a fitted constant, or a variable at a date as in "Infected at 2020-03-01" '
        "(default: the study's, else its first course).",
    )
    fit_also: tuple[str, ...] = option(
        "--fit-also", multiple=True, metavar="NAME", help="Also fit this observation of the study; repeatable."
    )
    step: float | None = option(
        "--step",
        type=float,
        help="Time step in the model's unit of time (default: the study's, or a finer one where that is too coarse).",
    )
    method: "Integration | None" = options.method()
    profiles: bool = option(
        "--profiles/--no-profiles", default=True, help="Profile likelihood of each fitted parameter."
    )
    posterior: bool | None = option(
        "--posterior/--no-posterior",
        default=None,
        help="Sample the posterior of all parameters, whatever it takes (default: for about two minutes of processor "
        "time, after which the next call goes on; not of a large model, nor with --fast).",
    )
    sampler: "Sampler" = option(
        "--sampler",
        type=click.Choice(["importance", "hmc", "chains"]),
        default="importance",
        show_default=True,
        help="Importance sampling, with another one where its weights cannot be trusted; or one of these alone: the "
        "Hamiltonian Monte Carlo, ensemble chains.",
    )
    steps: int | None = option(
        "--steps",
        type=click.IntRange(200, 10_000_000),
        help="Largest number of steps of chains, those that adapt them included (default: fewer, the larger the "
        "model).",
    )
    draws: int = option(
        "--keep",
        type=click.IntRange(100, 1_000_000),
        default=2500,
        show_default=True,
        help="Posterior draws to keep of each ensemble.",
    )
    holdout: bool = option("--holdout", is_flag=True, help="Refit at each origin of the study and score later rows.")
    rivals: bool = option("--rivals", is_flag=True, help="Fit the study's rival structures and compare them.")
    scenarios: tuple[str, ...] = option(
        "--scenario", multiple=True, metavar="NAME", help="Forecast under this scenario; repeatable (default: all)."
    )
    self_tests: int = option(
        "--self-test",
        type=click.IntRange(min=0, max=1_000_000),
        default=0,
        help="Number of synthetic data sets to fit.",
    )
    workers: int | None = options.workers("Processes; they change no result (default: one a processor).")
    dask: str | None = options.dask()
    allow_failed: float | None = options.allow_failed()
    everything: bool = option("--all", is_flag=True, help="Posterior, hold-out and rivals.")
    fast: bool = option("--fast", is_flag=True, help="Few searches; neither posterior nor PySD unless requested.")
    compare_pysd: bool | None = option(
        "--compare-pysd/--no-compare-pysd",
        default=None,
        help="Run the estimate in PySD as well (default: if it is a matter of seconds).",
    )
    engine: str = option(
        "--engine", type=click.Choice(names()), default="native", show_default=True, help="Simulation engine."
    )
    player: bool = option("--player/--no-player", default=True, help="The model to be played with, in the report.")
    fresh: bool = options.fresh()
    output: Path | None = options.output_folder("STUDY")
    allow_files: tuple[Path, ...] = options.allow_files()
    checkpoints: "Checkpoints" = field(default_factory=_nowhere)

    def __post_init__(self) -> None:
        # here, and not where the study is read: by then there is a folder for what is computed
        if self.level is not None and not 0 < self.level < 1:
            raise InvalidValue("the level", self.level, "a number between 0 and 1, such as 0.95", where="--level")

    @property
    def folder(self) -> Path:
        """Of the study."""
        from calibration.study import FILE
        from cipark_sd.analysis.study import find_folder

        return self.study if isinstance(self.study, Path) else find_folder(self.study, file=FILE, where="calibrate")
