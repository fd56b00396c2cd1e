"""What an event or a mechanism was worth, under every rival structure and under their mixture.

The effect is a paired difference: the same draw of the parameters with and without the experiment. One structure's band
holds the doubt about its parameters only; the spread between structures is usually larger, and the mixture has both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration.assess.rivals import RivalFit, mixture, with_variant
from calibration.likelihood.posterior import DensityOf
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
    ``share_low`` to ``share_high`` is the central 90 % of the share, and what begins with ``prior`` are the same
    numbers for draws of the priors alone: where they agree, the data have said nothing.
    """

    structure: str
    experiment: str
    observation: str
    median: float
    low: float
    high: float
    share: float
    probability: float
    share_low: float = math.nan
    share_high: float = math.nan
    prior_median: float = math.nan
    prior_low: float = math.nan
    prior_high: float = math.nan
    prior_share: float = math.nan
    prior_share_low: float = math.nan
    prior_share_high: float = math.nan


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
    mixed = ("mixture", mixture(fits, weights, DRAWS, rng))
    # the same prior draws under every structure
    prior = problem.space.from_unit(rng.random((DRAWS, len(problem.space))))
    for structure, parts in [*single, mixed]:
        before, prior_before = _sums(problem, parts, prior, (), density_of)
        for experiment in problem.experiments:
            after, prior_after = _sums(problem, parts, prior, (experiment,), density_of)
            for i, observation in enumerate(counted_observations(problem)):
                effect = _effect(structure, experiment.name, observation.name, before[:, i], after[:, i])
                rows.append(_beside_prior(effect, prior_before[:, i], prior_after[:, i]))
    return rows


def _sums(
    problem: CalibrationProblem,
    parts: Sequence[tuple[Variant, Array]],
    prior: Array,
    experiments: Sequence[Variant],
    density_of: DensityOf,
) -> tuple[Array, Array]:
    """Expected sums ``(n, n_observations)`` of posterior and of prior draws; a structure has its share of either."""
    posterior_sums, prior_sums, position = [], [], 0
    for variant, theta in parts:
        sums = totals(
            problem, [*experiments, variant], np.concatenate([theta, prior[position:][: len(theta)]]), density_of
        )
        posterior_sums.append(sums[: len(theta)])
        prior_sums.append(sums[len(theta) :])
        position += len(theta)
    return np.concatenate(posterior_sums), np.concatenate(prior_sums)


def _beside_prior(effect: Effect, before: Array, after: Array) -> Effect:
    usable = np.isfinite(before) & np.isfinite(after) & (before != 0)
    if not usable.any():
        return effect
    return replace(effect, **_ranges(before[usable], after[usable], "prior_"))


def _ranges(before: Array, after: Array, prefix: str = "") -> dict[str, Any]:
    """Median and central 90 % of a change, and of the change as share of what there was."""
    ranges: dict[str, Any] = {}
    for name, values in (("", after - before), ("share_", (after - before) / before)):
        low, median, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
        ranges |= {f"{prefix}{name}low": low, f"{prefix}{name or 'median_'}"[:-1]: median, f"{prefix}{name}high": high}
    return ranges


def counted_observations(problem: CalibrationProblem) -> list[Observation]:
    """Series of counts of which something is fitted."""
    return [o for o in problem.observations if o.kind == "increments" and any(t.use == "fit" for t in o.terms)]


def totals(problem: CalibrationProblem, variants: Sequence[Variant], theta: Array, density_of: DensityOf) -> Array:
    """Expected sums ``(n, n_observations)``; later variants win."""
    for variant in variants:
        problem = with_variant(problem, variant)
    density = density_of(problem)
    values = density.quantities(theta)
    slots, places = iter(density.slots), dict[str, list[int]]()
    for observation in problem.observations:
        for term, slot in zip(observation.terms, slots, strict=False):
            # a level that is only looked at is no part of the sum
            if isinstance(term, Count) and term.use != "check":
                places.setdefault(observation.name, []).append(slot.start)
    totals = [values[:, places[observation.name]].sum(axis=1) for observation in counted_observations(problem)]
    return np.stack(totals, axis=1) if totals else np.empty((len(theta), 0))


def _effect(structure: str, experiment: str, observation: str, before: Array, after: Array) -> Effect:
    usable = np.isfinite(before) & np.isfinite(after)
    before, after = before[usable], after[usable]
    probability = float((after - before < 0).mean())
    return Effect(structure, experiment, observation, probability=probability, **_ranges(before, after))
