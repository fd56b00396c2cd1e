"""Everything that follows a posterior: what was learnt, how it predicts, rivals, forecasts, self-tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.assess.contraction import Contraction, GroupValue, contractions, group_values
from calibration.assess.forecast import EQUAL, forecast, forecast_mixture, joined, table_of
from calibration.assess.holdout import MODEL, RollingOrigin, Whole, rolling_origin
from calibration.assess.posterior_predictive import Band, Discrepancy, bands, discrepancies
from calibration.assess.rival_draws import RIVALS, keep_rivals
from calibration.assess.rivals import Comparison, RivalFit, RivalFits, compare, fit_rivals, mixture, rival_numbers
from calibration.assess.self_test import RankBand, SelfTest, judged, self_test
from calibration.inference.sampling.convergence import Effort
from calibration.inference.sampling.draws import PosteriorDraws
from calibration.likelihood.posterior import DensityOf
from calibration.likelihood.replicate import Stage, replicate, stage_numbers
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.optional import attempt
from cipark_sd.execution.pool import Pool, Progress

#: Draws of each rival, and of a mixture, of which forecasts are made.
DRAWS = 1000
#: Effective draws of a posterior at an origin, of which scores alone are read.
ORIGIN = 2000.0
#: Called with the name of a stage and how far it is.
OnStage = Callable[[str, Progress], None]


@dataclass(frozen=True, slots=True)
class Stages:
    """What to assess; ``self_tests`` is the number of synthetic data sets."""

    holdout: bool = False
    rivals: bool = False
    scenarios: tuple[Structure, ...] = ()
    self_tests: int = 0


@dataclass(frozen=True, slots=True)
class Refuted:
    """A rival structure under which the data are impossible."""

    name: str
    why: str


@dataclass(frozen=True, eq=False)
class Assessment:
    """The answers; what was not asked is None or empty."""

    bands: tuple[Band, ...] = ()
    contractions: tuple[Contraction, ...] = ()
    forecasts: pd.DataFrame = field(default_factory=partial(table_of, ()))
    rolling: RollingOrigin | None = None
    refuted: tuple[Refuted, ...] = ()
    comparison: tuple[Comparison, ...] = ()
    tested: SelfTest | None = None
    ranks: RankBand | None = None
    interrupted: bool = False
    discrepancies: tuple[Discrepancy, ...] = ()
    groups: tuple[GroupValue, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every posterior in it has converged and nothing was cut short."""
        origins = self.rolling is None or not self.rolling.not_converged
        return origins and all(line.converged for line in self.comparison) and not self.interrupted


#: What follows no posterior.
NOTHING = Assessment()


def assess(
    drawn: PosteriorDraws,
    density_of: DensityOf,
    seed: int,
    stages: Stages,
    *,
    effort: Effort,
    folder: Path | None = None,
    workers: Pool | None = None,
    on_stage: OnStage | None = None,
) -> Assessment:
    """Answer what is asked; each stage has a random stream of its own, so that none depends on what else is asked.

    When the user stops, later stages are left out; what the workers have done, chains in progress too, is where their
    checkpoints are. ``folder`` takes the draws and weights of all rivals, for policy experiments.
    """
    problem = drawn.density.problem

    def stream(stage: Stage) -> np.random.Generator:
        return stage_numbers(seed, stage)

    replicates = replicate(drawn.density, drawn.flat, stream(Stage.REPLICATES))
    forecasts = attempt(
        "forecast",
        lambda: forecast(problem, density_of, drawn.flat, stream(Stage.FORECASTS), scenarios=stages.scenarios),
        table_of(()),
    )
    rivals, rolling, tested, interrupted = _fitted_again(drawn, density_of, seed, stages, effort, workers, on_stage)
    fits = rivals.fits
    comparison = compare(fits) if fits else []
    if fits and folder is not None and not rivals.interrupted:
        keep_rivals(problem, fits, rivals.refuted, comparison, folder / RIVALS)
    stacked = {line.name: line.stacking for line in comparison}
    weights = [stacked[fit.variant.id] for fit in fits]
    if fits:
        of_rivals = _of_structures(problem, fits, weights, density_of, stages.scenarios, seed)
        forecasts = joined([forecasts, *of_rivals])
    return Assessment(
        bands=tuple(bands(problem.observations, replicates)),
        contractions=tuple(contractions(drawn)),
        forecasts=forecasts,
        rolling=rolling,
        refuted=tuple(Refuted(variant.id, variant.title) for variant in rivals.refuted),
        comparison=tuple(comparison),
        tested=tested,
        ranks=None if tested is None else judged(tested, seed),
        interrupted=interrupted,
        discrepancies=attempt("discrepancies", lambda: discrepancies(drawn.density, drawn.flat, replicates), ()),
        groups=attempt("groups", lambda: tuple(group_values(drawn, stream(Stage.GROUPS))), ()),
    )


def _fitted_again(
    drawn: PosteriorDraws,
    density_of: DensityOf,
    seed: int,
    stages: Stages,
    effort: Effort,
    workers: Pool | None,
    on_stage: OnStage | None,
) -> tuple[RivalFits, RollingOrigin | None, SelfTest | None, bool]:
    """What takes fits of its own: rivals, origins and self-tests; whether the user stopped among them."""
    problem = drawn.density.problem
    rolling: RollingOrigin | None = None
    tested: SelfTest | None = None
    interrupted = False
    rivals = RivalFits((), (), False)
    try:
        if stages.rivals and problem.rivals:
            rivals = attempt(
                "rivals",
                lambda: fit_rivals(
                    problem, density_of, rival_numbers(seed), effort=effort, workers=workers, on_stage=on_stage
                ),
                rivals,
            )
            interrupted = rivals.interrupted
        if stages.holdout and problem.holdout and not interrupted:
            rolling = attempt(
                "hold-out",
                lambda: rolling_origin(
                    problem,
                    density_of,
                    stage_numbers(seed, Stage.HOLDOUT),
                    rivals=problem.rivals if stages.rivals else (),
                    whole=_whole(drawn, rivals.fits),
                    effort=replace(effort, effective=min(effort.effective, ORIGIN)),
                    workers=workers,
                    on_progress=None if on_stage is None else partial(on_stage, "hold-out"),
                ),
                None,
            )
        if stages.self_tests and not interrupted:
            tested = attempt(
                "self-test",
                lambda: self_test(
                    problem,
                    density_of,
                    stages.self_tests,
                    stage_numbers(seed, Stage.SELF_TEST),
                    workers=workers,
                    on_progress=None if on_stage is None else partial(on_stage, "self-test"),
                ),
                None,
            )
            interrupted = tested is not None and tested.interrupted
    except KeyboardInterrupt:
        interrupted = True
    return rivals, rolling, tested, interrupted


def _whole(drawn: PosteriorDraws, fits: Sequence[RivalFit]) -> dict[str, Whole]:
    """Where sampling at the origins begins."""
    weights = np.array([term.weight for term in drawn.density.problem.fitted_terms])
    of_model = drawn.flat, drawn.density.pointwise(drawn.flat, known="others")
    by_rival = {fit.variant.id: (fit.flat, weights * fit.log_likelihood.reshape(len(fit.flat), -1)) for fit in fits}
    return {MODEL: of_model, **by_rival}


def _of_structures(
    problem: CalibrationProblem,
    fits: Sequence[RivalFit],
    weights: Sequence[float],
    density_of: DensityOf,
    scenarios: Sequence[Structure],
    seed: int,
) -> Iterator[pd.DataFrame]:
    """Forecasts under each rival, and under their mixtures: with the weights of leave-one-out stacking, and equally."""
    choosing = stage_numbers(seed, Stage.MIXTURES)
    mixtures = [(fit.variant.id, [fit], [1.0]) for fit in fits]
    if len(fits) > 1:
        mixtures += [
            ("mixture, leave-one-out weights", list(fits), list(weights)),
            (EQUAL, list(fits), [1.0] * len(fits)),
        ]
    for name, members, shares in mixtures:
        parts = mixture(members, shares, DRAWS, choosing)
        numbers = stage_numbers(seed, Stage.FORECASTS)
        yield forecast_mixture(problem, density_of, parts, numbers, structure=name, scenarios=scenarios)
