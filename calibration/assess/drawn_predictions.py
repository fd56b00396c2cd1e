"""What a study reports of its model, over posterior draws and over the priors alone."""

from dataclasses import dataclass

import numpy as np

from calibration.likelihood.forward import all_reported
from calibration.likelihood.replicate import Stage, stage_numbers
from calibration.sampling.draws import PosteriorDraws
from cipark_sd.arrays import Array, evenly
from cipark_sd.claims import Kind, class_of

#: Central mass of the intervals; posterior draws at most, evenly spaced, and draws of the priors.
LEVEL, DRAWS, PRIOR_DRAWS = 0.9, 4000, 2000
_QUANTILES = ((1 - LEVEL) / 2, 0.25, 0.5, 0.75, (1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class DrawnPrediction:
    """A reported prediction: the model's own number, without the noise of an observation.

    Parameters
    ----------
    name : str
    quantiles : five numbers
        Of the posterior: 5, 25, 50, 75 and 95 %; NaN where the model failed with all draws.
    prior_low, prior_high : float
        Ends of the central 90 % under the priors alone.
    failed : float
        Share of the posterior draws with which the model failed.
    kind : Kind or None
        Its class; None where the model failed with all draws.
    """

    name: str
    quantiles: tuple[float, ...]
    prior_low: float
    prior_high: float
    failed: float
    kind: Kind | None = None


def drawn_predictions(drawn: PosteriorDraws) -> tuple[DrawnPrediction, ...]:
    """The study's predictions, in order; the priors' draws are those of prediction profiles."""
    problem, engine = drawn.density.problem, drawn.density.runner.engine
    theta = evenly(drawn.flat, DRAWS)
    rng = stage_numbers(problem.method.seed, Stage.PREDICTIONS_OF_PRIORS)
    prior = problem.space.from_unit(rng.random((PRIOR_DRAWS, len(problem.space))))
    values, alone = (all_reported(problem, problem.predictions, engine, rows) for rows in (theta, prior))
    lines = []
    for prediction, of_draws, of_prior in zip(problem.predictions, values.T, alone.T, strict=True):
        low, *_, high = quantiles(of_prior)
        failed = 1 - float(np.isfinite(of_draws).mean())
        judged = np.isfinite(of_draws).any() and np.isfinite(of_prior).any()
        kind = class_of([(of_prior, of_draws)], is_change=prediction.against is not None) if judged else None
        lines.append(DrawnPrediction(prediction.name, quantiles(of_draws), low, high, failed, kind))
    return tuple(lines)


def quantiles(values: Array) -> tuple[float, ...]:
    usable = values[np.isfinite(values)]
    return tuple(np.quantile(usable, _QUANTILES).tolist()) if len(usable) else (np.nan,) * len(_QUANTILES)
