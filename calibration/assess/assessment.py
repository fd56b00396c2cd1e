"""Everything that follows a posterior: what was learnt, how it predicts, rivals, forecasts, self-tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.assess.contraction import Contraction, contractions, group_values, table_of_groups
from calibration.assess.forecast import EQUAL, forecast, forecast_mixture, joined, table_of
from calibration.assess.holdout import MODEL, RollingOrigin, Whole, rolling_origin
from calibration.assess.posterior_predictive import Band, Discrepancy, bands, discrepancies
from calibration.assess.rival_draws import RIVALS, keep_rivals
from calibration.assess.rivals import (
    Comparison,
    Fitted,
    OnStage,
    RivalFit,
    compare,
    fit_rivals,
    mixture,
    rival_numbers,
    untold,
)
from calibration.assess.self_test import SelfTest, judged, self_test
from calibration.inference.sample.convergence import Effort
from calibration.inference.sample.draws import PosteriorDraws
from calibration.likelihood.posterior import DensityOf
from calibration.likelihood.replicate import Stage, replicate, stage_numbers
from calibration.study.problem import CalibrationProblem
from cipark_sd.analysis.experiments.definition import Structure
from cipark_sd.base.optional import attempt
from cipark_sd.execution.pool import Pool

#: Draws of each rival, and of a mixture, of which forecasts are made.
DRAWS = 1000
#: Effective draws of a posterior at an origin, of which scores alone are read.
ORIGIN = 2000.0


@dataclass(frozen=True, eq=False)
class Stages:
    """What to assess, and who does it.

    Parameters
    ----------
    effort : Effort
        Of each posterior that is sampled again; self-tests have their own.
    scenarios : tuple of Structure
        Under which forecasts are made beside the study's own settings.
    self_tests : int
        How many synthetic data sets.
    folder : Path, optional
        Takes the draws and weights of all rivals, for policy experiments.
    workers : Pool, optional
        Without them all is done in this process and nothing is kept.
    on_stage : function
        Called with the name of a stage and how far it is.
    """

    effort: Effort
    holdout: bool = False
    rivals: bool = False
    scenarios: tuple[Structure, ...] = ()
    self_tests: int = 0
    folder: Path | None = None
    workers: Pool | None = None
    on_stage: OnStage = untold


@dataclass(frozen=True, eq=False)
class Assessment:
    """The answers; what was not asked is None or empty.

    ``refuted`` has rivals under which the data are impossible, by name what each is.
    """

    bands: tuple[Band, ...] = ()
    contractions: tuple[Contraction, ...] = ()
    forecasts: pd.DataFrame = field(default_factory=partial(table_of, ()))
    rolling: RollingOrigin | None = None
    refuted: dict[str, str] = field(default_factory=dict)
    comparison: tuple[Comparison, ...] = ()
    tested: SelfTest | None = None
    interrupted: bool = False
    discrepancies: tuple[Discrepancy, ...] = ()
    groups: pd.DataFrame = field(default_factory=table_of_groups)

    @property
    def sound(self) -> bool:
        """Whether every posterior in it has converged and nothing was cut short."""
        origins = self.rolling is None or not self.rolling.not_converged
        return origins and all(line.converged for line in self.comparison) and not self.interrupted


#: What follows no posterior.
NOTHING = Assessment()


def assess(drawn: PosteriorDraws, density_of: DensityOf, stages: Stages) -> Assessment:
    """Answer what is asked; each stage has a random stream of its own, so that none depends on what else is asked.

    When the user stops, later stages are left out; what the workers have done, chains in progress too, is where their
    checkpoints are.

    Parameters
    ----------
    drawn : PosteriorDraws
        Of the study as it stands, whose seed all streams come from.
    density_of : DensityOf
        Makes the density of a rival, an early state or a synthetic data set; it has to pickle.

    Returns
    -------
    Assessment
        Stages that have failed are left out as if they had not been asked.
    """
    problem = drawn.density.problem
    stream = partial(stage_numbers, problem.method.seed)
    replicates = replicate(drawn.density, drawn.flat, stream(Stage.REPLICATES))
    forecasts = attempt(
        "forecast",
        lambda: forecast(problem, density_of, drawn.flat, stream(Stage.FORECASTS), scenarios=stages.scenarios),
        table_of(()),
    )
    (fits, refuted, stopped), rolling, tested, interrupted = _fitted_again(drawn, density_of, stages)
    comparison = compare(fits) if fits else []
    if fits:
        if stages.folder is not None and not stopped:
            keep_rivals(problem, fits, refuted, comparison, stages.folder / RIVALS)
        stacked = {line.name: line.stacking for line in comparison}
        weights = [stacked[fit.variant.id] for fit in fits]
        forecasts = joined([forecasts, *_of_structures(problem, fits, weights, density_of, stages.scenarios)])
    return Assessment(
        bands=tuple(bands(problem.observations, replicates)),
        contractions=tuple(contractions(drawn)),
        forecasts=forecasts,
        rolling=rolling,
        refuted={variant.id: variant.title for variant in refuted},
        comparison=tuple(comparison),
        tested=None if tested is None else judged(tested, problem.method.seed),
        interrupted=interrupted,
        discrepancies=attempt("discrepancies", lambda: discrepancies(drawn.density, drawn.flat, replicates), ()),
        groups=attempt("groups", lambda: group_values(drawn, stream(Stage.GROUPS)), table_of_groups()),
    )


def _fitted_again(
    drawn: PosteriorDraws, density_of: DensityOf, stages: Stages
) -> tuple[Fitted, RollingOrigin | None, SelfTest | None, bool]:
    """What takes fits of its own: rivals, origins and self-tests; whether the user stopped among them."""
    problem, workers, effort = drawn.density.problem, stages.workers, stages.effort
    stream = partial(stage_numbers, problem.method.seed)
    rivals: Fitted = (), (), False
    rolling, tested, interrupted = None, None, False

    def fitted_rivals() -> Fitted:
        numbers = rival_numbers(problem.method.seed)
        return fit_rivals(problem, density_of, numbers, effort=effort, workers=workers, on_stage=stages.on_stage)

    def at_origins() -> RollingOrigin:
        return rolling_origin(
            problem,
            density_of,
            stream(Stage.HOLDOUT),
            rivals=problem.rivals if stages.rivals else (),
            whole=_whole(drawn, rivals[0]),
            effort=replace(effort, effective=min(effort.effective, ORIGIN)),
            workers=workers,
            on_progress=partial(stages.on_stage, "hold-out"),
        )

    def self_tested() -> SelfTest:
        numbers, tell = stream(Stage.SELF_TEST), partial(stages.on_stage, "self-test")
        return self_test(problem, density_of, stages.self_tests, numbers, workers=workers, on_progress=tell)

    try:
        if stages.rivals and problem.rivals:
            rivals = attempt("rivals", fitted_rivals, rivals)
            *_, interrupted = rivals
        if stages.holdout and problem.holdout and not interrupted:
            rolling = attempt("hold-out", at_origins, None)
        if stages.self_tests and not interrupted:
            tested = attempt("self-test", self_tested, None)
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
) -> Iterator[pd.DataFrame]:
    """Forecasts under each rival, and under their mixtures: with the weights of leave-one-out stacking, and equally."""
    stream = partial(stage_numbers, problem.method.seed)
    choosing = stream(Stage.MIXTURES)
    mixtures = [(fit.variant.id, [fit], [1.0]) for fit in fits]
    if len(fits) > 1:
        mixtures += [("mixture, leave-one-out weights", list(fits), list(weights))]
        mixtures += [(EQUAL, list(fits), [1.0] * len(fits))]
    for name, members, shares in mixtures:
        parts, numbers = mixture(members, shares, DRAWS, choosing), stream(Stage.FORECASTS)
        yield forecast_mixture(problem, density_of, parts, numbers, structure=name, scenarios=scenarios)
