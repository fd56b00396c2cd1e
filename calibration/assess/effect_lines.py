"""Effects as lines over the constants that are held: what an effect is conditional on, in numbers.

A fit holds constants at values that somebody assumed, and an effect holds for these values alone. Here each is moved
over the range that the model file gives it as sensible, one at a time. At each value the draws are kept and weighted by
how much likelier the data are with it (importance weights), so that the other parameters follow as they would in a new
fit; where the Pareto shape of the weights is above 0.7 they cannot, and only the draws as they are remain.

Source: Gelman and others 2013, Bayesian Data Analysis, third edition, section 6.6 (sensitivity analysis); Vehtari et
al. 2024, Journal of Machine Learning Research 25(72) (Pareto k).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.assess.counterfactuals import counted_observations, totals_of
from calibration.assess.rivals import with_variant
from calibration.likelihood.posterior import DensityOf, Posterior
from calibration.sampling.importance import RELIABLE, smoothed
from calibration.study.constants import reaching, without_scale
from calibration.study.observations import quantities_of
from calibration.study.parameters import Parameter, ParameterSpace
from calibration.study.priors import Uniform
from calibration.study.problem import CalibrationProblem
from cipark_sd.arrays import Array
from cipark_sd.model.expr import Const
from cipark_sd.model.variables import Constant, Piece
from cipark_sd.scenarios import override_key, split_key

#: Draws of the posterior under each value.
DRAWS = 400
#: Values over the range of a constant, its ends among them; the held one comes on top.
POINTS = 5
#: Share of the held effect's 90 % interval by which a line has to move to be told of.
MOVES = 0.1


@dataclass(frozen=True, slots=True)
class LinePoint:
    """An effect with one constant at one value.

    Parameters
    ----------
    median, low, high, share, share_low, share_high :
        Of the weighted draws, central 90 %: the change of the total, and as share of the total; NaN where the weights
        cannot be trusted.
    as_drawn, kept_share :
        Medians of the draws as they are, the other parameters not following.
    pareto_k : float
        Of the weights; 0 at the held value.
    """

    value: float
    median: float
    low: float
    high: float
    share: float
    share_low: float
    share_high: float
    as_drawn: float
    kept_share: float
    pareto_k: float


@dataclass(frozen=True, slots=True)
class EffectLine:
    """An effect on an observation over a constant that the fit holds at ``held``."""

    constant: str
    unit: str
    held: float
    experiment: str
    observation: str
    points: tuple[LinePoint, ...]

    @property
    def swing(self) -> float:
        """How far the share moves over the range, NaN where no more than one point can be trusted."""
        shares = [point.share for point in self.points if math.isfinite(point.share)]
        return max(shares) - min(shares) if len(shares) > 1 else math.nan


@dataclass(frozen=True, slots=True)
class Ranged:
    """A held constant with its value and its sensible range."""

    label: str
    unit: str
    value: float
    low: float
    high: float

    @property
    def values(self) -> list[float]:
        """Where the effect is taken, ascending."""
        return sorted({self.value, *np.linspace(self.low, self.high, POINTS).tolist()})


def held_constants(problem: CalibrationProblem) -> list[Ranged]:
    """Numbers that the fit holds, on which what is counted depends, and that have a sensible range around their value.

    Switches and dates are none, and neither is what an experiment sets.
    """
    counted = counted_observations(problem)
    outputs = [split_key(override_key(name))[0] for quantity in quantities_of(counted) for name, _ in quantity.parts]
    reached = reaching(problem.model, outputs)
    estimated = {split_key(override_key(parameter.name))[0] for parameter in problem.space}
    changed = {split_key(name)[0] for variant in problem.experiments for name in variant.scenario.overrides}
    fixed = {override_key(item.name): item.value for item in problem.fixed}
    ranged = []
    for variable in problem.model.constants:
        low, high = variable.limits
        value = fixed.get(variable.name, _number(variable))
        if variable.name in estimated | changed or variable.name not in reached or value is None:
            continue
        if low is None or high is None or without_scale(problem.model, variable.label, value, variable.units):
            continue
        if low <= value <= high and low < high:
            ranged.append(Ranged(variable.label, variable.units, value, low, high))
    return ranged


def _number(variable: Constant) -> float | None:
    match variable.pieces:
        case (Piece(Const(value), ()),):
            return value
        case _:
            return None


def effect_lines(problem: CalibrationProblem, theta: Array, density_of: DensityOf) -> list[EffectLine]:
    """Lines of each experiment's effect over each held constant, those that move most first.

    Parameters
    ----------
    theta : (n, k)
        Draws of the posterior of the study's own structure.
    """
    observations = counted_observations(problem)
    if not problem.experiments or not observations:
        return []
    constants = held_constants(problem)
    theta = theta[np.linspace(0, len(theta) - 1, min(DRAWS, len(theta))).round().astype(int)]
    # with a column for each constant one density a structure serves all values of all of them
    space = (*problem.space, *(Parameter(c.label, Uniform(c.low, c.high)) for c in constants))
    free = replace(problem, space=ParameterSpace(space))
    densities = [density_of(p) for p in (free, *(with_variant(free, changed) for changed in problem.experiments))]
    held = np.array([constant.value for constant in constants])
    at_held, as_held = _moved(densities, theta, held)
    lines: list[EffectLine] = []
    for place, constant in enumerate(constants):
        courses: dict[tuple[int, int], list[LinePoint]] = {}
        for value in constant.values:
            if value == constant.value:
                log_ratio, effects = np.zeros(len(theta)), as_held
            else:
                values = held.copy()
                values[place] = value
                log_likelihood, effects = _moved(densities, theta, values)
                log_ratio = log_likelihood - at_held
            log_weights, pareto_k = smoothed(log_ratio)
            for i in range(len(problem.experiments)):
                for j in range(len(observations)):
                    point = _point(value, effects[i, 0, :, j], effects[i, 1, :, j], np.exp(log_weights), pareto_k)
                    courses.setdefault((i, j), []).append(point)
        lines += [
            EffectLine(constant.label, constant.unit, constant.value, problem.experiments[i].name, observations[j].name,
                       tuple(points))
            for (i, j), points in courses.items()
        ]  # fmt: skip
    order = {line: -line.swing if math.isfinite(line.swing) else math.inf for line in lines}
    return sorted(lines, key=lambda line: order[line])


def _moved(densities: Sequence[Posterior], theta: Array, values: Array) -> tuple[Array, Array]:
    """With the constants at ``values`` the log likelihood ``(n,)`` of the first density, and totals before and after
    each experiment, which the others are of: ``(n_experiments, 2, n, n_observations)``.
    """
    points = np.column_stack([theta, np.broadcast_to(values, (len(theta), len(values)))])
    before, *after = (totals_of(density, points) for density in densities)
    return densities[0].log_likelihood(points), np.array([[before, changed] for changed in after])


def _point(value: float, before: Array, after: Array, weights: Array, pareto_k: float) -> LinePoint:
    with np.errstate(invalid="ignore", divide="ignore"):
        difference, share = after - before, (after - before) / before
    usable = np.isfinite(share) & (weights > 0)
    if not usable.any():
        return LinePoint(value, *(math.nan,) * 8, pareto_k)
    as_drawn = float(np.median(difference[usable])), float(np.median(share[usable]))
    if pareto_k > RELIABLE:
        return LinePoint(value, *(math.nan,) * 6, *as_drawn, pareto_k)
    ends = [_weighted(column[usable], weights[usable]) for column in (difference, share)]
    return LinePoint(value, *ends[0], *ends[1], *as_drawn, pareto_k)


def _weighted(values: Array, weights: Array) -> tuple[float, float, float]:
    """Median and ends of the central 90 % of weighted values."""
    order = np.argsort(values)
    along = np.cumsum(weights[order])
    along = (along - weights[order] / 2) / along[-1]
    low, median, high = np.interp([0.05, 0.5, 0.95], along, values[order]).tolist()
    return median, low, high


def moving(lines: Sequence[EffectLine], observation: str) -> list[EffectLine]:
    """The lines of an observation that move by more than :data:`MOVES` of the interval at the held value."""
    chosen = []
    for line in lines:
        held = next(point for point in line.points if point.value == line.held)
        width = held.share_high - held.share_low
        if line.observation == observation and line.swing > max(MOVES * width, 1e-9):
            chosen.append(line)
    return chosen
