"""The part of ``cipark calibrate`` that follows the posterior, with progress."""

from calibration.assess.assessment import Assessment, Stages, assess
from calibration.commands.pipeline import chosen_scenarios, effort_of, pool_of
from calibration.commands.settings import Settings
from calibration.likelihood.posterior import On
from calibration.report.collect import Calibration
from cipark_sd.console import progress_bars
from cipark_sd.errors import InvalidValue
from cipark_sd.tasks.pool import Progress


def assessment(settings: Settings, made: Calibration) -> Assessment:
    """What follows the posterior of a calibration; after a stop, what takes no fit.

    Raises
    ------
    InvalidValue
        Where it has no draws.
    UnknownName
        For a scenario that the study does not have.
    """
    problem, drawn = made.problem, made.draws
    if drawn is None:
        raise InvalidValue("the posterior", "none", "draws, with --posterior", where="calibrate")
    effort = effort_of(settings, drawn.density)
    # a posterior that was not asked for has no forecast under scenarios, which would cost as much again
    scenarios = chosen_scenarios(problem, settings.scenarios) if settings.posterior else ()
    stages = Stages(scenarios=scenarios)
    if not made.interrupted:
        stages = Stages(settings.holdout, settings.rivals, scenarios, settings.self_tests)
    with progress_bars() as bars, pool_of(settings) as workers:

        def show_stage(stage: str, now: Progress) -> None:
            bars.show(stage, now.completed, now.total, ", ".join(now.running))

        return assess(
            drawn,
            On(made.engine),
            problem.method.seed,
            stages,
            effort=effort,
            folder=settings.output,
            workers=workers,
            on_stage=show_stage,
        )
