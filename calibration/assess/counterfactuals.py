"""What an event or a mechanism was worth, under every rival structure and under their mixture.

The effect is a paired difference: the same draw of the parameters with and without the experiment. One structure's band
holds the doubt about its parameters only; the spread between structures is usually larger, and the mixture has both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.assess.holdout import DensityOf
from calibration.assess.rivals import RivalFit, mixture, with_variant
from calibration.study.observations import Count, Observation
from calibration.study.problem import CalibrationProblem
from calibration.study.variants import Variant
from cipark_sd.arrays import Array

#: Draws of each rival, and of the mixture.
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Effect:
    """How much less (or more) of an observation there is in an experiment.

    ``median``, ``low`` and ``high`` (central 90 %) are of the expected total of ``observation`` with the experiment
    less that without; ``share`` is the median as share of the total; ``probability`` that the experiment lowers it.
    """

    structure: str
    experiment: str
    observation: str
    median: float
    low: float
    high: float
    share: float
    probability: float


def effects(
    problem: CalibrationProblem,
    fits: Sequence[RivalFit],
    weights: Sequence[float],
    density_of: DensityOf,
    rng: np.random.Generator,
) -> list[Effect]:
    """Effects of the study's experiments on the last value of each counted series, for each rival and the mixture.

    An experiment that sets what a rival has set already changes nothing there, which is what the rival says of it.
    """
    rows: list[Effect] = []
    single = [(fit.variant.name, mixture([fit], [1.0], DRAWS, rng)) for fit in fits]
    for structure, parts in [*single, ("mixture", mixture(fits, weights, DRAWS, rng))]:
        before = np.concatenate([_totals(problem, [variant], theta, density_of) for variant, theta in parts])
        for experiment in problem.experiments:
            after = np.concatenate(
                [_totals(problem, [experiment, variant], theta, density_of) for variant, theta in parts]
            )
            for i, observation in enumerate(_counted(problem)):
                rows.append(_effect(structure, experiment.name, observation.name, before[:, i], after[:, i]))
    return rows


def _counted(problem: CalibrationProblem) -> list[Observation]:
    return [o for o in problem.observations if o.kind == "increments" and any(t.use == "fit" for t in o.terms)]


def _totals(problem: CalibrationProblem, variants: Sequence[Variant], theta: Array, density_of: DensityOf) -> Array:
    """Expected sums ``(n, n_observations)``; later variants win."""
    for variant in variants:
        problem = with_variant(problem, variant)
    density = density_of(problem)
    values = density.quantities(theta)
    position = 0
    places: dict[str, list[int]] = {}
    for observation in problem.observations:
        for term in observation.terms:
            # a level that is only looked at is no part of the sum
            if isinstance(term, Count) and term.use != "check":
                places.setdefault(observation.name, []).append(position)
            position += len(term.quantities)
    totals = [values[:, places[observation.name]].sum(axis=1) for observation in _counted(problem)]
    return np.stack(totals, axis=1) if totals else np.empty((len(theta), 0))


def _effect(structure: str, experiment: str, observation: str, before: Array, after: Array) -> Effect:
    usable = np.isfinite(before) & np.isfinite(after)
    difference = after[usable] - before[usable]
    low, median, high = np.quantile(difference, [0.05, 0.5, 0.95]).tolist()
    share = float(np.median(difference / before[usable]))
    return Effect(structure, experiment, observation, median, low, high, share, float((difference < 0).mean()))
