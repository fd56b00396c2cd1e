"""The part of ``cipark calibrate`` that follows the posterior: what is asked, with progress, and what is said of it."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

from calibration.contraction import unseen_sentence
from calibration.convergence import Convergence
from calibration.fitting import Settings, chosen_scenarios, plain, progress_bars
from calibration.holdout import verdict
from calibration.inquiry import Ask, Inquiry, inquire
from calibration.posterior import posterior
from calibration.predict import runner_factory
from calibration.record import Fit
from calibration.sample import Effort
from cipark_sd.errors import InvalidValue

if TYPE_CHECKING:
    from rich.progress import TaskID


def inquiry(settings: Settings, fit: Fit) -> Inquiry:
    """What follows the posterior of ``fit``.

    Raises
    ------
    InvalidValue
        Where the fit has no draws.
    UnknownName
        For a scenario that the study does not have.
    """
    problem, drawn = fit.problem, fit.draws
    if drawn is None:
        raise InvalidValue("the posterior", "none", "draws, with --posterior", where="calibrate")
    effort = Effort(most_steps=settings.steps, least_steps=min(settings.steps, Effort().least_steps))
    ask = Ask(settings.holdout, settings.rivals, chosen_scenarios(problem, settings.scenarios), settings.self_tests)
    bar = progress_bars()
    with bar if bar is not None else cast("AbstractContextManager[object]", nullcontext()):
        tasks: dict[str, TaskID] = {}

        def told(stage: str, part: str, done: int, most: int, worst: Convergence | None) -> None:
            if bar is None:
                return
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage)
            state = f", {plain(str(worst))}" if worst is not None else ""
            bar.update(tasks[stage], completed=done, total=most, description=f"{stage} {part}{state}")

        return inquire(
            drawn,
            fit.optimum.theta,
            lambda one: posterior(one, runner_factory(fit.engine)),
            fit.seed,
            ask,
            effort=effort,
            folder=settings.output,
            on_stage=told,
        )


def show_inquiry(found: Inquiry) -> None:
    """The sentences of an inquiry; its tables are files."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(plain(unseen_sentence(found.contractions)))
    if found.rolling is not None:
        console.print(plain(verdict(found.rolling)))
    for line in found.comparison:
        console.print(
            plain(
                f"{line.name} ({line.why}): {line.elpd_behind:.1f} behind in log predictive density, "
                f"stacking weight {line.stacking:.2f}, probability by evidence {line.probability:.2f}"
            )
        )
    if found.tested is not None:
        console.print(f"Self-test: 95 % intervals held the truth in {found.tested.pooled[2]:.1%}.")
