"""``cipark calibrate``. Nothing heavy is imported before the command runs."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.settings import Settings
from cipark_sd.base.console import echo
from cipark_sd.commands.options import command_of
from cipark_sd.commands.result import Result, of_folder

if TYPE_CHECKING:
    from calibration.report.collect import Calibration
    from calibration.report.findings import Findings, Fit


@command_of(Settings, short_help="Fit a model's parameters to observed data.")
def calibrate(request: Settings) -> Result:
    """Fit the parameters of a model to data and show what the data determine.

    STUDY is a folder with a problem.toml, or the name of a study that comes with the package; without it the park
    model is fitted to the counts of Great Stone. Exit code 1: stopped before the end, a posterior that has not
    converged, a time step that is too coarse and was not asked for (--step), or an estimate at which PySD and the
    engine differ. Interrupted runs resume. A figure or another optional part that fails costs one line and no exit
    code; left_out.log has the cause.

    \b
    Examples:
      cipark calibrate                            the park study
      cipark calibrate --fast -o first-look       a quick look
      cipark calibrate my_study --starts 100      your own
      cipark calibrate --posterior                sample the posterior until it converges
      cipark calibrate --no-posterior             profiles alone
      cipark calibrate --all --self-test 200      everything
      cipark calibrate --scenario pandemic        a forecast under a scenario of the study
      cipark calibrate --about "Total Residents at 2019-12-31"
                                                  a title that answers this question
      cipark calibrate --until 2017-12-31         what 2018 and 2019 looked like from before
    """
    from calibration.commands import pipeline
    from calibration.report.collect import fit_findings
    from calibration.report.output import ending
    from cipark_sd.base.files import OUTPUT_FOLDER, output_folder
    from cipark_sd.base.optional import record_in
    from cipark_sd.pages.page import HTML

    study = request.folder
    folder = output_folder(request.output or OUTPUT_FOLDER / study.resolve().name)
    if request.dask is not None:
        # before the searches and not after them
        from cipark_sd.execution.cluster import check_address

        check_address(request.dask)
    settings = whole(replace(request, study=study), folder)
    record_in(folder)
    made = pipeline.calibrate(settings, maximised=True)
    if made.problem.payoff:
        from calibration.commands.payoff import payoff_result

        return payoff_result(made, folder)
    findings = finish(settings, made, fit_findings(made), folder)
    return of_folder(folder, ending=ending(findings, folder / HTML), exit_code=0 if findings.sound else 1)


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


def finish(settings: Settings, made: "Calibration", fit: "Fit", folder: Path) -> "Findings":
    """What follows the posterior of a calibration, all of it in files.

    Parameters
    ----------
    settings : Settings
        As of :func:`whole`.
    fit : Fit
        The findings of the calibration.
    folder : Path
        Of the output; it is there.
    """
    from calibration.commands import pipeline
    from calibration.report.collect import checks_at_estimate
    from calibration.report.findings import Findings, save
    from calibration.report.output import files_of_earlier, write
    from cipark_sd.base.optional import attempt
    from cipark_sd.pages.output import PLAYER
    from cipark_sd.verify.checks.outcome import Outcome

    if made.reused:
        echo(made.reused, err=True)
    pipeline.keep_draws(made, folder)
    assessed = pipeline.assessment(settings, made)
    checks = attempt(
        "model checks",
        lambda: tuple(checks_at_estimate(made.problem, made.optimum.theta, made.engine)),
        tuple[Outcome, ...](),
    )
    findings = Findings(fit, assessed, checks)
    earlier = files_of_earlier(folder)
    save(findings, folder)
    # the page that runs the model takes up the fit, and the report takes up that page
    pipeline.keep_fit(findings, folder)
    if settings.player:
        from calibration.commands.play.page import write_player
        from cipark_sd.base.console import busy

        with busy("Making the page that runs the model"):
            seed = made.problem.method.seed
            attempt("player", lambda: write_player(made.problem, folder, seed), None, refused=OSError)
    else:
        (folder / PLAYER).unlink(missing_ok=True)
    # what this fit does not have goes when all that it has is there
    for path in earlier.difference(write(findings, folder)):
        path.unlink(missing_ok=True)
    return findings
