"""The part of ``cipark calibrate`` that follows the posterior: what is asked, with progress, and what is said of it."""

from collections.abc import Collection

from calibration.assess.assessment import Assessment, Stages, assess
from calibration.assess.contraction import unseen_sentence
from calibration.assess.holdout import verdict
from calibration.assess.self_test import MASSES
from calibration.commands.pipeline import chosen_scenarios, effort_of, pool_of
from calibration.commands.settings import Settings
from calibration.likelihood.posterior import On
from calibration.report.collect import Calibration
from calibration.report.console import show_groups
from cipark_sd.console import progress_bars, say
from cipark_sd.errors import InvalidValue
from cipark_sd.tasks.pool import Progress
from cipark_sd.wording import percent


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
    scenarios = chosen_scenarios(problem, settings.scenarios)
    stages = Stages(scenarios=scenarios)
    if not made.interrupted:
        stages = Stages(settings.holdout, settings.rivals, scenarios, settings.self_tests)
    with progress_bars() as bars, pool_of(settings) as workers:

        def show_stage(stage: str, now: Progress) -> None:
            bars.show(stage, now.completed, now.total, ", ".join(now.running))

        return assess(
            drawn,
            made.optimum.theta,
            On(made.engine),
            problem.method.seed,
            stages,
            effort=effort,
            folder=settings.output,
            workers=workers,
            on_stage=show_stage,
        )


def show_assessment(assessment: Assessment, deviations: Collection[str] = ()) -> None:
    """The sentences of an assessment, its tables being files; groups are told by value and not by their deviations."""
    say(unseen_sentence([line for line in assessment.contractions if line.name not in deviations]))
    show_groups(assessment.groups)
    if assessment.rolling is not None:
        say(verdict(assessment.rolling))
    for line in assessment.comparison:
        say(
            f"{line.name} ({line.why}): {line.elpd_behind:.1f} behind in log predictive density, "
            f"stacking weight {line.stacking:.2f}, probability by evidence {line.probability:.2f}"
        )
    if assessment.tested is not None:
        say(f"Self-test: {percent(MASSES[2])} intervals held the truth in {assessment.tested.pooled[2]:.1%}.")
