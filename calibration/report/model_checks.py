"""Whether the fitted model still behaves as its theory says: the model's own checks, made at the estimate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.checks.outcome import BUILT_IN_SOURCE, Outcome
from cipark_sd.scenarios import Scenario

if TYPE_CHECKING:
    import xarray as xr

    from cipark_sd.model.model import Model


def checks_at_estimate(problem: CalibrationProblem, theta: Array, engine: str) -> tuple[Outcome, ...]:
    """The outcomes of ``NAME.checks.toml`` beside the model file, each run started from the estimate.

    What a check sets itself wins over the estimate. Nothing when there is no such file.

    Raises
    ------
    Problems
        When the file cannot be read.
    """
    from cipark_sd.checks.file import read_checks
    from cipark_sd.checks.run import run_checks
    from cipark_sd.engines.registry import choose, names
    from cipark_sd.simulation import simulate

    model = problem.model
    if model.origin is None:
        return ()
    beside = model.origin.path.with_name(f"{model.origin.path.stem}.checks.toml")
    if not beside.is_file():
        return ()
    estimate = Scenario("estimate", values_of(problem, theta))
    # the checks make many runs, and whatever compiles the model gives the same bits
    engine = engine if choose(engine).compiled else names(compiled=True)[0]

    def at_estimate(model: "Model", scenario: Scenario, *, save: Sequence[str]) -> "xr.Dataset":
        return simulate(model, estimate | scenario, save=save, engine=engine)

    return run_checks(model, read_checks(beside, model), at_estimate, progress=lambda name, total: None)


def values_of(problem: CalibrationProblem, theta: Array) -> dict[str, float]:
    """Constants that the study holds and those of the model that it estimates, at the estimate."""
    held = dict(problem.fixed)
    space = problem.space
    return held | dict(zip(space.of_model, theta[space.is_model].tolist(), strict=True))


def verdict(outcomes: Sequence[Outcome]) -> str:
    """How many of the modeller's own checks pass, and which do not."""
    expected = [outcome for outcome in outcomes if outcome.source != BUILT_IN_SOURCE]
    if not expected:
        return "The model comes with no checks of what its theory expects."
    failed = [outcome for outcome in expected if outcome.status == "fail"]
    text = f"At the estimate {len(expected) - len(failed)} of {len(expected)} checks of what the theory expects pass"
    caution = " That a check passes is no evidence for the theory: an equation may force it for any data."
    if not failed:
        return text + "." + caution
    return text + "; not: " + "; ".join(f"{outcome.title} ({outcome.id})" for outcome in failed) + "." + caution
