"""Everything that follows a posterior: what was learnt, how it predicts, rivals, forecasts, self-tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration.attribution import Effect, effects
from calibration.contraction import Contraction, contractions
from calibration.convergence import Convergence
from calibration.draws import PosteriorDraws
from calibration.forecast import ForecastRow, forecast
from calibration.holdout import DensityOf, RollingOrigin, rolling_origin
from calibration.priors import Array
from calibration.replicate import replicate
from calibration.rival_draws import RIVALS, keep_rivals
from calibration.rivals import Comparison, RivalFits, compare, fit_rivals
from calibration.sample import Effort
from calibration.self_test import SelfTest, StepShift, integration_error, self_test
from calibration.variants import Variant

#: Called with the stage, the part of it, what is done, the budget, and what mixes worst.
OnStage = Callable[[str, str, int, int, Convergence | None], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """What to inquire; ``self_tests`` is the number of synthetic data sets."""

    holdout: bool = False
    rivals: bool = False
    scenarios: tuple[Variant, ...] = ()
    self_tests: int = 0


@dataclass(frozen=True, eq=False)
class Inquiry:
    """The answers; what was not asked is None or empty."""

    replicates: Array
    contractions: Sequence[Contraction]
    forecasts: Sequence[ForecastRow]
    step_shift: StepShift
    rolling: RollingOrigin | None
    refuted: Sequence[Variant]
    comparison: Sequence[Comparison]
    effects: Sequence[Effect]
    tested: SelfTest | None
    interrupted: bool

    @property
    def sound(self) -> bool:
        """Whether every posterior in it has converged and nothing was cut short."""
        origins = self.rolling is None or not self.rolling.not_converged
        return origins and all(line.converged for line in self.comparison) and not self.interrupted


def inquire(
    drawn: PosteriorDraws,
    estimate: Array,
    density_of: DensityOf,
    seed: int,
    ask: Ask,
    *,
    effort: Effort,
    folder: Path | None = None,
    on_stage: OnStage | None = None,
) -> Inquiry:
    """Answer what is asked; each stage has a random stream of its own, so that none depends on what else is asked.

    When the user stops, what is done is kept and later stages are left out. ``folder`` takes the chains of the rivals
    while they are sampled, and the draws and weights of all of them for policy experiments.
    """
    problem = drawn.density.problem

    def stream(stage: int) -> np.random.Generator:
        return np.random.default_rng([seed, 100 + stage])

    def told(stage: str) -> Callable[[object, int, int, Convergence | None], None]:
        def tell(part: object, done: int, most: int, worst: Convergence | None) -> None:
            if on_stage is not None:
                on_stage(stage, str(part), done, most, worst)

        return tell

    replicates = replicate(drawn.density, drawn.flat, stream(0))
    forecasts = forecast(problem, density_of, drawn.flat, stream(1), scenarios=ask.scenarios)
    shift = integration_error(problem, density_of, estimate)
    rolling, tested, interrupted = None, None, False
    rivals = RivalFits((), (), False)
    try:
        if ask.holdout and problem.holdout:
            rolling = rolling_origin(problem, density_of, stream(2), effort=effort, on_block=told("hold-out"))
        if ask.rivals and problem.rivals:
            rivals = fit_rivals(problem, density_of, stream(3), effort=effort, folder=folder, on_block=told("rivals"))
            interrupted = rivals.interrupted
        if ask.self_tests and not interrupted:
            tell = told("self-test")
            tested = self_test(
                drawn.density, ask.self_tests, stream(4), on_done=lambda done, n: tell("data sets", done, n, None)
            )
    except KeyboardInterrupt:
        interrupted = True
    fits = rivals.fits
    comparison = compare(fits) if fits else []
    if fits and folder is not None and not rivals.interrupted:
        keep_rivals(fits, rivals.refuted, comparison, folder / RIVALS)
    stacked = {line.name: line.stacking for line in comparison}
    weights = [stacked[fit.variant.name] for fit in fits]
    worth = effects(problem, fits, weights, density_of, stream(5)) if fits else []
    return Inquiry(
        replicates,
        contractions(drawn),
        forecasts,
        shift,
        rolling,
        rivals.refuted,
        comparison,
        worth,
        tested,
        interrupted,
    )
