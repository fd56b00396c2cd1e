"""``cipark calibrate``. Nothing heavy is imported before the command runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cipark_sd.commands import completing, options
from cipark_sd.commands.result import Result, of_folder
from cipark_sd.console import echo
from cipark_sd.engines.registry import names

if TYPE_CHECKING:
    from calibration.sampling.effort import Sampler


@click.command(short_help="Fit a model's parameters to observed data.")
@click.argument("study", shell_complete=completing.studies, required=False)
@click.option("--starts", type=click.IntRange(1, 100_000), help="Number of local searches (default: the study's).")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the random numbers (default: the study's).")
@click.option("--estimate", type=click.Choice(["map", "ml"]), help="Maximum a posteriori, or maximum likelihood.")
@click.option("--level", type=float, help="Of profile intervals, between 0 and 1; default from the study, else 0.95.")
@click.option("--until", metavar="DATE", help="Fit the rows up to this date; later rows are held out.")
@click.option("--fit-also", multiple=True, metavar="NAME", help="Also fit this observation of the study; repeatable.")
@click.option("--profiles/--no-profiles", default=True, help="Profile likelihood of each fitted parameter.")
@click.option("--posterior", is_flag=True, help="Draw from the posterior of all parameters and score the prediction.")
@click.option(
    "--sampler",
    type=click.Choice(["importance", "hmc", "chains"]),
    default="importance",
    show_default=True,
    help="Importance sampling, with another one where its weights cannot be trusted; or one of these at once: the "
    "Hamiltonian Monte Carlo, ensemble chains.",
)
@click.option(
    "--steps",
    type=click.IntRange(200, 10_000_000),
    default=6000,
    show_default=True,
    help="Largest number of steps of chains; of Hamiltonian Monte Carlo a tenth as many draws.",
)
@click.option(
    "--keep",
    "draws",
    type=click.IntRange(100, 1_000_000),
    default=2500,
    show_default=True,
    help="Posterior draws to keep of each ensemble.",
)
@click.option("--holdout", is_flag=True, help="Refit at each origin of the study and score later rows.")
@click.option("--rivals", is_flag=True, help="Fit the study's rival structures and compare them.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME",
    help="Forecast under this scenario; repeatable (default: all).",
)
@click.option(
    "--self-test",
    "self_tests",
    type=click.IntRange(min=0, max=1_000_000),
    default=0,
    help="Number of synthetic data sets to fit.",
)
@options.workers("Processes; they change no result (default: one a processor).")
@options.dask
@options.allow_failed
@click.option("--all", "everything", is_flag=True, help="Posterior, hold-out and rivals.")
@click.option("--fast", is_flag=True, help="Few searches, and no comparison with PySD unless requested.")
@click.option(
    "--compare-pysd/--no-compare-pysd",
    default=None,
    help="Run the estimate in PySD as well (default: if it is a matter of seconds).",
)
@click.option(
    "--engine",
    type=click.Choice(names()),
    default="native",
    show_default=True,
    help="Simulation engine.",
)
@click.option("--player/--no-player", default=True, help="The model to be played with, in the report.")
@options.fresh
@options.output_folder("STUDY")
@options.renamed("--draws", "--keep")
@options.allow_files
def calibrate(
    study: str | None,
    starts: int | None,
    seed: int | None,
    estimate: str | None,
    level: float | None,
    until: str | None,
    fit_also: tuple[str, ...],
    profiles: bool,
    posterior: bool,
    sampler: "Sampler",
    steps: int,
    draws: int,
    holdout: bool,
    rivals: bool,
    scenarios: tuple[str, ...],
    self_tests: int,
    workers: int | None,
    dask: str | None,
    allow_failed: float | None,
    everything: bool,
    fast: bool,
    compare_pysd: bool | None,
    engine: str,
    player: bool,
    fresh: bool,
    output: Path | None,
    allow_files: tuple[Path, ...],
) -> Result:
    """Fit the parameters of a model to data and show what the data determine.

    STUDY is a folder with a problem.toml, or the name of a study that comes with the package; without it the park
    model is fitted to the counts of Great Stone. Exit code 1: stopped before the end, a posterior that has not
    converged, or an estimate at which PySD and the engine differ. A call that was stopped goes on where it was. A
    figure or another optional part that fails costs one line and no exit code; left_out.log has the cause.

    \b
    Examples:
      cipark calibrate                            the park study
      cipark calibrate --fast -o first-look       a quick look
      cipark calibrate my_study --starts 100      your own
      cipark calibrate --posterior                joint draws, as NetCDF, and a report
      cipark calibrate --all --self-test 200      everything
      cipark calibrate --scenario pandemic        a forecast under a scenario of the study
      cipark calibrate --until 2017-12-31         what 2018 and 2019 looked like from before
    """
    from calibration.commands import pipeline
    from calibration.report import console as fitting_console
    from calibration.report.collect import fit_findings
    from calibration.report.findings import Findings, save
    from calibration.report.model_checks import checks_at_estimate
    from calibration.report.output import write, write_fit
    from calibration.study.library import FILE
    from cipark_sd.checkpoints import Checkpoints
    from cipark_sd.checks.outcome import Outcome
    from cipark_sd.files import OUTPUT_FOLDER, output_folder
    from cipark_sd.optional import attempt, record_in
    from cipark_sd.pages.output import PLAYER
    from cipark_sd.pages.page import HTML
    from cipark_sd.study import find_folder

    study_folder = find_folder(study, file=FILE, where="calibrate")
    folder = output_folder(output or OUTPUT_FOLDER / study_folder.name)
    if dask is not None:
        # before the searches and not after them
        from cipark_sd.tasks.cluster import check_address

        check_address(dask)
    settings = pipeline.Settings(
        study=study_folder,
        starts=starts,
        seed=seed,
        estimate=estimate,
        level=level,
        until=until,
        fit_also=fit_also,
        profiles=profiles,
        fast=fast,
        compare_pysd=compare_pysd,
        engine=engine,
        posterior=posterior or everything or holdout or rivals or bool(scenarios) or self_tests > 0,
        sampler=sampler,
        steps=steps,
        draws=draws,
        holdout=holdout or everything,
        rivals=rivals or everything,
        scenarios=scenarios,
        self_tests=self_tests,
        workers=workers,
        dask=dask,
        allow_failed=allow_failed,
        checkpoints=Checkpoints.in_output(folder, fresh=fresh),
        output=folder,
        allow_files=allow_files,
    )
    record_in(folder)
    made = pipeline.calibrate(settings)
    fit = fit_findings(made)
    fitting_console.show(fit, made.reused)
    written = pipeline.keep_draws(made, folder)
    assessed = None
    if made.draws is not None:
        from calibration.commands import assess

        assessed = assess.assessment(settings, made)
        assess.show_assessment(assessed, fit.study.deviations)
    checks = attempt(
        "model checks",
        lambda: tuple(checks_at_estimate(made.problem, made.optimum.theta, made.engine)),
        tuple[Outcome, ...](),
    )
    findings = Findings(fit, assessed, checks)
    written.append(save(findings, folder))
    # the page that runs the model takes up the fit, and the report takes up that page
    write_fit(findings, folder)
    if player:
        from calibration.commands.play.report import write_player
        from cipark_sd.console import busy

        with busy("Making the page that runs the model"):
            seed = made.problem.method.seed
            attempt("player", lambda: write_player(made.problem, folder, seed), None, refused=OSError)
    else:
        (folder / PLAYER).unlink(missing_ok=True)
    written += write(findings, folder)
    fitting_console.show_headlines(findings)
    echo(f"\n{len(written)} tables, figures (SVG, PNG, PDF) and other files in {folder}")
    echo(f"read {folder / HTML}")
    return of_folder(folder, exit_code=0 if findings.sound else 1)
