"""``cipark calibrate``. Nothing heavy is imported before the command runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.base.console import echo
from cipark_sd.base.errors import InvalidValue
from cipark_sd.commands import completing, options
from cipark_sd.commands.options import argument, command_of, option
from cipark_sd.commands.result import Result, of_folder
from cipark_sd.engines.registry import names

if TYPE_CHECKING:
    from calibration.inference.sampling.convergence import Sampler
    from calibration.report.collect import Calibration
    from calibration.report.findings import Findings
    from cipark_sd.base.checkpoints import Checkpoints


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
    fit_also: tuple[str, ...] = option(
        "--fit-also", multiple=True, metavar="NAME", help="Also fit this observation of the study; repeatable."
    )
    profiles: bool = option(
        "--profiles/--no-profiles", default=True, help="Profile likelihood of each fitted parameter."
    )
    posterior: bool | None = option(
        "--posterior/--no-posterior",
        default=None,
        help="Sample the posterior of all parameters (default: briefly, if the model is small; not with --fast).",
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
        from calibration.study.library import FILE
        from cipark_sd.analysis.study import find_folder

        return self.study if isinstance(self.study, Path) else find_folder(self.study, file=FILE, where="calibrate")


@options.renamed("--draws", "--keep")
@command_of(Settings, short_help="Fit a model's parameters to observed data.")
def calibrate(request: Settings) -> Result:
    """Fit the parameters of a model to data and show what the data determine.

    STUDY is a folder with a problem.toml, or the name of a study that comes with the package; without it the park
    model is fitted to the counts of Great Stone. Exit code 1: stopped before the end, a posterior that has not
    converged, or an estimate at which PySD and the engine differ. Interrupted runs resume. A
    figure or another optional part that fails costs one line and no exit code; left_out.log has the cause.

    \b
    Examples:
      cipark calibrate                            the park study
      cipark calibrate --fast -o first-look       a quick look
      cipark calibrate my_study --starts 100      your own
      cipark calibrate --posterior                sample the posterior until it converges
      cipark calibrate --no-posterior             profiles alone
      cipark calibrate --all --self-test 200      everything
      cipark calibrate --scenario pandemic        a forecast under a scenario of the study
      cipark calibrate --until 2017-12-31         what 2018 and 2019 looked like from before
    """
    from calibration.commands import pipeline
    from calibration.report.output import show
    from cipark_sd.base.files import OUTPUT_FOLDER, output_folder
    from cipark_sd.base.optional import record_in
    from cipark_sd.pages.page import HTML

    study = request.folder
    folder = output_folder(request.output or OUTPUT_FOLDER / study.name)
    if request.dask is not None:
        # before the searches and not after them
        from cipark_sd.execution.cluster import check_address

        check_address(request.dask)
    settings = whole(replace(request, study=study), folder)
    record_in(folder)
    made = pipeline.calibrate(settings)
    findings = finish(settings, made, folder)
    show(findings, folder / HTML)
    return of_folder(folder, exit_code=0 if findings.sound else 1)


def whole(request: Settings, folder: Path) -> Settings:
    """The settings with all that they entail, and the checkpoints of a folder.

    Parameters
    ----------
    request : Settings
        As the command line has them; ``study`` is a path by now.
    folder : Path
        Of the output.

    Returns
    -------
    Settings
        With ``output`` and ``checkpoints``; ``--all`` and what needs a posterior are spelt out.
    """
    from cipark_sd.base.checkpoints import Checkpoints

    holdout, rivals = request.holdout or request.everything, request.rivals or request.everything
    return replace(
        request,
        output=folder,
        holdout=holdout,
        rivals=rivals,
        posterior=holdout or rivals or bool(request.scenarios) or request.self_tests > 0 or request.posterior,
        checkpoints=Checkpoints.in_output(folder, fresh=request.fresh),
    )


def finish(settings: Settings, made: "Calibration", folder: Path) -> "Findings":
    """What follows the posterior of a calibration, all of it in files.

    Parameters
    ----------
    settings : Settings
        As of :func:`whole`.
    made : Calibration
    folder : Path
        Of the output; it is there.

    Returns
    -------
    Findings
    """
    from calibration.commands import pipeline
    from calibration.report.collect import checks_at_estimate, fit_findings
    from calibration.report.findings import Findings, save
    from calibration.report.output import write, write_fit
    from cipark_sd.base.optional import attempt
    from cipark_sd.pages.output import PLAYER
    from cipark_sd.verify.checks.outcome import Outcome

    fit = fit_findings(made)
    if made.reused:
        echo(f"reused {made.reused} searches and profiles of an earlier run (--fresh computes them again)", err=True)
    pipeline.keep_draws(made, folder)
    assessed = pipeline.assessment(settings, made)
    checks = attempt(
        "model checks",
        lambda: tuple(checks_at_estimate(made.problem, made.optimum.theta, made.engine)),
        tuple[Outcome, ...](),
    )
    findings = Findings(fit, assessed, checks)
    save(findings, folder)
    # the page that runs the model takes up the fit, and the report takes up that page
    write_fit(findings, folder)
    if settings.player:
        from calibration.commands.play.page import write_player
        from cipark_sd.base.console import busy

        with busy("Making the page that runs the model"):
            seed = made.problem.method.seed
            attempt("player", lambda: write_player(made.problem, folder, seed), None, refused=OSError)
    else:
        (folder / PLAYER).unlink(missing_ok=True)
    write(findings, folder)
    return findings
